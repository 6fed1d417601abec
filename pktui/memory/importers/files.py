"""The files of an agent's store: found without following links, opened for reading only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, BinaryIO

from pktui.errors import StoreError
from pktui.memory.importers.lines import Line, lines
from pktui.text import storable

if TYPE_CHECKING:
    from pktui.memory.importers.source import Rejects

MAX_LINE_BYTES = 32 * 1024 * 1024
# Directories below a store that are looked into.
MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a store, its size in bytes and when it was last written (seconds, epoch)."""

    path: Path
    size: int
    written_at: float


class StoreFiles:
    """The files below a root whose path fits, the one that was written last at the end.

    A root that is a file is the only one; a directory that `enters` does not name is passed by.
    `done` and `size` are bytes read and in all.
    """

    def __init__(
        self,
        root: Path,
        rejects: Rejects,
        fits: Callable[[Path], bool],
        enters: Callable[[Path], bool] = lambda _: True,
    ) -> None:
        self._root = root
        self._rejects = rejects
        self._fits = fits
        self._enters = enters
        self.done = 0
        self.size = 0

    def find(self) -> list[Found]:
        """Return the files; raises `StoreError` where the root cannot be read."""
        try:
            found = [*self._below(self._root, 0)] if self._root.is_dir() else [self._only()]
        except OSError as error:
            raise StoreError(
                f"{storable(str(self._root))} cannot be read: {error.strerror or error}",
                "Give the path of the store",
            ) from error
        self.size = sum(one.size for one in found)
        return sorted(found, key=lambda one: (one.written_at, one.path))

    def name(self, found: Found) -> str:
        """Return what a file is called in a report: its path below the root."""
        path = found.path
        below = path.relative_to(self._root) if path != self._root else Path(path.name)
        return storable(str(below))

    @contextmanager
    def opened(self, found: Found) -> Iterator[BinaryIO]:
        """Open a file for reading; raises `OSError` where it is no plain file any more."""
        last = os.O_NOFOLLOW if found.path != self._root else 0
        handle = os.open(found.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | last)
        with os.fdopen(handle, "rb") as file:
            if not S_ISREG(os.fstat(handle).st_mode):
                raise OSError(f"{found.path} is no plain file")
            yield file

    def lines(self, found: Found, rejects: Rejects | None = None) -> Iterator[Line]:
        """Yield a file's lines; what cannot be one is named in `rejects`, else in those of all."""
        with self.opened(found) as file:
            where = f"{self.name(found)} "
            yield from lines(file, MAX_LINE_BYTES, rejects or self._rejects, where)

    def _only(self) -> Found:
        only = _found(self._root, self._root.stat())
        if not self._root.is_file():
            raise StoreError(f"{storable(str(self._root))} is no plain file", "Give another path")
        return only

    def _below(self, directory: Path, depth: int) -> Iterator[Found]:
        with os.scandir(directory) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                yield from self._entry(entry, depth)

    def _entry(self, entry: os.DirEntry[str], depth: int) -> Iterator[Found]:
        path = Path(entry.path)
        try:
            if entry.is_symlink():
                if self._fits(path) or (path.is_dir() and self._enters(path)):
                    self._refuse(path, "is a link, and links are not followed")
            elif entry.is_dir():
                if not self._enters(path):
                    return
                if depth < MAX_DEPTH:
                    yield from self._below(path, depth + 1)
                else:
                    self._refuse(path, f"is more than {MAX_DEPTH} directories deep")
            elif entry.is_file() and self._fits(path):
                yield _found(path, entry.stat(follow_symlinks=False))
        except OSError as error:
            self._refuse(path, f"cannot be read: {error.strerror or error}")

    def _refuse(self, path: Path, why: str) -> None:
        self._rejects.add(storable(str(path.relative_to(self._root))), why)


def _found(path: Path, stat: os.stat_result) -> Found:
    return Found(path, stat.st_size, stat.st_mtime)
