"""Lines of a JSONL file that another process may be writing, read one by one in bounded memory."""

from __future__ import annotations

import json
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import msgspec

from pktui.text import storable_parts

if TYPE_CHECKING:
    from pktui.memory.importers.source import Rejects

T = TypeVar("T")

# What a line of unlikely values raises.
UNREADABLE = (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError)


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and where its text stands; `whole` is false for a last one without its line end."""

    number: int
    offset: int
    text: bytes
    whole: bool


def lines(file: BinaryIO, most_bytes: int, rejects: Rejects, where: str = "") -> Iterator[Line]:
    """Yield the lines that say something, without a byte order mark.

    One that is longer than `most_bytes` is named in `rejects`, at `where`, and left out. Raises
    `UnicodeError` for UTF-16.
    """
    number = offset = 0
    while text := file.readline(most_bytes + 1):
        number += 1
        start, offset = offset, offset + len(text)
        whole = text.endswith(b"\n")
        if number == 1:
            text = _without_mark(text)
            start = offset - len(text)
        if len(text) > most_bytes and not whole:
            offset += _skip(file, most_bytes)
            rejects.add(f"{where}line {number}", f"is longer than {most_bytes} bytes")
        elif text.strip():
            yield Line(number, start, text, whole)


def decode(text: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return what a line says; raises one of `UNREADABLE`.

    A half surrogate, which JavaScript writes and UTF-8 cannot carry, becomes a visible escape, and
    an odd byte the replacement character.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        parts = storable_parts(json.loads(text.decode(errors="replace")))
    return msgspec.convert(parts, decoder.type)


def read_part(part: object, kind: type[T]) -> T | None:
    """Return a part of a line in its form, None where it is missing or of another form.

    For what a line may lack, so that the rest of it counts.
    """
    try:
        return msgspec.convert(part, kind)
    except msgspec.ValidationError:
        return None


def _without_mark(line: bytes) -> bytes:
    if line.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise UnicodeError("is UTF-16 text")
    return line.removeprefix(BOM_UTF8)


def _skip(file: BinaryIO, most_bytes: int) -> int:
    """Read up to the next line and return the number of bytes."""
    skipped = 0
    while rest := file.readline(most_bytes):
        skipped += len(rest)
        if rest.endswith(b"\n"):
            break
    return skipped
