"""The texts of a corpus, by position: what a hit shows, and what is searched as it stands."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pktui.memory.search.forms import folded, is_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pktui.memory.search.archive import Arrays

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

_CHUNK_BYTES = 1 << 20
_CHUNK_TEXTS = 8192
# Where less than one text in so many may be looked at these are picked out, one by one.
_MANY = 4


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

    def __init__(self, old: Packed = _NOTHING, new: Sequence[bytes] = ()) -> None:
        self._old = old
        self._new = list(new)

    def __len__(self) -> int:
        return len(self._old) + len(self._new)

    def __getitem__(self, position: int) -> str:
        old = len(self._old)
        raw = self._old[position] if position < old else self._new[position - old]
        return raw.decode()

    def add(self, texts: Sequence[str]) -> None:
        """Append texts; none holds a lone surrogate."""
        self._new.extend(map(str.encode, texts))

    def forget(self, position: int) -> None:
        """Blank a text that was removed."""
        old = len(self._old)
        if position < old:
            first, last = self._old.starts[position : position + 2]
            self._old.data[first:last] = 0
        else:
            self._new[position - old] = b""

    def holding(self, needle: bytes, first: int, last: int, held: Bools) -> None:
        """Mark which texts from position `first` to `last` hold the lower-case bytes.

        Upper case counts in ASCII letters alone.
        """
        for part, at in self._parts(first, last):
            held[np.asarray(_found(needle, part), np.intp) + at] = True

    def holding_at(self, needle: bytes, positions: npt.NDArray[np.intp], held: Bools) -> None:
        """Mark which texts at the positions, which ascend, hold the lower-case bytes."""
        for first in range(0, len(positions), _CHUNK_TEXTS):
            part = positions[first : first + _CHUNK_TEXTS]
            held[part[_found(needle, self._picked(part))]] = True

    def _picked(self, positions: npt.NDArray[np.intp]) -> Packed:
        """Return the texts at the positions, which ascend."""
        starts, data = self._old.starts, self._old.data.data
        edge = int(positions.searchsorted(len(self._old)))
        old, new = positions[:edge], positions[edge:] - len(self._old)
        ends = zip(starts[old].tolist(), starts[old + 1].tolist(), strict=True)
        kept = [data[first:last] for first, last in ends]
        return _pack([*kept, *map(self._new.__getitem__, new.tolist())])

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

    def lengths(self, first: int, last: int) -> Offsets:
        """Return the bytes of each text from position `first` to `last`."""
        old = len(self._old)
        kept = np.diff(self._old.starts[first : min(last, old) + 1])
        new = self._new[max(0, first - old) : max(0, last - old)]
        return np.concatenate([kept, np.fromiter(map(len, new), np.int64, len(new))])

    def arrays(self) -> Arrays:
        """Return what it is made of; see `of`."""
        new = _pack(self._new)
        return {
            "data": [self._old.data, new.data],
            "starts": [self._old.starts, new.starts[1:] + self._old.starts[-1]],
        }

    def since(self, old: Texts) -> Texts:
        """Return the texts, the first ones read from where the old ones lie, which are the same."""
        return Texts(old._old, self._new[len(old) - len(self._old) :])

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Texts:
        """Return the texts that the arrays were made of; they are read when they are needed."""
        return cls(Packed(arrays["data"], arrays["starts"]))


class SearchedTexts:
    """Texts and, of those that are not plain, the folded form: what a search for a string reads.

    `forms` is empty at the position of a plain text, whose bytes are searched themselves.
    """

    def __init__(self, texts: Texts, forms: Texts) -> None:
        self.texts = texts
        self.forms = forms

    def add(self, texts: Sequence[str]) -> None:
        """Append texts; none holds a lone surrogate."""
        self.texts.add(texts)
        self.forms.add(["" if is_plain(text) else folded(text) for text in texts])

    def forget(self, position: int) -> None:
        """Blank a text that was removed."""
        self.texts.forget(position)
        self.forms.forget(position)

    def holding(self, wanted: str, allowed: Bools) -> Bools:
        """Return which of the allowed texts hold the wanted one, in any case and form."""
        needle = folded(wanted)
        if not needle:
            return allowed.copy()
        held = np.zeros(len(allowed), np.bool_)
        positions = np.flatnonzero(allowed)
        if len(positions) < _CHUNK_TEXTS // 8:
            held[[at for at in positions.tolist() if needle in self._form(at)]] = True
            return held
        first, last = int(positions[0]), int(positions[-1]) + 1
        plain = self.forms.lengths(first, last) == 0
        raw = needle.encode()
        if len(positions) * _MANY < last - first:
            formed = ~plain[positions - first]
            if needle.isascii():
                self.texts.holding_at(raw, positions[~formed], held)
            self.forms.holding_at(raw, positions[formed], held)
            return held
        if needle.isascii():
            self.texts.holding(raw, first, last, held)
            held[first:last] &= plain
        self.forms.holding(raw, first, last, held)
        return held & allowed

    def _form(self, position: int) -> str:
        return self.forms[position] or self.texts[position].lower()


def _pack(texts: Sequence[bytes | memoryview]) -> Packed:
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=starts[1:])
    return Packed(np.frombuffer(b"".join(texts), np.uint8), starts)


def _found(needle: bytes, texts: Packed) -> list[int]:
    """Return the numbers of the texts that hold the lower-case needle."""
    data = texts.data.tobytes().lower()
    starts = texts.starts.tolist()
    found: list[int] = []
    number = 0
    at = data.find(needle)
    while at >= 0:
        number = bisect_right(starts, at, number) - 1
        if at + len(needle) <= starts[number + 1]:
            found.append(number)
            at = starts[number + 1] - 1
        at = data.find(needle, at + 1)
    return found
