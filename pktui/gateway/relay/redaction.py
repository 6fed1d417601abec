"""Secrets taken out of what tools return, for servers that are set to be redacted.

Text and structured content are masked alike, because some clients show a model the one and some
the other, and what would act on a terminal is made visible in both. Only the texts, names and
numbers that are changed are written anew; every other byte of the message stays as it came: digits
of numbers, white space, members that are there twice. Bytes of images, sound and files stay, too.
"""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from typing import Final

import msgspec

from pktui.ledger.arguments.canonical import json_text
from pktui.ledger.arguments.secrets import mask_text, masked, names_secret
from pktui.text import visible

# Requests whose answers may hold what a tool returned.
METHODS: Final = frozenset({"tools/call", "tasks/result", "tasks/get"})
_BYTES: Final = frozenset({"data", "blob"})
_SECRETIVE: Final = frozenset({"content", "structuredContent", "statusMessage", "message", "data"})
_DEEPEST: Final = 256
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TOKEN: Final = re.compile(
    r'[ \t\r\n]*(?:("(?:[^"\\]++|\\.)*+")|([{}\[\],:])|([^\s{}\[\],:"]++))', re.DOTALL
)
# What moves a cursor, colours, clears or answers for the person at a terminal.
_ACTIVE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")


class _Part(Enum):
    """What of a message a value is."""

    MESSAGE = auto()
    RESULT = auto()
    OTHER = auto()
    SHOWN = auto()
    """What the model is shown."""
    SECRET = auto()
    """Named like a secret: all of it is hidden; its types stay, as schemas want."""

    def member(self, name: str) -> _Part:
        """Return what its member of that name is."""
        if self is _Part.MESSAGE:
            return _Part.RESULT if name in ("result", "error") else _Part.OTHER
        if self is _Part.RESULT:
            shown = _Part.SHOWN if name in _SECRETIVE else _Part.OTHER
            return _Part.RESULT if name == "result" else shown
        return _Part.SECRET if self is _Part.SHOWN and names_secret(name) else self

    def item(self) -> _Part:
        """Return what each item of it is."""
        return self if self in (_Part.SHOWN, _Part.SECRET) else _Part.OTHER


def redacted(line: bytes) -> bytes | None:
    """Return an answer with the secrets in its result, or in its error, masked.

    None where it cannot be looked into.
    """
    try:
        _MEMBERS.decode(line)
        return _Walk(line.decode(), _Part.MESSAGE).text.encode()
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


class _Walk:
    """One way along a JSON text that is known to be valid; `text` is what comes of it."""

    def __init__(self, text: str, part: _Part) -> None:
        self._source = text
        self._edits: list[tuple[int, int, str]] = []
        self._at = 0
        self._value(part, 0)
        self.text = self._written()

    def _written(self) -> str:
        parts: list[str] = []
        done = 0
        for start, end, new in sorted(self._edits):
            parts += (self._source[done:start], new)
            done = end
        return "".join((*parts, self._source[done:]))

    def _next(self) -> re.Match[str]:
        found = _TOKEN.match(self._source, self._at)
        if found is None:
            raise ValueError(f"no JSON at {self._at}")
        self._at = found.end()
        return found

    def _value(self, part: _Part, depth: int) -> None:
        token = self._next()
        if token[1] is not None:
            self._string(token, part)
        elif token[2] is None:
            if part is _Part.SECRET and token[3][0] in "-0123456789":
                self._edits.append((*token.span(3), "0"))
        elif depth >= _DEEPEST:
            raise RecursionError
        elif token[2] == "{":
            self._object(part, depth + 1)
        else:
            self._array(part.item(), depth + 1)

    def _array(self, part: _Part, depth: int) -> None:
        if not self._is_empty("]"):
            self._value(part, depth)
            while self._next()[2] == ",":
                self._value(part, depth)

    def _object(self, part: _Part, depth: int) -> None:
        """Look at the members; whether some are a file's bytes its `mimeType` tells."""
        if self._is_empty("}"):
            return
        of_file: list[re.Match[str]] = []
        is_file = False
        while True:
            token = self._next()
            name = _decoded(token[1])
            inner = part.member(name)
            if inner in (_Part.SHOWN, _Part.SECRET) and part is not _Part.RESULT:
                self._rename(token, name)
            is_file = is_file or name == "mimeType"
            self._next()
            ahead = _TOKEN.match(self._source, self._at)
            if name in _BYTES and part is _Part.SHOWN and ahead and ahead[1] is not None:
                of_file.append(self._next())
            else:
                self._value(inner, depth)
            if self._next()[2] != ",":
                break
        for bytes_or_text in () if is_file else of_file:
            self._string(bytes_or_text, part)

    def _is_empty(self, end: str) -> bool:
        ahead = _TOKEN.match(self._source, self._at)
        if ahead is None or ahead[2] != end:
            return False
        self._at = ahead.end()
        return True

    def _string(self, token: re.Match[str], part: _Part) -> None:
        if part not in (_Part.SHOWN, _Part.SECRET):
            return
        text = _decoded(token[1])
        hidden = part is _Part.SECRET
        self._write(token, text, (masked(len(text)) if text else "") if hidden else _safe(text))

    def _rename(self, token: re.Match[str], name: str) -> None:
        self._write(token, name, _harmless(mask_text(name)))

    def _write(self, token: re.Match[str], old: str, new: str) -> None:
        if new != old:
            self._edits.append((*token.span(1), json_text(new)))


def _decoded(token: str) -> str:
    return str(json.loads(token, strict=False)) if "\\" in token else token[1:-1]


def _safe(text: str) -> str:
    """Mask a text; one that is JSON is masked like structured content, and stays as it is laid out.

    White space apart, the two are the same, however a client shows them.
    """
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
            return _harmless(_Walk(text, _Part.SHOWN).text)
        except (ValueError, RecursionError):
            pass
    return _harmless(mask_text(text))


def _harmless(text: str) -> str:
    return _ACTIVE.sub(lambda found: visible(found[0]), text)
