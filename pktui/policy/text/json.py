"""JSON text with the position of every key and value, for errors and for editing in place."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, NoReturn

import msgspec

from pktui.policy.text.jsontext import MAX_DEPTH, read_number

Kind = Literal["object", "array", "string", "number", "true", "false", "null"]
_WORDS: dict[str, tuple[Kind, Any]] = {
    "true": ("true", True),
    "false": ("false", False),
    "null": ("null", None),
}
_SPACE = re.compile(r"[ \t\r\n]*")
_COMMENTS = re.compile(r"(?:[ \t\r\n\f\v\ufeff]|//[^\r\n]*|/\*(?s:.*?)\*/)*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_WORD = re.compile(r"[A-Za-z_+\-.0-9]+")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Member(msgspec.Struct, frozen=True):
    """A key of an object with its value; offsets count characters from the start of the text."""

    key: str
    start: int
    end: int
    value: Node


class Node(msgspec.Struct, frozen=True):
    """A value with its place: `text[start:end]`."""

    kind: Kind
    start: int
    end: int
    value: Any = None
    members: list[Member] = []
    items: list[Node] = []

    def member(self, key: str) -> Member | None:
        """Return the member with this key."""
        return next((m for m in self.members if m.key == key), None)

    def find(self, steps: Sequence[str | int], *, on_key: bool = False) -> int:
        """Return the offset of a place, or of the nearest one around it that exists.

        `on_key` points at the last step's key instead of its value.
        """
        node, offset = self, self.start
        for step in steps:
            if isinstance(step, int):
                if step >= len(node.items):
                    break
                node = node.items[step]
                offset = node.start
                continue
            member = node.member(step)
            if member is None:
                break
            node, offset = member.value, member.start if on_key else member.value.start
        return offset

    def plain(self) -> Any:
        """Return the value without positions."""
        if self.kind == "object":
            return {member.key: member.value.plain() for member in self.members}
        if self.kind == "array":
            return [item.plain() for item in self.items]
        return self.value


class Slip(msgspec.Struct, frozen=True):
    """A mistake in the text itself, at an offset in characters."""

    offset: int
    what: str
    cure: str


class NotJson(ValueError):
    """The text cannot be read on from a slip."""

    def __init__(self, slip: Slip) -> None:
        super().__init__(slip.what)
        self.slip = slip


def scan(text: str, *, comments: bool = False) -> tuple[Node | None, list[Slip]]:
    """Return the root with positions, and every slip; no root where the text breaks off.

    `comments`: comments and commas before a closing bracket are taken, as editors write them.
    """
    scanner = _Scanner(text, comments=comments)
    try:
        root = scanner.document()
    except NotJson as error:
        return None, [*scanner.slips, error.slip]
    return root, scanner.slips


def line_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and the column of an offset, both from 1."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


class _Scanner:
    def __init__(self, text: str, *, comments: bool) -> None:
        self.text = text
        self.comments = comments
        self.at = 0
        self.slips: list[Slip] = []

    def document(self) -> Node:
        if self.text.startswith("\ufeff"):
            self.at = 1
        self._space()
        root = self._value(1)
        self._space()
        if self.at < len(self.text):
            self._stop("more text after the end of the document", "Remove it")
        return root

    def _space(self) -> str:
        match = (_COMMENTS if self.comments else _SPACE).match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        if self.comments and self.text.startswith("/*", self.at):
            self._stop("a comment is never closed", "End it with */")
        return self.text[self.at : self.at + 1]

    def _stop(self, what: str, cure: str, at: int | None = None) -> NoReturn:
        raise NotJson(Slip(self.at if at is None else at, what, cure))

    def _value(self, depth: int) -> Node:
        first = self.text[self.at : self.at + 1]
        if depth > MAX_DEPTH and first in ("{", "["):
            self._stop(f"more than {MAX_DEPTH} levels deep", "Nest less")
        if first == "{":
            return self._object(depth)
        if first == "[":
            return self._array(depth)
        if first == '"':
            start = self.at
            value = self._string()
            return Node("string", start, self.at, value)
        if first == "":
            self._stop("the text ends too early", "Close what is open: a value is missing")
        return self._scalar()

    def _scalar(self) -> Node:
        start = self.at
        match = _WORD.match(self.text, start)
        word = match.group() if match else self.text[start]
        if word in _WORDS:
            kind, value = _WORDS[word]
            self.at += len(word)
            return Node(kind, start, self.at, value)
        if not _NUMBER.fullmatch(word):
            shown = word if word.isprintable() else ascii(word)
            self._stop(f"{shown[:40]} is no JSON value", "Put text in double quotes")
        self.at += len(word)
        try:
            return Node("number", start, self.at, read_number(word))
        except ValueError:
            self.slips.append(Slip(start, "this number is out of range", "Use a smaller number"))
            return Node("number", start, self.at, 0)

    def _object(self, depth: int) -> Node:
        start = self.at
        members: list[Member] = []
        seen: set[str] = set()
        self.at += 1
        while self._space() != "}":
            if members and self._comma("}") == "}":
                break
            if self.at >= len(self.text):
                self._stop("the text ends too early: } is missing", "Add }")
            if self.text[self.at] != '"':
                self._stop("a key is missing", "Put the key in double quotes")
            key_start = self.at
            key = self._string()
            key_end = self.at
            if key in seen:
                what = f"the key {json.dumps(key)} occurs twice"
                self.slips.append(Slip(key_start, what, "Keep one of them"))
            seen.add(key)
            if self._space() != ":":
                self._stop("a colon is missing after the key", 'Write "key": value')
            self.at += 1
            self._space()
            members.append(Member(key, key_start, key_end, self._value(depth + 1)))
        self.at += 1
        return Node("object", start, self.at, None, members)

    def _array(self, depth: int) -> Node:
        start = self.at
        items: list[Node] = []
        self.at += 1
        while self._space() != "]":
            if items and self._comma("]") == "]":
                break
            items.append(self._value(depth + 1))
        self.at += 1
        return Node("array", start, self.at, None, [], items)

    def _comma(self, close: str) -> str:
        """Pass the comma between two entries; returns what comes after it."""
        if self.text[self.at : self.at + 1] != ",":
            if self.at >= len(self.text):
                self._stop(f"the text ends too early: {close} is missing", f"Add {close}")
            self._stop(f"a comma or {close} is missing here", "Separate entries with a comma")
        comma = self.at
        self.at += 1
        following = self._space()
        if following == close and not self.comments:
            self._stop(f"a comma before {close}", "Remove the comma", comma)
        return following

    def _string(self) -> str:
        start = self.at
        self.at += 1
        parts: list[str] = []
        while True:
            match = _PLAIN.match(self.text, self.at)
            assert match is not None
            parts.append(match.group())
            self.at = match.end()
            stop = self.text[self.at : self.at + 1]
            if stop == '"':
                self.at += 1
                value = "".join(parts)
                return value if value.isascii() else self._whole(value, start)
            if stop != "\\":
                open_end = stop in ("", "\n", "\r")
                what = "a quote is never closed" if open_end else "a control character in text"
                self._stop(what, 'End the text with ", write line breaks as \\n', start)
            parts.append(self._escaped())

    def _escaped(self) -> str:
        letter = self.text[self.at + 1 : self.at + 2]
        if letter in _ESCAPES and letter:
            self.at += 2
            return _ESCAPES[letter]
        digits = self.text[self.at + 2 : self.at + 6]
        if letter == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", digits):
            self.at += 6
            return chr(int(digits, 16))
        self._stop("an escape that JSON does not have", "Write a backslash as \\\\")
        return None

    def _whole(self, value: str, start: int) -> str:
        joined = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if "\ufffd" in joined and "\ufffd" not in value:
            what = "half of a surrogate pair is no character"
            self.slips.append(Slip(start, what, "Write the character itself"))
        return joined
