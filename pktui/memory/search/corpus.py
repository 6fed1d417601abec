"""What can be searched, in memory: one corpus of all messages, one of all entries.

A document is known by its position: 0, 1, 2 … in the order of arrival, never reused. Facts about
it (its id, group, role, time) are columns, its words, vectors and text are indexes. A document's
group is its session; an entry is a group of its own.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from pktui.memory.search.columns import Columns
from pktui.memory.search.passages import Passages
from pktui.memory.search.texts import SearchedTexts, Texts
from pktui.memory.search.words import WordIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.memory.embed import Passage, Vectors
    from pktui.memory.search.archive import Archive, Arrays


_FACTS = np.dtype(
    [
        ("ids", np.int64),
        ("slots", np.int32),  # the group, as a number from 0
        ("roles", np.int8),
        ("times", np.int64),  # microseconds since the epoch
        ("alive", np.bool_),  # false where the document was removed
        ("numbers", np.int32),  # within the group, from 1
        ("before", np.int32),  # the position of the one before in the group, -1 at its beginning
        ("after", np.int32),  # the position of the next one in the group, -1 at its end
    ]
)
_GROUPS = np.dtype([("ids", np.int64), ("lengths", np.float32)])  # by slot; lengths in terms


class Document(NamedTuple):
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

    `facts` holds what is known of each position, `groups` of each group ever seen, by its slot.

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
        self.facts = Columns(_FACTS)
        self.groups = Columns(_GROUPS)
        self._slot_of: dict[int, int] = {}
        self._members: dict[int, array[int]] = {}

    def __len__(self) -> int:
        """Return the number of positions, those of removed documents among them."""
        return len(self.facts)

    @property
    def texts(self) -> Texts:
        """The text of each position, as it came."""
        return self.searched.texts

    def slot(self, group: int) -> int | None:
        """Return the number that stands for the group in `slots`."""
        return self._slot_of.get(group)

    def position(self, document_id: int) -> int | None:
        """Return the position of a living document."""
        if self._positions is not None:
            return self._positions.get(document_id)
        ids = self.facts["ids"]
        at = int(np.searchsorted(ids, document_id))
        known = at < len(ids) and ids[at] == document_id and self.facts["alive"][at]
        return at if known else None

    def members(self, group: int) -> Sequence[int]:
        """Return the positions of the group's documents, in order."""
        return self._members.get(group, ())

    def runs(self) -> npt.NDArray[np.intp]:
        """Return where a document follows one of another group, or none.

        A group's documents mostly stand together, so that there are few runs.
        """
        slots = self.facts["slots"]
        begins = np.ones(len(slots), np.bool_)
        np.not_equal(slots[1:], slots[:-1], out=begins[1:])
        return np.flatnonzero(begins)

    def add(self, documents: Sequence[Document]) -> None:
        """Take in documents; each is without vectors until `add_vectors`."""
        if not documents:
            return
        first = len(self.facts)
        rows: list[tuple[int, ...]] = []
        slots, texts, origins = [], [], []
        for position, (number, group, role, time_us, text, origin) in enumerate(documents, first):
            if group not in self._slot_of:
                self._slot_of[group] = len(self._slot_of)
                self.groups.append([(group, 0)])
            slot = self._slot_of[group]
            members = self._members.setdefault(group, array("i"))
            previous = members[-1] if members else -1
            members.append(position)
            rows.append((number, slot, role, time_us, True, len(members), previous, -1))
            slots.append(slot)
            texts.append(text)
            origins.append(origin)
            self.pending[number] = None
            if self._positions is not None:
                self._positions[number] = position
        self.facts.append(rows)
        after = self.facts["after"]
        for position, (*_, previous, _) in enumerate(rows, first):
            if previous >= 0:
                after[previous] = position
        lengths = self.words.add(first, texts)
        if self._keep_texts:
            self.searched.add(texts)
            self.origins.add(origins)
        self.living += len(rows)
        np.add.at(self.groups["lengths"], slots, lengths)

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
        self.pending = dict.fromkeys(self.facts["ids"][self.facts["alive"]].tolist())

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
        self.facts["alive"][gone] = False
        np.subtract.at(self.groups["lengths"], self.facts["slots"][gone], self.words.lengths[gone])
        self.words.lengths[gone] = 0
        self.living -= len(positions)
        self._unpurged = True
        self.passages.forget(positions)
        for position in positions:
            document_id = int(self.facts["ids"][position])
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
            self.words.purge(self.facts["alive"])
            self._unpurged = False
        return {
            **{name: [values.copy()] for name, values in self.facts},
            **{f"groups.{name}": [values.copy()] for name, values in self.groups},
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
        corpus.adopt(archive)
        corpus._slot_of = {group: slot for slot, group in enumerate(corpus.groups["ids"].tolist())}
        corpus._gather_members()
        alive = corpus.facts["alive"]
        corpus.living = int(np.count_nonzero(alive))
        corpus.passages.living = int(np.count_nonzero(alive[corpus.passages.owners]))
        waiting = alive.copy()
        waiting[corpus.passages.owners] = False
        corpus.pending = dict.fromkeys(corpus.facts["ids"][waiting].tolist())
        return corpus

    def adopt(self, archive: Archive) -> None:
        """Read what is in the archive from there from now on.

        It must be of `arrays`, and nothing removed since; what was added since stays in memory.
        """
        groups = archive.part("groups")
        if not len(self) or len(self) == len(archive.arrays["ids"]):
            self.facts.adopt(archive.arrays)
            self.groups.adopt(groups)
        self.words.adopt(archive.part("words"))
        self.passages.adopt(archive.part("passages"))
        self.searched = SearchedTexts(
            self.searched.texts.since(Texts.of(archive.part("texts"))),
            self.searched.forms.since(Texts.of(archive.part("forms"))),
        )
        self.origins = self.origins.since(Texts.of(archive.part("origins")))

    def _gather_members(self) -> None:
        living = np.flatnonzero(self.facts["alive"]).astype(np.int32)
        slots = self.facts["slots"]
        living = living[np.argsort(slots[living], kind="stable")]
        edges = np.searchsorted(slots[living], np.arange(len(self.groups) + 1))
        for slot, group in enumerate(self.groups["ids"].tolist()):
            own = living[edges[slot] : edges[slot + 1]]
            if len(own):
                self._members[group] = array("i", own.tobytes())
