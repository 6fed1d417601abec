"""JSON text that every reader reads alike, to plain values; anything else is refused.

Two readers that make different values of one text are a way past any rule. So nothing may stand
in it that readers are known to disagree about: a name twice in an object, NaN and Infinity, numbers
out of range, half a surrogate pair, more nesting than the caller follows.

This is the one strict reader. The relay asks msgspec first, which is quicker: what encodes to the
very same bytes again needs no careful look (`pktui.gateway.protocol.jsonrpc`).
`pktui.policy.text.json` tells where in a text a mistake stands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn


class Doubt(ValueError):
    """What readers disagree about; the text goes on from "the message" or "it"."""


class TooDeep(Doubt):
    """The text has more objects and lists inside each other than the caller follows."""

    def __init__(self) -> None:
        super().__init__("is nested too deep")


def finite(text: str) -> float:
    """Return the number; raises `Doubt` for one that no float holds."""
    number = float(text)
    if not math.isfinite(number):
        raise Doubt("holds a number that is out of range")
    return number


class Reader:
    """Reads texts strictly; how numbers become values is the caller's choice."""

    def __init__(
        self,
        *,
        depth: int,
        parse_float: Callable[[str], Any] = finite,
        halves: bool = False,
    ) -> None:
        """`depth` bounds objects and lists inside each other, `halves` lets half pairs pass."""
        self._depth = depth
        self._halves = halves
        self._decoder = decoder(parse_float=parse_float)

    def read(self, text: str) -> Any:
        """Return the value; raises `Doubt`, or another `ValueError` where it is no JSON."""
        try:
            value = self._decoder.decode(text)
        except RecursionError:
            raise TooDeep from None
        if is_deeper(value, text, self._depth):
            raise TooDeep
        if not self._halves:
            refuse_halves(value, text)
        return value


def decoder(
    *,
    parse_float: Callable[[str], Any] = finite,
    parse_int: Callable[[str], Any] | None = None,
    parse_constant: Callable[[str], Any] | None = None,
) -> json.JSONDecoder:
    """Return a decoder that refuses names that are there twice, and NaN without `parse_constant`.

    It raises `Doubt`, another `ValueError`, and `RecursionError`.
    """
    return json.JSONDecoder(
        object_pairs_hook=_unique,
        parse_float=parse_float,
        parse_int=parse_int,
        parse_constant=parse_constant or _no_constant,
    )


def is_deeper(value: Any, text: str | bytes, most: int) -> bool:
    """Tell whether more than `most` objects and lists are inside each other; `text` is its JSON."""
    if isinstance(text, str):
        opened = text.count("{") + text.count("[")
    else:
        opened = text.count(b"{") + text.count(b"[")
    return opened > most and depth_of(value) > most


def depth_of(value: Any) -> int:
    """Return how many objects and lists are inside each other."""
    depth, level = 0, [value] if isinstance(value, dict | list) else []
    while level:
        depth += 1
        inner: list[Any] = []
        for node in level:
            children = node.values() if isinstance(node, dict) else node
            inner += [child for child in children if isinstance(child, dict | list)]
        level = inner
    return depth


def refuse_halves(value: Any, text: str) -> None:
    """Raise `Doubt` where a text in the value holds half a surrogate pair; `text` is its JSON."""
    if "\\ud" not in text and "\\uD" not in text:
        return
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise Doubt("holds half a surrogate pair") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Doubt("holds the same member name twice")
    return members


def _no_constant(text: str) -> NoReturn:
    raise Doubt(f"holds {text}, which is not JSON")
