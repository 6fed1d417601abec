"""A store that keeps each session in a file of its own, lines appended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.memory.importers.files import Found, StoreFiles
from pktui.memory.importers.source import Rejects

if TYPE_CHECKING:
    from pktui.memory.exchange import Record
    from pktui.memory.importers.lines import Line


class Transcripts(ABC):
    """An import source of such files, below a directory or a single one.

    A file that cannot be read is named, and the others are read.
    """

    def __init__(
        self,
        root: Path,
        fits: Callable[[Path], bool],
        enters: Callable[[Path], bool] = lambda _: True,
    ) -> None:
        self.rejects = Rejects()
        self._files = StoreFiles(root, self.rejects, fits, enters)
        self._done = 0
        self._at = 0

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes read so far and in all."""
        return self._done + self._at, self._files.size

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; raises `StoreError` where the root cannot be read."""
        for found in self._files.find():
            try:
                yield from self._records(found)
            except OSError as error:
                self.rejects.add(self._files.name(found), f"cannot be read: {error.strerror}")
            except UnicodeError as error:
                self.rejects.add(self._files.name(found), str(error))
            self._done, self._at = self._done + found.size, 0

    @abstractmethod
    def _records(self, found: Found) -> Iterator[Record]:
        """Yield a file's session with its messages."""

    def _lines(self, found: Found) -> Iterator[Line]:
        """Yield a file's lines, telling how far it is."""
        for line in self._files.lines(found):
            self._at = min(line.offset + len(line.text), found.size)
            yield line

    def _refuse(self, found: Found, line: Line, error: Exception) -> None:
        """Name a line that cannot be used; a last one that is half written is left for later."""
        if line.whole:
            self.rejects.add(f"{self._files.name(found)} line {line.number}", str(error))
