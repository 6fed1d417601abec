"""The word index: which documents hold a term, and how often. Derived from the texts.

A document is a position (0, 1, 2 …) that the caller knows. Segments are immutable: arrays of
positions sorted by term. New documents gather in a small open part that becomes a segment when
it is full; segments of similar size are merged, so that a lookup reads few of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pktui.memory.search.columns import Columns
from pktui.memory.search.tokens import terms, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pktui.memory.search.archive import Arrays

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.uint8]

_OPEN_DOCUMENTS = 1024
# Words whose terms are remembered; a store of many languages and hashes has more.
_MOST_WORDS = 200_000


@dataclass(frozen=True, slots=True)
class _Segment:
    """`ids` are the sorted terms in it; those of `ids[i]` lie from `starts[i]` to `starts[i+1]`."""

    ids: Ints
    starts: npt.NDArray[np.int64]
    positions: Ints
    counts: Counts

    def find(self, term: int) -> tuple[Ints, Counts]:
        at = int(np.searchsorted(self.ids, term))
        if at == len(self.ids) or self.ids[at] != term:
            return self.positions[:0], self.counts[:0]
        part = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return self.positions[part], self.counts[part]

    def only(self, alive: npt.NDArray[np.bool_]) -> _Segment:
        """Return what it says about the documents that are alive."""
        kept = alive[self.positions]
        sums = np.concatenate([[0], np.cumsum(kept)])
        sizes = sums[self.starts[1:]] - sums[self.starts[:-1]]
        held = sizes > 0
        starts = np.concatenate([[0], np.cumsum(sizes[held])]).astype(np.int64)
        return _Segment(self.ids[held], starts, self.positions[kept], self.counts[kept])


class WordIndex:
    """Terms to documents. Not thread-safe: the owner holds its lock around every call."""

    def __init__(self) -> None:
        self._terms: dict[str, int] = {}
        self._numbers_of: dict[str, tuple[int, ...]] = {}
        self._segments: list[_Segment] = []
        self._open: dict[int, list[tuple[int, int]]] = {}
        self._open_documents = 0
        self._written: tuple[_Segment, ...] = ()
        """The segments that `arrays` told of last."""
        self._rows = Columns(np.dtype([("lengths", np.float32)]))

    @property
    def lengths(self) -> Floats:
        """The number of terms in each document, by position."""
        return self._rows["lengths"]

    def add(self, first: int, texts: Sequence[str]) -> Sequence[int]:
        """Index texts whose positions count up from `first`, the number indexed so far.

        Returns the number of terms in each.
        """
        assert first == len(self._rows)
        numbers = list(map(self._numbers, texts))
        lengths = list(map(len, numbers))
        self._rows.extend({"lengths": lengths})
        if len(texts) >= _OPEN_DOCUMENTS:
            self._close_segment()
            self._push(_counted(first, numbers))
            return lengths
        for position, found in enumerate(numbers, first):
            for term, count in Counter(found).items():
                self._open.setdefault(term, []).append((position, count))
        self._open_documents += len(texts)
        if self._open_documents >= _OPEN_DOCUMENTS:
            self._close_segment()
        return lengths

    def find(self, term: str) -> tuple[Ints, Counts]:
        """Return the positions of the documents with the term, ascending, and how often each.

        More than 255 times counts as that.
        """
        number = self._terms.get(term)
        if number is None:
            return np.zeros(0, np.int32), np.zeros(0, np.uint8)
        parts = [segment.find(number) for segment in self._segments]
        recent = self._open.get(number)
        if recent:
            pairs = np.array(recent, np.int32)
            parts.append((pairs[:, 0], _counts(pairs[:, 1])))
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([p for p, _ in parts]), np.concatenate([c for _, c in parts])

    def count(self, term: str) -> int:
        """Return how many documents have the term, removed ones perhaps among them."""
        number = self._terms.get(term)
        if number is None:
            return 0
        closed = sum(len(segment.find(number)[0]) for segment in self._segments)
        return closed + len(self._open.get(number, ()))

    def arrays(self) -> Arrays:
        """Return what it is made of; see `adopt`."""
        self._close_segment()
        self._written = tuple(self._segments)
        parts = {
            f"{name}.{at}": [values]
            for at, segment in enumerate(self._segments)
            for name, values in (
                ("ids", segment.ids),
                ("starts", segment.starts),
                ("positions", segment.positions),
                ("counts", segment.counts),
            )
        }
        terms_known = "\n".join(self._terms).encode()
        return {
            **parts,
            "terms": [np.frombuffer(terms_known, np.uint8)],
            "lengths": [self.lengths],
        }

    def adopt(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Read what is in the arrays from there from now on; nothing was removed since."""
        if not self._terms:
            known = arrays["terms"].tobytes().decode()
            self._terms = {term: n for n, term in enumerate(known.split("\n") if known else ())}
        if len(self._rows) in (0, len(arrays["lengths"])):
            self._rows.adopt(arrays)
        kept: list[_Segment] = []
        while f"ids.{(at := len(kept))}" in arrays:
            ids, starts = arrays[f"ids.{at}"], arrays[f"starts.{at}"]
            positions, counts = arrays[f"positions.{at}"], arrays[f"counts.{at}"]
            kept.append(_Segment(ids, starts, positions, counts))
        if not self._segments:
            self._segments = kept
        for at, (own, written) in enumerate(zip(self._segments, self._written, strict=False)):
            if own is not written:
                break  # joined with what came since
            self._segments[at] = kept[at]
        self._written = ()

    def purge(self, alive: npt.NDArray[np.bool_]) -> None:
        """Forget the documents that are not alive, by position, and terms that no other has."""
        self._close_segment()
        self._segments = [segment.only(alive) for segment in self._segments]
        used = np.zeros(len(self._terms), np.bool_)
        for segment in self._segments:
            used[segment.ids] = True
        numbers = np.cumsum(used, dtype=np.int32) - 1
        known = [term for term, number in self._terms.items() if used[number]]
        self._terms = {term: number for number, term in enumerate(known)}
        self._numbers_of.clear()
        self._segments = [
            _Segment(numbers[s.ids], s.starts, s.positions, s.counts) for s in self._segments
        ]

    def _numbers(self, text: str) -> list[int]:
        """Return the numbers of the terms in the text, in order."""
        found = words(text)
        known = self._numbers_of
        new = set(found).difference(known)
        if new:
            if len(known) > _MOST_WORDS:
                known.clear()
                new = set(found)
            for word in new:
                known[word] = tuple(
                    self._terms.setdefault(term, len(self._terms)) for term in terms(word)
                )
        return list(chain.from_iterable(map(known.__getitem__, found)))

    def _close_segment(self) -> None:
        """Make a segment of what is open."""
        pairs = [
            (term, position, count)
            for term, found in self._open.items()
            for position, count in found
        ]
        self._open = {}
        self._open_documents = 0
        if pairs:
            rows = np.array(pairs, np.int32)
            self._push(_segment([(rows[:, 0], rows[:, 1], _counts(rows[:, 2]))]))

    def _push(self, segment: _Segment) -> None:
        """Keep a segment; join it with those before it that are not much larger."""
        while self._segments and len(self._segments[-1].counts) < 2 * len(segment.counts):
            segment = _segment(_columns([self._segments.pop(), segment]))
        self._segments.append(segment)


def _counted(first: int, numbers: Sequence[Sequence[int]]) -> _Segment:
    """Return the segment of documents from position `first`, given their terms' numbers."""
    lengths = np.fromiter(map(len, numbers), np.int64, len(numbers))
    found = np.fromiter(chain.from_iterable(numbers), np.int64, int(lengths.sum()))
    positions = np.repeat(np.arange(first, first + len(numbers), dtype=np.int64), lengths)
    keys, counts = np.unique((found << 32) | positions, return_counts=True)
    terms_found = (keys >> 32).astype(np.int32)
    return _segment([(terms_found, (keys & 0xFFFFFFFF).astype(np.int32), _counts(counts))])


def _counts(counts: npt.NDArray[Any]) -> Counts:
    return np.asarray(np.minimum(counts, 255), np.uint8)


def _columns(segments: Iterable[_Segment]) -> list[tuple[Ints, Ints, Counts]]:
    return [(np.repeat(s.ids, np.diff(s.starts)), s.positions, s.counts) for s in segments]


def _segment(parts: list[tuple[Ints, Ints, Counts]]) -> _Segment:
    """Sort columns of terms, positions and counts by term; positions keep their order."""
    numbers = np.concatenate([part[0] for part in parts])
    order = np.argsort(numbers, kind="stable")
    ids, starts = np.unique(numbers[order], return_index=True)
    return _Segment(
        ids=ids,
        starts=np.append(starts, len(numbers)).astype(np.int64),
        positions=np.concatenate([part[1] for part in parts])[order],
        counts=np.concatenate([part[2] for part in parts])[order],
    )
