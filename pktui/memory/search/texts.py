"""The texts of a corpus, by position: what a hit shows, and what is searched as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pktui.memory.search.archive import Arrays

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

_CHUNK_BYTES = 1 << 20
_CHUNK_TEXTS = 8192


@dataclass(frozen=True, slots=True)
class Packed:
    """Texts in UTF-8 one after the other: that of `n` is from `starts[n]` to `starts[n + 1]`."""

    data: Bytes
    starts: Offsets

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, number: int) -> bytes:
        return self.data[self.starts[number] : self.starts[number + 1]].tobytes()


_NOTHING = Packed(np.zeros(0, np.uint8), np.zeros(1, np.int64))


class Texts:
    """Texts by position, append-only: old ones packed, perhaps on disk, the rest one by one.

    Not thread-safe but for `holding`, which may run beside `add`.
    """

    def __init__(self, old: Packed = _NOTHING) -> None:
        self._old = old
        self._new: list[bytes] = []

    def __len__(self) -> int:
        return len(self._old) + len(self._new)

    def __getitem__(self, position: int) -> str:
        old = len(self._old)
        raw = self._old[position] if position < old else self._new[position - old]
        return raw.decode()

    def add(self, texts: Sequence[str]) -> None:
        """Append texts; none holds a lone surrogate."""
        self._new += [text.encode() for text in texts]

    def forget(self, position: int) -> None:
        """Blank a text that was removed."""
        old = len(self._old)
        if position < old:
            first, last = self._old.starts[position : position + 2]
            self._old.data[first:last] = 0
        else:
            self._new[position - old] = b""

    def holding(self, wanted: str, allowed: Bools) -> Bools:
        """Return which of the allowed texts hold the wanted one, in any case."""
        held = np.zeros(len(allowed), np.bool_)
        positions = np.flatnonzero(allowed)
        if not wanted.isascii() or len(positions) < _CHUNK_TEXTS // 8:
            lowered = wanted.lower()
            held[[at for at in positions.tolist() if lowered in self[at].lower()]] = True
            return held
        needle = wanted.lower().encode()
        for part, first in self._parts(int(positions[0]), int(positions[-1]) + 1):
            held[_found(needle, part) + first] = True
        return held & allowed

    def _parts(self, first: int, last: int) -> Iterator[tuple[Packed, int]]:
        """Yield the texts from position `first` to `last` in parts, with the position of each."""
        old = len(self._old)
        starts = self._old.starts
        at = first
        while at < min(last, old):
            end = int(np.searchsorted(starts, starts[at] + _CHUNK_BYTES, side="right")) - 1
            end = min(max(end, at + 1), last, old)
            own = starts[at : end + 1]
            yield Packed(self._old.data[own[0] : own[-1]], own - own[0]), at
            at = end
        while at < last:
            end = min(at + _CHUNK_TEXTS, last)
            yield _pack(self._new[at - old : end - old]), at
            at = end

    def arrays(self) -> Arrays:
        """Return what it is made of; see `of`."""
        new = _pack(self._new)
        return {
            "data": [self._old.data, new.data],
            "starts": [self._old.starts, new.starts[1:] + self._old.starts[-1]],
        }

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Texts:
        """Return the texts that the arrays were made of; they are read when they are needed."""
        return cls(Packed(arrays["data"], arrays["starts"]))


def _pack(texts: Sequence[bytes]) -> Packed:
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=starts[1:])
    return Packed(np.frombuffer(b"".join(texts), np.uint8), starts)


def _found(needle: bytes, texts: Packed) -> npt.NDArray[np.int64]:
    """Return the numbers of the texts that hold the lower-case needle."""
    data = texts.data.tobytes().lower()
    found: list[int] = []
    at = data.find(needle)
    while at >= 0:
        number = int(np.searchsorted(texts.starts, at, side="right")) - 1
        end = int(texts.starts[number + 1])
        if at + len(needle) <= end:
            found.append(number)
            at = data.find(needle, end)
        else:
            at = data.find(needle, at + 1)
    return np.asarray(found, np.int64)
