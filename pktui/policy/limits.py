"""Windows and amounts of quotas, in microseconds and in exact decimals."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Any

from pktui.policy.values import number

SECOND_US = 1_000_000
WINDOWS = {
    "second": SECOND_US,
    "minute": 60 * SECOND_US,
    "hour": 3600 * SECOND_US,
    "day": 86_400 * SECOND_US,
}
# What else a window may be called where a rate is typed in one word, as `5/min`.
RATE_WORDS = {
    "s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "hr": "hour",
    "d": "day",
}  # fmt: skip
MAX_WINDOW_SECONDS = 366 * 86_400
# The largest `max`: in millionths it still fits a 64-bit integer.
MAX_UNITS = Decimal(9_000_000_000_000)
MILLIONTH = Decimal("0.000001")
_RATE = re.compile(r"([0-9]{1,13})/([A-Za-z]+|[0-9]{1,9})")


def window_us(value: Any) -> int | None:
    """Return the microseconds of a window's name or whole seconds; None where it is neither."""
    if isinstance(value, str):
        return WINDOWS.get(value)
    if type(value) is int and 1 <= value <= MAX_WINDOW_SECONDS:
        return value * SECOND_US
    return None


def window_name(microseconds: int) -> str | int:
    """Return how a policy writes the window: by its name, else in whole seconds."""
    names = (name for name, length in WINDOWS.items() if length == microseconds)
    return next(names, microseconds // SECOND_US)


def window_words(microseconds: int) -> str:
    """Return how a person says the window: `minute`, `90 seconds`."""
    name = window_name(microseconds)
    return name if isinstance(name, str) else f"{name} seconds"


def read_rate(text: str) -> tuple[int, int] | None:
    """Return (max, window in microseconds) of `10/minute`, `10/min` or `10/60`; else None."""
    match = _RATE.fullmatch(text)
    if not match:
        return None
    word = match[2]
    window = window_us(int(word) if word.isdigit() else RATE_WORDS.get(word, word))
    return None if window is None else (int(match[1]), window)


def read_amount(value: Any) -> Decimal | None:
    """Return the units an argument stands for; None unless it is a number of 0 or more."""
    exact = number(value)
    if exact is None or exact < 0:
        return None
    if exact > MAX_UNITS:
        return MAX_UNITS * 2
    return Decimal(exact) if type(exact) is int else _millionths(Decimal(exact))


def _millionths(amount: Decimal) -> Decimal:
    """Round up to millionths, the grain in which quotas are counted."""
    return amount.quantize(MILLIONTH, rounding=ROUND_CEILING)


def plain(amount: Decimal) -> str:
    """Write an amount without exponent and without trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
