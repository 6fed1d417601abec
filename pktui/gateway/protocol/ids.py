"""The ids of a message that is not read otherwise: too large, not quite JSON, or cut off.

Whoever waits for such a message has to be told, and is told by its id alone. The scan takes the
message in chunks, keeps a few bytes of it, and follows strings and brackets as every reader does.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

import msgspec

_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n"
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN: Final = rb'(?:[^"{}\[\]]++|' + _STRING + rb")"
_TELLING: Final = frozenset({"method", "result", "error"})
_LONGEST_NAME: Final = 64
_LONGEST_ID: Final = 4096
_MOST_IDS: Final = 256
# Strings and brackets that are looked at: a hostile line must not keep a thread for seconds.
_MOST_STEPS: Final = 250_000
_read_text: Final = msgspec.json.Decoder(str).decode
_read_id: Final = msgspec.json.Decoder(str | int | float).decode


class _Patterns(NamedTuple):
    """`inside`: the rest of a string. `passed`: values, and what holds nothing but values."""

    inside: re.Pattern[bytes]
    at_level: re.Pattern[bytes]
    passed: re.Pattern[bytes]
    brackets: re.Pattern[bytes]


@cache
def _patterns() -> _Patterns:
    """Return the patterns, made when they are needed: a gateway starts without them."""
    return _Patterns(
        re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL),
        re.compile(rb'["{}\[\]:,]'),
        re.compile(rb"(?:" + _PLAIN + rb"|[{\[]" + _PLAIN + rb"*+[}\]])*+", re.DOTALL),
        re.compile(rb"[{\[]+|[}\]]+"),
    )


class Ids(msgspec.Struct, frozen=True):
    """What a scan found; `written` are the usable ids, as they are written (JSON text).

    `members` counts every `id`, the unusable ones too. `answers`: it has a `result` or an `error`
    and no `method`, so that it can only be a response.
    """

    written: tuple[bytes, ...] = ()
    members: int = 0
    answers: bool = False

    @property
    def single(self) -> bytes:
        """Return the one id that the message has, `null` where it has none or several."""
        return self.written[0] if self.members == len(self.written) == 1 else b"null"


NO_IDS: Final = Ids()


def ids_in(message: bytes) -> Ids:
    """Return the ids of a message, or of the messages of a batch."""
    scan = IdScan()
    scan.feed(message)
    return scan.found


class IdScan:
    """Takes a message in chunks and finds the `id` of its outermost object."""

    def __init__(self) -> None:
        self._begun = False
        self._level = 1
        self._depth = 0
        self._steps = 0
        self._quoted = False
        self._escaped = False
        self._text = bytearray()
        self._scalar = bytearray()
        self._name: str | None = None
        self._valued = False
        self._names: set[str] = set()
        self._written: list[bytes] = []
        self._members = 0

    @property
    def found(self) -> Ids:
        """Return what was found so far."""
        answers = bool(self._names & {"result", "error"}) and "method" not in self._names
        complete = self._steps <= _MOST_STEPS and self._members <= _MOST_IDS
        return Ids(tuple(self._written) if complete else (), self._members, answers)

    def feed(self, chunk: bytes | bytearray) -> None:
        """Take the next part of the message."""
        at = 0 if self._begun else self._begin(chunk)
        while at < len(chunk) and self._steps <= _MOST_STEPS:
            self._steps += 1
            at = self._string(chunk, at) if self._quoted else self._outside(chunk, at)

    def _begin(self, chunk: bytes | bytearray) -> int:
        """Find where the message begins; one that is no object and no list has no ids."""
        rest = chunk.removeprefix(_BOM).lstrip(_SPACE)
        if not rest:
            return len(chunk)
        self._begun = True
        if rest[:1] not in (b"{", b"["):
            self._steps = _MOST_STEPS + 1
        self._level = 2 if rest[:1] == b"[" else 1
        return len(chunk) - len(rest)

    def _string(self, chunk: bytes | bytearray, at: int) -> int:
        if self._escaped:
            self._escaped = False
            self._note_text(chunk[at : at + 1])
            return at + 1
        match = _patterns().inside.match(chunk, at)
        end = match.end() if match else at
        self._note_text(chunk[at:end])
        if end == len(chunk):
            return end
        if chunk[end : end + 1] == b'"':
            self._quoted = False
            self._end_string()
        else:
            self._escaped = True
            self._note_text(b"\\")
        return end + 1

    def _note_text(self, part: bytes | bytearray) -> None:
        if self._depth == self._level and len(self._text) <= _LONGEST_ID:
            self._text += part[: _LONGEST_ID + 1]

    def _end_string(self) -> None:
        if self._depth != self._level:
            return
        if self._valued:
            self._scalar += b'"' + self._text + b'"'
        elif len(self._text) <= _LONGEST_NAME:
            self._name = _decoded(b'"' + self._text + b'"')

    def _outside(self, chunk: bytes | bytearray, at: int) -> int:
        if self._depth > self._level:
            return self._deeper(chunk, at)
        match = _patterns().at_level.search(chunk, at)
        end = match.start() if match else len(chunk)
        if self._valued and self._depth == self._level and len(self._scalar) <= _LONGEST_ID:
            self._scalar += chunk[at:end][: _LONGEST_ID + 1]
        if match:
            self._take(match.group())
        return end + 1

    def _deeper(self, chunk: bytes | bytearray, at: int) -> int:
        """Pass over what stands inside the members of the object."""
        passed = _patterns().passed.match(chunk, at)
        at = passed.end() if passed else at
        brackets = _patterns().brackets.match(chunk, at)
        if brackets is None:
            if at < len(chunk):
                self._quote()
            return at + 1
        found = brackets.group()
        if found[:1] in (b"{", b"["):
            self._depth += len(found)
            return at + len(found)
        closed = min(len(found), self._depth - self._level)
        self._depth -= closed
        return at + closed

    def _quote(self) -> None:
        self._quoted = True
        self._text.clear()

    def _take(self, mark: bytes) -> None:
        if mark == b'"':
            self._quote()
        elif mark in (b"{", b"["):
            self._depth += 1
            if self._depth == self._level:
                self._next_member()
        elif mark == b":":
            self._begin_value()
        elif self._depth == self._level:
            self._end_member()
            self._depth -= mark != b","
        else:
            self._depth -= mark != b"," and self._depth > 0

    def _next_member(self) -> None:
        self._name, self._valued = None, False
        self._scalar.clear()

    def _begin_value(self) -> None:
        if self._name is not None and not self._valued:
            self._valued = True
            self._names |= {self._name} & _TELLING

    def _end_member(self) -> None:
        if self._valued and self._name == "id":
            self._members += 1
            self._note_id(bytes(self._scalar.strip(_SPACE)))
        self._next_member()

    def _note_id(self, written: bytes) -> None:
        if len(written) <= _LONGEST_ID and written not in self._written and _usable(written):
            self._written.append(written)


def _usable(written: bytes) -> bool:
    try:
        _read_id(written)
    except (msgspec.MsgspecError, UnicodeError):
        return False
    return True


def _decoded(text: bytes) -> str | None:
    try:
        return _read_text(text)
    except (msgspec.MsgspecError, UnicodeError):
        return None
