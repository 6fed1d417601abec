"""JSON text to plain values, strictly and quickly.

`decode` refuses what a careful reader would doubt (duplicate keys, NaN, deep nesting, half
surrogates); `pktui.policy.jsonscan` walks the same text slowly and tells where and why.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

MAX_DEPTH = 64
MAX_BYTES = 4 * 1024 * 1024
_MAX_DIGITS = 64
_MAX_EXPONENT = 400
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def decode(text: str) -> Any:
    """Return plain values: ints stay exact, other numbers are `Decimal`.

    Raises `ValueError` where the text is doubtful in any way; `scan` tells why.
    """
    text = text.removeprefix("\ufeff")
    if _SURROGATE.search(text):
        from pktui.policy.jsonscan import scan

        root, slips = scan(text)
        if slips or root is None:
            raise ValueError("doubtful escapes")
        return root.plain()
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_float=read_number, parse_constant=_refuse
        )
        deep = _depth(value, 0) > MAX_DEPTH
    except RecursionError as error:
        raise ValueError("too deep") from error
    if deep:
        raise ValueError("too deep")
    return value


def read_number(text: str) -> Decimal | int:
    """Return the exact number; raises `ValueError` for one of absurd size."""
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > _MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise ValueError("number out of range")
    return Decimal(text) if exponent or "." in mantissa else int(mantissa)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("duplicate key")
    return table


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _depth(value: Any, above: int) -> int:
    if isinstance(value, dict):
        return max((_depth(inner, above + 1) for inner in value.values()), default=above + 1)
    if isinstance(value, list):
        return max((_depth(inner, above + 1) for inner in value), default=above + 1)
    return above
