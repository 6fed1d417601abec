"""pktui's own exchange format, as `pktui.memory.interchange` describes it: one JSON object a line.

Lines are read one by one, so a file of any size can be taken in. A line that cannot be used (no
JSON, an unknown type, a member missing or wrong, longer than 8 MiB) is counted and named by its
number, and the others are taken in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from pktui.errors import StoreError
from pktui.memory.importers.lines import UNREADABLE, Line, lines
from pktui.memory.importers.source import Rejects
from pktui.memory.interchange import Record, check_times
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
                for line in lines(file, MAX_LINE_BYTES, self.rejects):
                    self._read = line.offset + len(line.text)
                    yield from self._record(line)
                self._read = file.tell()
        except UnicodeError as error:
            raise StoreError(f"{self._path} {error}", "Save it as UTF-8") from error
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be read: {error.strerror or error}", "Check its name and mode"
            ) from error

    def _record(self, line: Line) -> Iterator[Record]:
        try:
            record = self._decoder.decode(line.text)
            check_times(record)
        except UNREADABLE as error:
            self.rejects.add(f"line {line.number}", str(error))
            return
        yield record


def write_record(record: Record, to: BinaryIO) -> None:
    """Write one record as one line, which a terminal may show."""
    to.write(escaped(msgspec.json.encode(record).decode()).encode() + b"\n")
