"""What a visitor wants to buy."""

from shop.prices import split


class Cart:
    """Items with their prices in cents."""

    def __init__(self) -> None:
        self.items: dict[str, int] = {}

    def add(self, name: str, price: int) -> None:
        """Put an item into the cart."""
        if price < 0:
            raise ValueError("a price cannot be negative")
        self.items[name] = price

    def discount(self, cents: int) -> dict[str, int]:
        """Share a discount among the items by their prices."""
        return dict(zip(self.items, split(cents, list(self.items.values())), strict=True))
