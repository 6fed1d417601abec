"""Money in cents."""


def split(total: int, weights: list[int]) -> list[int]:
    """Split an amount by weights; the parts always add up to the whole."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda at: -(total * weights[at] % whole))
    for at in by_remainder[: total - sum(shares)]:
        shares[at] += 1
    return shares
