"""What can be searched, in memory: one corpus of all messages, one of all entries.

A document is known by its position: 0, 1, 2 … in the order of arrival, never reused. Facts about
it (its id, group, role, time) are columns, its words, vectors and text are indexes. A document's
group is its session; an entry is a group of its own.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pktui.memory.search.columns import Column
from pktui.memory.search.passages import Passages
from pktui.memory.search.texts import SearchedTexts, Texts
from pktui.memory.search.words import WordIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pktui.memory.embed import Passage, Vectors
    from pktui.memory.search.archive import Archive, Arrays


@dataclass(frozen=True, slots=True)
class Document:
    """A text to be found, with its facts; `role` is a number the caller knows.

    `origin` is whatever else the caller wants back with the text.
    """

    id: int
    group: int
    role: int
    time_us: int
    text: str
    origin: str = ""


class Corpus:
    """Documents of one kind. Not thread-safe: the owner holds its lock around every call.

    With `keep_texts` it holds the texts too, in `searched` and `origins`, and documents must come
    in the order of their ids, each once; else one may come again after it was removed.
    """

    def __init__(self, dimension: int = 0, *, keep_texts: bool = False) -> None:
        self.words = WordIndex()
        self.passages = Passages(dimension)
        self.searched = SearchedTexts(Texts(), Texts())
        self.origins = Texts()
        self.pending: dict[int, None] = {}
        """Ids that have no vectors yet, oldest first."""
        self.living = 0
        """The number of documents that were not removed."""
        self._unpurged = False
        self._keep_texts = keep_texts
        self._positions: dict[int, int] | None = None if keep_texts else {}
        """Of living documents by id, where the ids are not in order."""
        self._ids: Column[np.int64] = Column(np.int64)
        self._slots: Column[np.int32] = Column(np.int32)
        self._roles: Column[np.int8] = Column(np.int8)
        self._times: Column[np.int64] = Column(np.int64)
        self._alive: Column[np.bool_] = Column(np.bool_)
        self._numbers: Column[np.int32] = Column(np.int32)
        self._before: Column[np.int32] = Column(np.int32)
        self._after: Column[np.int32] = Column(np.int32)
        self._groups: Column[np.int64] = Column(np.int64)
        self._group_lengths: Column[np.float32] = Column(np.float32)
        self._slot_of: dict[int, int] = {}
        self._members: dict[int, array[int]] = {}

    def __len__(self) -> int:
        """Return the number of positions, those of removed documents among them."""
        return len(self._ids)

    @property
    def texts(self) -> Texts:
        """The text of each position, as it came."""
        return self.searched.texts

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
    def numbers(self) -> npt.NDArray[np.int32]:
        """The number of each position within its group, from 1."""
        return self._numbers.values

    @property
    def before(self) -> npt.NDArray[np.int32]:
        """The position of the document before in the same group, -1 at its beginning."""
        return self._before.values

    @property
    def after(self) -> npt.NDArray[np.int32]:
        """The position of the next document in the same group, -1 at its end."""
        return self._after.values

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """The group that each slot stands for."""
        return self._groups.values

    @property
    def group_count(self) -> int:
        """The number of groups ever seen."""
        return len(self._groups)

    @property
    def group_lengths(self) -> npt.NDArray[np.float32]:
        """The number of terms in each group, by its number."""
        return self._group_lengths.values

    def slot(self, group: int) -> int | None:
        """Return the number that stands for the group in `slots`."""
        return self._slot_of.get(group)

    def position(self, document_id: int) -> int | None:
        """Return the position of a living document."""
        if self._positions is not None:
            return self._positions.get(document_id)
        at = int(np.searchsorted(self.ids, document_id))
        known = at < len(self) and self.ids[at] == document_id and self.alive[at]
        return at if known else None

    def members(self, group: int) -> Sequence[int]:
        """Return the positions of the group's documents, in order."""
        return self._members.get(group, ())

    def add(self, documents: Sequence[Document]) -> None:
        """Take in documents; each is without vectors until `add_vectors`."""
        first = len(self)
        for position, document in enumerate(documents, first):
            self._join_group(position, document.group)
            self.pending[document.id] = None
            if self._positions is not None:
                self._positions[document.id] = position
        self._ids.extend([d.id for d in documents])
        self._slots.extend([self._slot_of[d.group] for d in documents])
        self._roles.extend([d.role for d in documents])
        self._times.extend([d.time_us for d in documents])
        self._alive.extend([True] * len(documents))
        self.words.add(first, [d.text for d in documents])
        if self._keep_texts:
            self.searched.add([d.text for d in documents])
            self.origins.add([d.origin for d in documents])
        self.living += len(documents)
        np.add.at(self.group_lengths, self.slots[first:], self.words.lengths[first:])

    def _join_group(self, position: int, group: int) -> None:
        if group not in self._slot_of:
            self._slot_of[group] = len(self._slot_of)
            self._groups.extend([group])
            self._group_lengths.extend([0])
        members = self._members.setdefault(group, array("i"))
        previous = members[-1] if members else -1
        members.append(position)
        self._numbers.extend([len(members)])
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
        positions = [self.position(one) for one in ids]
        rows = [row for row, position in enumerate(positions) if position is not None]
        self.passages.add(
            [position for position in positions if position is not None],
            [passages[row].start for row in rows],
            [passages[row].end for row in rows],
            vectors if len(rows) == len(ids) else vectors[rows],
        )
        for document_id in ids:
            self.pending.pop(document_id, None)

    def forget_vectors(self, dimension: int) -> None:
        """Drop all vectors; every living document waits for new ones."""
        self.passages = Passages(dimension)
        self.pending = dict.fromkeys(self.ids[self.alive].tolist())

    def remove(self, document_id: int) -> None:
        """Remove a document; its position stays empty."""
        position = self.position(document_id)
        if position is not None:
            self._bury([position])

    def remove_group(self, group: int) -> None:
        """Remove all documents of a group."""
        self._bury(self._members.pop(group, array("i")))

    def _bury(self, positions: Sequence[int]) -> None:
        gone = np.asarray(positions, np.int32)
        self.alive[gone] = False
        np.subtract.at(self.group_lengths, self.slots[gone], self.words.lengths[gone])
        self.words.lengths[gone] = 0
        self.living -= len(positions)
        self._unpurged = True
        self.passages.forget(positions)
        for position in positions:
            document_id = int(self.ids[position])
            self.pending.pop(document_id, None)
            if self._positions is not None:
                self._positions.pop(document_id, None)
            if self._keep_texts:
                self.searched.forget(position)
                self.origins.forget(position)

    def arrays(self) -> Arrays:
        """Return all it is made of, to be written while it goes on changing.

        Nothing of removed documents is left in it, unless one is removed meanwhile.
        """
        if self._unpurged:
            self.words.purge(self.alive)
            self._unpurged = False
        columns = {name: [column.values.copy()] for name, column in self._columns()}
        return {
            **columns,
            **{f"words.{name}": parts for name, parts in self.words.arrays().items()},
            **{f"passages.{name}": parts for name, parts in self.passages.arrays().items()},
            **{f"texts.{name}": parts for name, parts in self.texts.arrays().items()},
            **{f"forms.{name}": parts for name, parts in self.searched.forms.arrays().items()},
            **{f"origins.{name}": parts for name, parts in self.origins.arrays().items()},
        }

    @classmethod
    def of(cls, archive: Archive, dimension: int) -> Corpus:
        """Return the corpus that `arrays` were written of; it keeps its texts."""
        corpus = cls(dimension, keep_texts=True)
        for name, column in corpus._columns():
            column.extend(archive.arrays[name])
        corpus.adopt(archive)
        corpus._slot_of = {group: slot for slot, group in enumerate(corpus.groups.tolist())}
        corpus._gather_members()
        corpus.living = int(np.count_nonzero(corpus.alive))
        corpus.passages.living = int(np.count_nonzero(corpus.alive[corpus.passages.owners]))
        waiting = corpus.alive.copy()
        waiting[corpus.passages.owners] = False
        corpus.pending = dict.fromkeys(corpus.ids[waiting].tolist())
        return corpus

    def adopt(self, archive: Archive) -> None:
        """Read words, vectors and texts from the archive from now on.

        It must be of `arrays`, and nothing added or removed since.
        """
        self.words.adopt(archive.part("words"))
        self.passages = Passages.of(archive.part("passages"), self.passages.dimension)
        texts, forms = Texts.of(archive.part("texts")), Texts.of(archive.part("forms"))
        self.searched = SearchedTexts(texts, forms)
        self.origins = Texts.of(archive.part("origins"))

    def _gather_members(self) -> None:
        living = np.flatnonzero(self.alive).astype(np.int32)
        living = living[np.argsort(self.slots[living], kind="stable")]
        edges = np.searchsorted(self.slots[living], np.arange(self.group_count + 1))
        for slot, group in enumerate(self.groups.tolist()):
            own = living[edges[slot] : edges[slot + 1]]
            if len(own):
                self._members[group] = array("i", own.tobytes())

    def _columns(self) -> Iterator[tuple[str, Column[Any]]]:
        yield "ids", self._ids
        yield "slots", self._slots
        yield "roles", self._roles
        yield "times", self._times
        yield "alive", self._alive
        yield "numbers", self._numbers
        yield "before", self._before
        yield "after", self._after
        yield "groups", self._groups
        yield "group_lengths", self._group_lengths
