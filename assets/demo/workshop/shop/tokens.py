"""How long a login lasts."""

from datetime import datetime, timedelta

ACCESS_TOKEN_TTL_SECONDS = 3600
LEEWAY_SECONDS = 90


def expired(issued: datetime, now: datetime) -> bool:
    """Tell whether a token has run out; the clocks of two hosts may differ a little."""
    return now - issued > timedelta(seconds=ACCESS_TOKEN_TTL_SECONDS + LEEWAY_SECONDS)
