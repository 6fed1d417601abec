"""One line, one message: bytes cut into lines without keeping more than a line's limit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from pktui.gateway.protocol.ids import NO_IDS, Ids, IdScan, ids_in

CHUNK: Final = 64 * 1024
# Bytes kept of a line that is too long, so that what it was can still be told.
HEAD: Final = 4 * 1024


class TooLong:
    """A line beyond the limit; `head` is its beginning, `ids` who may wait for it."""

    __slots__ = ("head", "ids")

    def __init__(self, head: bytes, ids: Ids = NO_IDS) -> None:
        self.head = head
        self.ids = ids

    @classmethod
    def of(cls, line: bytes) -> TooLong:
        """Return what is left of a line that came whole and is not looked at."""
        return cls(line[:HEAD], ids_in(line))


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
        self.limit = limit
        # Bytes of the line that is not whole yet.
        self.kept = 0
        self._kept = bytearray()
        self._scan: IdScan | None = None

    def feed(self, chunk: bytes) -> list[bytes | TooLong]:
        """Return the lines that this chunk completes."""
        if not self.kept and chunk.endswith(b"\n") and len(chunk) <= self.limit:
            return list(chunk[:-1].split(b"\n"))
        first, *rest = chunk.split(b"\n")
        self._keep(first)
        if not rest:
            return []
        lines = [self._take()]
        *whole, last = rest
        lines += [line if len(line) <= self.limit else TooLong.of(line) for line in whole]
        self._keep(last)
        return lines

    def end(self) -> list[bytes | TooLong]:
        """Return what is left after the last newline, if anything."""
        return [self._take()] if self.kept else []

    def _keep(self, part: bytes) -> None:
        before = self.kept
        self.kept += len(part)
        if before <= self.limit:
            self._kept += part
        if self.kept > self.limit:
            self._pass_over(part)

    def _pass_over(self, part: bytes) -> None:
        """Keep only the beginning of a line that is too long, and look for its id."""
        if self._scan is None:
            self._scan = IdScan()
            self._scan.feed(self._kept)
        else:
            self._scan.feed(part)
        del self._kept[HEAD:]

    def _take(self) -> bytes | TooLong:
        line, scan = bytes(self._kept), self._scan
        self._kept.clear()
        self.kept = 0
        self._scan = None
        return line if scan is None else TooLong(line, scan.found)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, or raise `OSError`; blocks while the reader is slow."""
    written = os.write(descriptor, data)
    while written < len(data):
        data = data[written:]
        written = os.write(descriptor, data)
