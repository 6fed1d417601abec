"""JSON text to plain values, strictly and quickly.

`decode` refuses what a careful reader would doubt (`pktui.strict_json`);
`pktui.policy.text.json` walks the same text slowly and tells where and why.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pktui.strict_json import Reader

MAX_DEPTH = 64
MAX_BYTES = 4 * 1024 * 1024
_MAX_DIGITS = 64
_MAX_EXPONENT = 400


def decode(text: str) -> Any:
    """Return plain values: ints stay exact, other numbers are `Decimal`.

    Raises `ValueError` where the text is doubtful in any way; `scan` tells why.
    """
    return _READER.read(text.removeprefix("\ufeff"))


def read_number(text: str) -> Decimal | int:
    """Return the exact number; raises `ValueError` for one of absurd size."""
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > _MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise ValueError("number out of range")
    return Decimal(text) if exponent or "." in mantissa else int(mantissa)


_READER = Reader(depth=MAX_DEPTH, parse_float=read_number)
