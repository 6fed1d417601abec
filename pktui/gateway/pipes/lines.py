"""One line, one message: bytes cut into lines without keeping more than a line's limit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

CHUNK: Final = 64 * 1024
HEAD: Final = 4 * 1024
"""Bytes kept of a line that is too long, so that what it was can still be told."""


class TooLong:
    """A line beyond the limit; `head` is its beginning."""

    __slots__ = ("head",)

    def __init__(self, head: bytes) -> None:
        self.head = head


def read_lines(descriptor: int, limit: int) -> Iterator[list[bytes | TooLong]]:
    """Yield the lines of each read, without their newlines, until the descriptor ends.

    A line of more than `limit` bytes is read to its end, dropped and yielded as `TooLong`. Text
    after the last newline is a line. A descriptor that fails counts as ended.
    """
    cutter = LineCutter(limit)
    while chunk := read_some(descriptor):
        if lines := cutter.feed(chunk):
            yield lines
    if lines := cutter.end():
        yield lines


def read_some(descriptor: int) -> bytes | None:
    """Return what can be read, empty at its end, None where there is nothing now."""
    try:
        return os.read(descriptor, CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


class LineCutter:
    """Chunks in, whole lines out; what is kept between chunks is bounded."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes | TooLong]:
        """Return the lines that this chunk completes."""
        if not self._size and chunk.endswith(b"\n") and len(chunk) <= self._limit:
            return list(chunk[:-1].split(b"\n"))
        first, *rest = chunk.split(b"\n")
        self._keep(first)
        if not rest:
            return []
        lines = [self._take()]
        *whole, last = rest
        lines += [line if len(line) <= self._limit else TooLong(line[:HEAD]) for line in whole]
        self._keep(last)
        return lines

    def end(self) -> list[bytes | TooLong]:
        """Return what is left after the last newline, if anything."""
        return [self._take()] if self._size else []

    def _keep(self, part: bytes) -> None:
        before = self._size
        self._size += len(part)
        if before <= self._limit:
            self._kept += part
        if self._size > self._limit:
            del self._kept[HEAD:]

    def _take(self) -> bytes | TooLong:
        line, size = bytes(self._kept), self._size
        self._kept.clear()
        self._size = 0
        return TooLong(line) if size > self._limit else line


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, or raise `OSError`; blocks while the reader is slow."""
    written = os.write(descriptor, data)
    while written < len(data):
        data = data[written:]
        written = os.write(descriptor, data)
