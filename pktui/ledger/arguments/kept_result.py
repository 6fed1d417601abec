"""What a tool answered, as the record keeps it: secrets masked, bytes of files left out, cut.

Work is bounded by what is kept: of a long answer only as much is decoded as can be looked into.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from pktui.ledger.arguments.canonical import json_text
from pktui.ledger.arguments.masking import CUT, MAX_DEPTH, Shape, fitted
from pktui.ledger.arguments.secrets import mask_text, names_secret, shows_secret

if TYPE_CHECKING:
    from collections.abc import Callable

ResultsMode = Literal["masked", "off", "hash"]

# Bytes of JSON text that are kept of a result.
MOST_BYTES: Final = 16 * 1024
_CUTS: Final = (12 * 1024, 4096, 1024, 256, 32)
# What is longer is decoded in parts, of which long texts are cut unread.
_DECODED: Final = 64 * 1024
_PARTS: Final = 4096
# Members of content, and of agents' own results, that hold a file's bytes in base64.
_FILES: Final = frozenset({"data", "blob", "base64"})
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{64}")
_NAMES: Final = re.compile(r'"([^"\\]*)"\s*:')
_LONGEST_ESCAPE: Final = 12
_decode: Final = msgspec.json.Decoder().decode
_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def kept_result(answered: bytes, mode: ResultsMode) -> str:
    """Return what a result's row says, the JSON text of a `pktui.ledger.records.Result`.

    `answered` is the result, or the error, as the agent got it, JSON text. `masked`: at most
    `MOST_BYTES` of it, secrets replaced by masks and files by their sizes; `hash`: its SHA-256.
    """
    size = len(answered)
    if mode == "hash":
        return json_text({"bytes": size, "sha256": hashlib.sha256(answered).hexdigest()})
    text = _as_it_came(answered) or fitted(
        _without_echo(_opened(answered)), partial(_ResultShape, mask=True), _CUTS, MOST_BYTES
    )
    return f'{{"bytes":{size},"result":{text}}}'


def _as_it_came(answered: bytes) -> str:
    """Return the text where nothing in it is to be masked or cut, as most are; empty: it may be."""
    if len(answered) > MOST_BYTES or b"\\u" in answered:
        return ""
    text = answered.decode(errors="replace")
    flat = text.count("{") + text.count("[") < MAX_DEPTH
    return text if flat and _are_plain(*_NAMES.findall(text)) and not shows_secret(text) else ""


@lru_cache(maxsize=256)
def _are_plain(*names: str) -> bool:
    return not any(name in _FILES or names_secret(name) for name in names)


def _opened(answered: bytes, depth: int = 0) -> Any:
    """Decode JSON text; of what is long only as much as can be kept."""
    if len(answered) <= _DECODED:
        with suppress(msgspec.DecodeError, RecursionError):
            return _decode(answered)
        return CUT
    if answered.startswith(b'"'):
        return _head(answered)
    if depth < MAX_DEPTH and answered.count(b"{") + answered.count(b"[") <= _PARTS:
        with suppress(msgspec.DecodeError, RecursionError):
            if answered.startswith(b"{"):
                members = _decode_object(answered)
                return {name: _opened(bytes(one), depth + 1) for name, one in members.items()}
            return [_opened(bytes(one), depth + 1) for one in _decode_array(answered)]
    return CUT


def _head(written: bytes) -> str:
    """Return the beginning of a long text; it may end in the middle of an escape or a character."""
    head = written[: 2 * MOST_BYTES]
    for back in range(_LONGEST_ESCAPE):
        with suppress(msgspec.DecodeError):
            # So long that it is known for more than is kept, and for how long a file is.
            return _Long(_decode(head[: len(head) - back] + b'"'), len(written) - 2)
    return CUT


class _Long(str):
    """The beginning of a text of that length."""

    whole = 0

    def __new__(cls, head: str, whole: int) -> _Long:
        made = super().__new__(cls, head)
        made.whole = whole
        return made


def _without_echo(value: Any) -> Any:
    """Leave out structured content that a text says as well, as MCP wants it for older clients."""
    if not isinstance(value, dict) or "structuredContent" not in value:
        return value
    content, structured = value.get("content"), value["structuredContent"]
    blocks = content if isinstance(content, list) else ()
    texts = [block.get("text") for block in blocks if isinstance(block, dict)]
    said = [texts[0]] if len(texts) == 1 and isinstance(texts[0], str) else []
    with suppress(msgspec.DecodeError, RecursionError):
        said += [_decode(text) for text in said]
    if structured in said or any(structured == {"result": one} for one in said):
        return {name: one for name, one in value.items() if name != "structuredContent"}
    return value


class _ResultShape(Shape):
    """The copy of a result: files are their sizes, and JSON inside of a text is masked as such."""

    _inside = False

    def _member(self, key: str, value: object, depth: int) -> object:
        if key in _FILES and isinstance(value, str) and _BASE64.match(value):
            long = value.whole if isinstance(value, _Long) else len(value)
            return f"[{long * 3 // 4:,} bytes]"
        return super()._member(key, value, depth)

    def _text(self, text: str, mask: Callable[[str], str] = mask_text) -> str:
        if text[:1] in ("{", "[") and not self._inside and not isinstance(text, _Long):
            with suppress(msgspec.DecodeError, RecursionError):
                value = _decode(text)
                self._inside = True
                try:
                    text = json_text(self.of(value, 1))
                finally:
                    self._inside = False
        return super()._text(text, mask)
