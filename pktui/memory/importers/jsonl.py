"""pktui's own exchange format, as `pktui.memory.exchange` describes it: one JSON object a line.

Lines are read one by one, so a file of any size can be taken in. A line that cannot be used (no
JSON, an unknown type, a member missing or wrong, longer than 8 MiB) is counted and named by its
number, and the others are taken in.
"""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from pktui.errors import StoreError
from pktui.memory.exchange import Record, check_times
from pktui.memory.importers.source import Rejects
from pktui.text import escaped

MAX_LINE_BYTES = 8 * 1024 * 1024


class JsonlSource:
    """A JSONL file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._size = 0
        self._decoder = msgspec.json.Decoder(Record)
        self.rejects = Rejects()

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes read so far and in all."""
        return self._read, self._size

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; raises `StoreError` where the file cannot be opened."""
        try:
            with self._path.open("rb") as file:
                self._size = self._path.stat().st_size
                yield from self._records(file)
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be read: {error.strerror or error}", "Check its name and mode"
            ) from error

    def _records(self, file: BinaryIO) -> Iterator[Record]:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            self._read += len(line)
            line = self._without_mark(line) if number == 1 else line
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                self._skip_line(file)
                self.rejects.add(f"line {number}", f"is longer than {MAX_LINE_BYTES} bytes")
            elif line.strip():
                yield from self._record(line, number)

    def _without_mark(self, line: bytes) -> bytes:
        """Return the first line without a byte order mark; raises `StoreError` for UTF-16."""
        if line.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            raise StoreError(f"{self._path} is UTF-16 text", "Save it as UTF-8")
        return line.removeprefix(BOM_UTF8)

    def _record(self, line: bytes, number: int) -> Iterator[Record]:
        try:
            record = self._decoder.decode(line)
            check_times(record)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self.rejects.add(f"line {number}", str(error))
            return
        yield record

    def _skip_line(self, file: BinaryIO) -> None:
        while rest := file.readline(MAX_LINE_BYTES):
            self._read += len(rest)
            if rest.endswith(b"\n"):
                return


def write_record(record: Record, to: BinaryIO) -> None:
    """Write one record as one line, which a terminal may show."""
    to.write(escaped(msgspec.json.encode(record).decode()).encode() + b"\n")
