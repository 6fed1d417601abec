"""Readers laxer than any real server's: what one of them takes a line for, some server might.

Bytes are decoded in several ways, cut where some readers cut lines, and parsed as JSON, as JSON5
and as the first values of whatever text there is; of equal members the first, the last and each
spelling of its case count.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import json5
import msgspec

_CUTS = ("\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0")
_JSON5_SIZE = 400
"""Characters; the JSON5 reader is slow."""


class Pairs(list[tuple[str, Any]]):
    """An object as it is written."""


def readings(line: bytes) -> Iterator[dict[str, Any]]:
    """Yield every object that some reader may take the line, or a part of it, for."""
    for text in dict.fromkeys(_texts(line)):
        for value in _values(text):
            for top in (
                value if isinstance(value, list) and not isinstance(value, Pairs) else [value]
            ):
                if isinstance(top, Pairs):
                    yield from _objects(top)
    with suppress(msgspec.MsgspecError, RecursionError):
        value = msgspec.json.decode(line)
        if isinstance(value, dict):
            yield value


def methods(line: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every method that some reader may see asked for in the line, with its params."""
    for message in readings(line):
        method, params = message.get("method"), message.get("params")
        if isinstance(method, str):
            yield method, params if isinstance(params, dict) else {}


def _texts(line: bytes) -> Iterator[str]:
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        with suppress(UnicodeDecodeError):
            yield from _parts(line.decode(encoding))
    try:
        yield from _parts(line.decode())
    except UnicodeDecodeError:
        yield from _parts(line.decode("latin-1"))
        yield from _parts(line.decode(errors="ignore"))
        yield from _parts(line.decode(errors="replace"))
    yield from _parts(line.lstrip(codecs.BOM_UTF8 + b"\0 \t\xa0").decode(errors="surrogateescape"))


def _parts(text: str) -> Iterator[str]:
    yield text
    for cut in _CUTS:
        if cut in text[:-1]:
            yield from text.split(cut)
            if cut < " ":
                yield text.replace(cut, " ")
    if "\0" in text:
        yield text.replace("\0", "")


def _values(text: str) -> Iterator[Any]:
    """Yield the values at the beginning of the text, one after the other."""
    at = 0
    for _ in range(4):
        while at < len(text) and text[at] in " \t\r\n,;]}\ufeff\xa0":
            at += 1
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        yield value
    if at < len(text) <= _JSON5_SIZE:
        with suppress(ValueError, RecursionError, TypeError):
            yield json5.loads(text, object_pairs_hook=Pairs)


_DECODER = json.JSONDecoder(object_pairs_hook=Pairs, strict=False)


def _objects(pairs: Pairs) -> Iterator[dict[str, Any]]:
    """Yield the object as readers with other rules for equal names see it.

    Case counts inside of arguments: what a tool makes of its own names is its own affair.
    """
    seen: list[dict[str, Any]] = []
    for rule in _RULES:
        value = _plain(pairs, rule, 0)
        if value not in seen:
            seen.append(value)
            yield value


def _plain(value: Any, rule: Rule, depth: int) -> Any:
    if isinstance(value, Pairs):
        members = [(name, _plain(inner, rule, depth + 1)) for name, inner in value]
        if rule.folds and depth <= _FOLDED_DEPTH:
            members = [(name.casefold(), inner) for name, inner in members]
        return dict(members[::-1] if rule.first else members)
    if isinstance(value, list):
        return [_plain(inner, rule, depth + 1) for inner in value]
    return value


class Rule(NamedTuple):
    """What a reader does with equal names: whether case counts, and which of them wins."""

    folds: bool
    first: bool


_FOLDED_DEPTH = 1
_RULES = tuple(Rule(folds, first) for folds in (False, True) for first in (False, True))
