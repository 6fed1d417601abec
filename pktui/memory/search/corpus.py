"""What can be searched, in memory: one corpus of all messages, one of all entries.

A document is known by its position: 0, 1, 2 … in the order of arrival, never reused. Facts about
it (its id, group, role, time) are columns, its words and vectors are indexes. A document's group
is its session; an entry is a group of its own.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pktui.memory.search.columns import Column
from pktui.memory.search.passages import Passages
from pktui.memory.search.words import WordIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.memory.embed import Passage, Vectors


@dataclass(frozen=True, slots=True)
class Document:
    """A text to be found, with its facts; `role` is a number the caller knows."""

    id: int
    group: int
    role: int
    time_us: int
    text: str


class Corpus:
    """Documents of one kind. Not thread-safe: the owner holds its lock around every call."""

    def __init__(self, dimension: int = 0) -> None:
        self.words = WordIndex()
        self.passages = Passages(dimension)
        self.pending: dict[int, None] = {}
        """Ids that have no vectors yet, oldest first."""
        self._positions: dict[int, int] = {}
        self._ids: Column[np.int64] = Column(np.int64)
        self._slots: Column[np.int32] = Column(np.int32)
        self._roles: Column[np.int8] = Column(np.int8)
        self._times: Column[np.int64] = Column(np.int64)
        self._alive: Column[np.bool_] = Column(np.bool_)
        self._before: Column[np.int32] = Column(np.int32)
        self._after: Column[np.int32] = Column(np.int32)
        self._group_lengths: Column[np.float32] = Column(np.float32)
        self._slot_of: dict[int, int] = {}
        self._members: dict[int, array[int]] = {}

    def __len__(self) -> int:
        """Return the number of positions, those of removed documents among them."""
        return len(self._ids)

    @property
    def living(self) -> int:
        """The number of documents that were not removed."""
        return len(self._positions)

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """The id of each position."""
        return self._ids.values

    @property
    def slots(self) -> npt.NDArray[np.int32]:
        """The group of each position, as a number from 0 to `group_count`."""
        return self._slots.values

    @property
    def roles(self) -> npt.NDArray[np.int8]:
        """The role of each position."""
        return self._roles.values

    @property
    def times(self) -> npt.NDArray[np.int64]:
        """The time of each position, microseconds since the epoch."""
        return self._times.values

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        """False where the document was removed."""
        return self._alive.values

    @property
    def before(self) -> npt.NDArray[np.int32]:
        """The position of the document before in the same group, -1 at its beginning."""
        return self._before.values

    @property
    def after(self) -> npt.NDArray[np.int32]:
        """The position of the next document in the same group, -1 at its end."""
        return self._after.values

    @property
    def group_count(self) -> int:
        """The number of groups ever seen."""
        return len(self._slot_of)

    @property
    def group_lengths(self) -> npt.NDArray[np.float32]:
        """The number of terms in each group, by its number."""
        return self._group_lengths.values

    def slot(self, group: int) -> int | None:
        """Return the number that stands for the group in `slots`."""
        return self._slot_of.get(group)

    def position(self, document_id: int) -> int | None:
        """Return the position of a living document."""
        return self._positions.get(document_id)

    def members(self, group: int) -> Sequence[int]:
        """Return the positions of the group's documents, in order."""
        return self._members.get(group, ())

    def add(self, documents: Sequence[Document]) -> None:
        """Take in documents; each is without vectors until `add_vectors`."""
        first = len(self)
        for position, document in enumerate(documents, first):
            self._join_group(position, document.group)
            self._positions[document.id] = position
            self.pending[document.id] = None
        self._ids.extend([d.id for d in documents])
        self._slots.extend([self._slot_of[d.group] for d in documents])
        self._roles.extend([d.role for d in documents])
        self._times.extend([d.time_us for d in documents])
        self._alive.extend([True] * len(documents))
        self.words.add(first, [d.text for d in documents])
        self._group_lengths.extend([0] * (self.group_count - len(self._group_lengths)))
        np.add.at(self.group_lengths, self.slots[first:], self.words.lengths[first:])

    def _join_group(self, position: int, group: int) -> None:
        self._slot_of.setdefault(group, len(self._slot_of))
        members = self._members.setdefault(group, array("i"))
        previous = members[-1] if members else -1
        members.append(position)
        self._before.extend([previous])
        self._after.extend([-1])
        if previous >= 0:
            self._after.values[previous] = position

    def add_vectors(
        self, ids: Sequence[int], passages: Sequence[Passage], vectors: Vectors
    ) -> None:
        """Take in vectors, row for row: the id of a living document, its part, its vector.

        All parts of a document come at once: it is no longer pending. Vectors of documents that
        were removed meanwhile are dropped.
        """
        rows = [row for row, document_id in enumerate(ids) if document_id in self._positions]
        self.passages.add(
            [self._positions[ids[row]] for row in rows],
            [passages[row].start for row in rows],
            [passages[row].end for row in rows],
            vectors if len(rows) == len(ids) else vectors[rows],
        )
        for document_id in ids:
            self.pending.pop(document_id, None)

    def forget_vectors(self, dimension: int) -> None:
        """Drop all vectors; every living document waits for new ones."""
        self.passages = Passages(dimension)
        self.pending = dict.fromkeys(self._positions)

    def remove(self, document_id: int) -> None:
        """Remove a document; its position stays empty."""
        position = self._positions.pop(document_id, None)
        if position is not None:
            self._bury([document_id], [position])

    def remove_group(self, group: int) -> None:
        """Remove all documents of a group."""
        positions = self._members.pop(group, array("i"))
        ids = [int(self.ids[position]) for position in positions]
        for document_id in ids:
            self._positions.pop(document_id, None)
        self._bury(ids, positions)

    def _bury(self, ids: Sequence[int], positions: Sequence[int]) -> None:
        for document_id in ids:
            self.pending.pop(document_id, None)
        self.alive[np.asarray(positions, np.int32)] = False
        self.passages.forget(positions)
