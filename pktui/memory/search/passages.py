"""The vectors in memory: one row a passage, each of a document.

A vector is kept in one byte a number with one scale a row: a quarter of the memory, and of the
time to read through all of them. The cosines differ by less than 0.005 from those of the model's
own numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pktui.memory.embed import Passage, Vectors
from pktui.memory.search.byte_products import OFFSET, products
from pktui.memory.search.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pktui.memory.search.archive import Arrays

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]
"""From -127 to 127, each kept with `OFFSET` added."""
Ints = npt.NDArray[np.int32]

_ROWS = np.dtype([("owners", np.int32), ("starts", np.int32), ("ends", np.int32)])
UNKNOWN = np.float32(-2.0)
"""The similarity of a document without a vector; cosines are from -1 to 1."""

_BLOCK_ROWS = 16_384
_MOST_ROWS_IN_NUMPY = 2_048
"""Above this the products are made byte by byte, in a library that takes a moment to import."""
_REFINED = 1_024
"""So many of the best rows get their cosine again, from unrounded sums."""
_LARGEST = 127


class _Block:
    """Rows of codes with their scales; the last block of all has room for more."""

    def __init__(self, codes: Codes, scales: Floats, size: int) -> None:
        self._codes = codes
        self._scales = scales
        self.size = size

    @property
    def codes(self) -> Codes:
        return self._codes[: self.size]

    @property
    def scales(self) -> Floats:
        return self._scales[: self.size]

    def take(self, vectors: Vectors) -> int:
        """Keep as many of the vectors as there is room for; returns how many."""
        rows = min(len(vectors), len(self._codes) - self.size)
        scales = np.maximum(np.abs(vectors[:rows]).max(axis=1, initial=0) / _LARGEST, 1e-12)
        end = self.size + rows
        self._codes[self.size : end] = np.rint(vectors[:rows] / scales[:, None]) + OFFSET
        self._scales[self.size : end] = scales
        self.size = end
        return rows


class Passages:
    """Normalised vectors of passages. Not thread-safe: the owner holds its lock."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.living = 0
        """Rows whose document was not removed."""
        self._blocks: list[_Block] = []
        self._rows = Columns(_ROWS)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def owners(self) -> Ints:
        """The position of the document of each row."""
        return self._rows["owners"]

    def add(
        self,
        positions: npt.ArrayLike,
        starts: npt.ArrayLike,
        ends: npt.ArrayLike,
        vectors: Vectors,
    ) -> None:
        """Add one row a passage: the position of its document, its characters, its vector."""
        taken = self._blocks[-1].take(vectors) if self._blocks else 0
        while taken < len(vectors):
            codes = np.full((_BLOCK_ROWS, self.dimension), OFFSET, np.uint8)
            self._blocks.append(_Block(codes, np.zeros(_BLOCK_ROWS, np.float32), 0))
            taken += self._blocks[-1].take(vectors[taken:])
        self.living += len(vectors)
        self._rows.extend({"owners": positions, "starts": starts, "ends": ends})

    def forget(self, positions: Sequence[int]) -> None:
        """Blank the vectors of the documents."""
        gone = np.isin(self.owners, np.asarray(positions, np.int32))
        self.living -= int(np.count_nonzero(gone))
        first = 0
        for block in self._blocks:
            block.codes[gone[first : first + block.size]] = OFFSET
            first += block.size

    def similarities(self, vector: Vectors, documents: int) -> Floats:
        """Return the cosine of the best passage of each document by position, or `UNKNOWN`."""
        best = np.full(documents, UNKNOWN, np.float32)
        if len(self):
            np.maximum.at(best, self.owners, self._cosines(vector))
        return best

    def best_passages(self, vector: Vectors, positions: Iterable[int]) -> dict[int, Passage]:
        """Return the passage nearest to the vector of each of the documents that has any."""
        wanted = np.zeros(int(self.owners.max(initial=-1)) + 1, np.bool_)
        wanted[[position for position in positions if position < len(wanted)]] = True
        rows = np.flatnonzero(wanted[self.owners])
        found: dict[int, Passage] = {}
        for at in np.argsort(self._products(rows, vector), kind="stable"):
            row = int(rows[at])
            part = Passage(int(self._rows["starts"][row]), int(self._rows["ends"][row]))
            found[int(self.owners[row])] = part
        return found

    def arrays(self) -> Arrays:
        """Return what it is made of; see `of`."""
        return {
            "codes": [block.codes.reshape(-1) for block in self._blocks],
            "scales": [block.scales for block in self._blocks],
            **{name: [values] for name, values in self._rows},
        }

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]], dimension: int) -> Passages:
        """Return the vectors that the arrays were made of."""
        passages = cls(dimension)
        passages._rows.extend(arrays)
        passages.living = len(passages)
        if len(passages):
            codes = arrays["codes"].reshape(-1, dimension)
            passages._blocks.append(_Block(codes, arrays["scales"], len(codes)))
        return passages

    def _cosines(self, vector: Vectors) -> Floats:
        if len(self) <= _MOST_ROWS_IN_NUMPY:
            return self._products(np.arange(len(self)), vector)
        cosines = np.concatenate([products(b.codes, vector) * b.scales for b in self._blocks])
        if len(cosines) > _REFINED:
            rows = np.sort(np.argpartition(cosines, -_REFINED)[-_REFINED:])
            cosines[rows] = self._products(rows, vector)
        return cosines

    def _products(self, rows: npt.NDArray[np.intp], vector: Vectors) -> Floats:
        """Return the cosines of some rows, given in ascending order."""
        found = []
        first = 0
        for block in self._blocks:
            own = rows[(rows >= first) & (rows < first + block.size)] - first
            if len(own):
                exact = (block.codes[own].astype(np.float32) - OFFSET) @ vector
                found.append(exact * block.scales[own])
            first += block.size
        return np.concatenate(found) if found else np.zeros(0, np.float32)
