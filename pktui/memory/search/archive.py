"""Arrays in one file, mapped into memory when it is read: what is derived is derived once.

    magic, 16 bytes · length of the index, 8 bytes · index (JSON) · arrays, each 64 bytes aligned

A file is written beside its place and renamed, so that it is whole or not there. Its content must
be checked by the reader: it may be older than what it was derived from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from pktui.files import replacing

if TYPE_CHECKING:
    from typing import BinaryIO

# Arrays by name, each in one-dimensional parts.
Arrays = Mapping[str, Sequence[npt.NDArray[Any]]]

_MAGIC = b"pktui archive 1\n"
_ALIGNED = 64


class _Entry(msgspec.Struct, frozen=True):
    name: str
    dtype: str
    start: int
    length: int


class _Index(msgspec.Struct, frozen=True):
    facts: msgspec.Raw
    entries: list[_Entry]
    size: int


@dataclass(frozen=True, slots=True)
class Archive:
    """What a file holds: `facts` as JSON, and the arrays. Writing to one changes no file."""

    facts: bytes
    arrays: Mapping[str, npt.NDArray[Any]]

    def part(self, name: str) -> Mapping[str, npt.NDArray[Any]]:
        """Return the arrays whose names begin with `name.`, without that."""
        start = f"{name}."
        return {
            key.removeprefix(start): values
            for key, values in self.arrays.items()
            if key.startswith(start)
        }


class NoArchive(Exception):
    """The file is not there, or is not what `write_archive` wrote; the text says which."""


def write_archive(path: Path, facts: bytes, arrays: Arrays) -> None:
    """Write the file in place of the one there; raises `OSError`."""
    entries = []
    at = 0
    for name, parts in arrays.items():
        length = sum(len(part) for part in parts)
        dtype = parts[0].dtype if parts else np.dtype(np.uint8)
        entries.append(_Entry(name, dtype.str, at, length))
        at = _aligned(at + length * dtype.itemsize)
    index = msgspec.json.encode(_Index(msgspec.Raw(facts), entries, at))
    with replacing(path, one_writer=True) as file:
        file.write(_MAGIC + len(index).to_bytes(8, "little") + index)
        for parts in arrays.values():
            _pad(file)
            for part in parts:
                file.write(np.ascontiguousarray(part).data)
        _pad(file)


def read_archive(path: Path) -> Archive:
    """Map the file; raises `NoArchive`."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC) + 8)
            length = int.from_bytes(head[len(_MAGIC) :], "little")
            size = os.fstat(file.fileno()).st_size
            if not head.startswith(_MAGIC) or length > size:
                raise NoArchive(f"{path} is no archive of this version")
            index = msgspec.json.decode(file.read(length), type=_Index)
        first = _aligned(len(head) + length)
        if first + index.size != size:
            raise NoArchive(f"{path} is not whole")
        mapped = np.memmap(path, np.uint8, "c")
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise NoArchive(f"{path} cannot be read: {error}") from error
    arrays = {entry.name: _array(mapped, first, entry) for entry in index.entries}
    return Archive(bytes(index.facts), arrays)


def _array(mapped: npt.NDArray[np.uint8], first: int, entry: _Entry) -> npt.NDArray[Any]:
    dtype = np.dtype(entry.dtype)
    start = first + entry.start
    raw = np.asarray(mapped)[start : start + entry.length * dtype.itemsize]
    return raw.view(dtype)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED


def _pad(file: BinaryIO) -> None:
    at = file.tell()
    file.write(bytes(_aligned(at) - at))
