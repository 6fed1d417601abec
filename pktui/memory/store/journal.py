"""The store's journal: what was acknowledged and is not yet in the tables.

Segments in one directory, numbered from 1, each an append-only file of checksummed lines:

    CRC-32 of the rest, 8 hex digits · space · ["kind",[row,…]] · newline

One append is one `write(2)`, so that a killed process leaves whole lines. A line whose checksum
does not fit was torn by a power cut or damaged later: it is kept aside and the others count.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.files import PRIVATE_DIRECTORY, open_private, sync_directory, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DIRECTORY = "journal"
_SEGMENT = "*.journal"
_ASIDE = ".damaged"
_CHECKSUM = 9


@dataclass(frozen=True, slots=True)
class Found:
    """What a journal holds: kinds and rows as they were appended, and the number of bad lines."""

    appends: tuple[tuple[str, list[Any]], ...]
    damaged: int


class Journal:
    """The journal in a directory, which is made when it is first needed.

    Not thread-safe: its owner holds a lock around every call. Raises `OSError`. With `sync` an
    append returns when it is on the disk; else it survives the process, not a power cut.
    """

    def __init__(self, directory: Path, *, sync: bool = False) -> None:
        self._directory = directory
        self._sync = sync
        self._sealed = self._segments()
        self._number = max(map(_number, directory.glob("*.*")), default=0)
        self._file = -1
        self._path = directory
        self._size = 0

    def append(self, kind: str, rows: Sequence[object]) -> int:
        """Append rows in one write, all or none; returns the bytes it took."""
        data = msgspec.json.encode((kind, rows))
        data = b"%08x %b\n" % (zlib.crc32(data), data)
        if self._file >= 0 and not os.fstat(self._file).st_nlink:
            self.seal()  # somebody removed it: nothing more may go there
        if self._file < 0:
            self._begin()
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            if self._sync:
                os.fdatasync(self._file)
        except OSError:
            self._take_back()
            raise
        self._size += len(data)
        return len(data)

    @property
    def gone(self) -> bool:
        """Tell whether the store that it is the journal of was removed."""
        return not self._directory.parent.is_dir()

    def seal(self) -> tuple[Path, ...]:
        """Let the next append begin a new segment; returns the segments there are before it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._sealed = (*self._sealed, self._path)
        return self._sealed

    def discard(self, segments: Sequence[Path]) -> None:
        """Remove sealed segments whose rows are in the tables."""
        if self._sync and segments:
            os.sync()  # the tables' library does not wait for the disk
        for path in segments:
            path.unlink(missing_ok=True)
            self._sealed = tuple(one for one in self._sealed if one != path)
        if self._sync and segments:
            sync_directory(self._directory)

    def read(self, kinds: Mapping[str, Any]) -> Found:
        """Return what the sealed segments hold; `kinds` has the type of each kind's rows.

        Lines that cannot be read are copied beside their segment.
        """
        appends: list[tuple[str, list[Any]]] = []
        damaged = 0
        for path in self._sealed:
            bad = []
            for line in path.read_bytes().split(b"\n"):
                found = _read(line, kinds)
                if found is not None:
                    appends.append(found)
                elif line:
                    bad.append(line)
            if bad:
                damaged += len(bad)
                write_whole(path.with_suffix(_ASIDE), b"\n".join(bad))
        return Found(tuple(appends), damaged)

    def _segments(self) -> tuple[Path, ...]:
        return tuple(sorted((p for p in self._directory.glob(_SEGMENT) if _number(p)), key=_number))

    def _begin(self) -> None:
        with suppress(FileExistsError):
            self._directory.mkdir(mode=PRIVATE_DIRECTORY)  # not a store that was removed
        self._number += 1
        self._path = self._directory / f"{self._number:08}.journal"
        self._file = open_private(self._path, os.O_WRONLY | os.O_APPEND | os.O_EXCL)
        self._size = 0
        if self._sync:
            sync_directory(self._directory)

    def _take_back(self) -> None:
        """Leave nothing half-written; where that fails too, write no more behind it."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self.seal()


def _read(line: bytes, kinds: Mapping[str, Any]) -> tuple[str, list[Any]] | None:
    body = line[_CHECKSUM:]
    if line[:_CHECKSUM] != b"%08x " % zlib.crc32(body):
        return None
    try:
        kind, rows = msgspec.json.decode(body, type=tuple[str, msgspec.Raw])
        return kind, msgspec.json.decode(rows, type=list[kinds[kind]])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, KeyError):
        return None


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isascii() and path.stem.isdigit() else 0
