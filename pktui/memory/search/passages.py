"""The vectors in memory: one row a passage, each of a document.

A vector is kept in one byte a number with one scale: a quarter of the memory, and of the time to
read through all of them. The cosines differ by less than 0.005 from those of the model's
own numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pktui.memory.embed import Passage, Vectors
from pktui.memory.search.byte_products import products
from pktui.memory.search.columns import Columns
from pktui.memory.search.selection import bound, highest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pktui.memory.search.archive import Arrays

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int8]
Ints = npt.NDArray[np.int32]

_ROWS = np.dtype([("owners", np.int32), ("starts", np.int32), ("ends", np.int32)])
# The similarity of a document without a vector; cosines are from -1 to 1.
UNKNOWN = np.float32(-2.0)

_BLOCK_ROWS = 16_384
# Above this the products are made byte by byte, in a library that takes a moment to import.
_MOST_ROWS_IN_NUMPY = 2_048
# So many of the best rows get their cosine again, from unrounded sums.
_REFINED = 256
_LARGEST = 127


class _Block:
    """Vectors side by side: one row a dimension, one column each, with its scale and its sum.

    Only the last block of all has room for more.
    """

    def __init__(self, codes: Codes, scales: Floats, sums: Ints, size: int) -> None:
        self.codes = codes
        self.scales = scales
        self.sums = sums
        self.size = size

    @classmethod
    def empty(cls, dimension: int) -> _Block:
        """Return one that is all room."""
        codes = np.zeros((dimension, _BLOCK_ROWS), np.int8)
        scales, sums = np.zeros(_BLOCK_ROWS, np.float32), np.zeros(_BLOCK_ROWS, np.int32)
        return cls(codes, scales, sums, 0)

    def take(self, vectors: Vectors) -> int:
        """Keep as many of the vectors as there is room for; returns how many."""
        rows = min(len(vectors), len(self.scales) - self.size)
        scales = np.maximum(np.abs(vectors[:rows]).max(axis=1, initial=0) / _LARGEST, 1e-12)
        new = slice(self.size, self.size + rows)
        self.codes[:, new] = np.rint(vectors[:rows] / scales[:, None]).T
        self.scales[new] = scales
        self.sums[new] = self.codes[:, new].sum(axis=0, dtype=np.int32)
        self.size += rows
        return rows

    def forget(self, gone: npt.NDArray[np.bool_]) -> None:
        """Blank vectors."""
        columns = np.flatnonzero(gone)
        self.codes[:, columns] = 0
        self.sums[columns] = 0

    def cosines(self, vector: Vectors) -> Floats:
        """Return the cosine of each vector."""
        found = products(self.codes, self.sums, vector)
        found *= self.scales
        return found[: self.size]

    def exact(self, columns: npt.NDArray[np.intp], vector: Vectors) -> Floats:
        """Return the cosines of some vectors, from unrounded sums."""
        codes = self.codes.take(columns, axis=1).astype(np.float32)
        return np.asarray((vector @ codes) * self.scales[columns], np.float32)


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
            self._blocks.append(_Block.empty(self.dimension))
            taken += self._blocks[-1].take(vectors[taken:])
        self.living += len(vectors)
        self._rows.extend({"owners": positions, "starts": starts, "ends": ends})

    def forget(self, positions: Sequence[int]) -> None:
        """Blank the vectors of the documents."""
        gone = np.isin(self.owners, np.asarray(positions, np.int32))
        self.living -= int(np.count_nonzero(gone))
        first = 0
        for block in self._blocks:
            block.forget(gone[first : first + block.size])
            first += block.size

    def similarities(self, vector: Vectors, documents: int) -> Floats:
        """Return the cosine of the best passage of each document by position, or `UNKNOWN`."""
        best = np.full(documents, UNKNOWN, np.float32)
        if not len(self):
            return best
        owners, cosines = self.owners, self._cosines(vector)
        for first in range(0, len(self), _BLOCK_ROWS):
            its, found = owners[first : first + _BLOCK_ROWS], cosines[first : first + _BLOCK_ROWS]
            if its[-1] - its[0] == len(its) - 1 and np.all(its[1:] > its[:-1]):
                own = best[its[0] : its[-1] + 1]  # side by side, as texts of one passage are
                np.maximum(own, found, out=own)
            else:
                np.maximum.at(best, its.astype(np.intp), found)
        return best

    def best_passages(self, vector: Vectors, positions: Iterable[int]) -> dict[int, Passage]:
        """Return the passage nearest to the vector of each of the documents that has any."""
        rows = self._rows_of(np.unique(np.fromiter(positions, np.int32)))
        found: dict[int, Passage] = {}
        for at in np.argsort(self._products(rows, vector), kind="stable"):
            row = int(rows[at])
            part = Passage(int(self._rows["starts"][row]), int(self._rows["ends"][row]))
            found[int(self.owners[row])] = part
        return found

    def _rows_of(self, positions: Ints) -> npt.NDArray[np.intp]:
        """Return the rows of the documents, whose positions ascend, in order."""
        owners = self.owners
        if not np.all(owners[1:] >= owners[:-1]):
            return np.flatnonzero(np.isin(owners, positions))
        firsts, lasts = owners.searchsorted(positions), owners.searchsorted(positions, "right")
        parts = [np.arange(*ends) for ends in zip(firsts, lasts, strict=True)]
        return np.concatenate([np.zeros(0, np.intp), *parts])

    def arrays(self) -> Arrays:
        """Return what it is made of; see `of`."""
        return {
            "codes": [block.codes[:, : block.size].reshape(-1) for block in self._blocks],
            "scales": [block.scales[: block.size] for block in self._blocks],
            "sums": [block.sums[: block.size] for block in self._blocks],
            **{name: [values] for name, values in self._rows},
        }

    def adopt(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Read what is in the arrays from there from now on; nothing was removed since."""
        rows = len(arrays["owners"])
        if len(self) in (0, rows):
            self._rows.adopt(arrays)
        for at, first in enumerate(range(0, rows, _BLOCK_ROWS)):
            part = slice(first, min(first + _BLOCK_ROWS, rows))
            size = part.stop - first
            codes = arrays["codes"][first * self.dimension : part.stop * self.dimension]
            block = _Block(
                codes.reshape(self.dimension, size),
                arrays["scales"][part],
                arrays["sums"][part],
                size,
            )
            if at == len(self._blocks):
                self._blocks.append(block if size == _BLOCK_ROWS else _with_room(block))
            elif size == _BLOCK_ROWS:
                self._blocks[at] = block

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]], dimension: int) -> Passages:
        """Return the vectors that the arrays were made of."""
        passages = cls(dimension)
        passages.adopt(arrays)
        passages.living = len(passages)
        return passages

    def _cosines(self, vector: Vectors) -> Floats:
        if len(self) <= _MOST_ROWS_IN_NUMPY:
            return self._products(np.arange(len(self)), vector)
        cosines = np.empty(len(self), np.float32)
        for first, block in zip(range(0, len(self), _BLOCK_ROWS), self._blocks, strict=True):
            cosines[first : first + block.size] = block.cosines(vector)
        if len(cosines) > _REFINED:
            rows = np.flatnonzero(cosines >= bound(cosines, _REFINED))
            rows = rows[highest(cosines[rows], _REFINED)]
            cosines[rows] = self._products(rows, vector)
        return cosines

    def _products(self, rows: npt.NDArray[np.intp], vector: Vectors) -> Floats:
        """Return the cosines of some rows, given in ascending order."""
        found = np.empty(len(rows), np.float32)
        edges = rows.searchsorted(np.arange(len(self._blocks) + 1) * _BLOCK_ROWS)
        for at in np.flatnonzero(edges[1:] > edges[:-1]).tolist():
            own = slice(edges[at], edges[at + 1])
            found[own] = self._blocks[at].exact(rows[own] - at * _BLOCK_ROWS, vector)
        return found


def _with_room(block: _Block) -> _Block:
    """Return a block of the full size that begins with the vectors of this one."""
    larger = _Block.empty(len(block.codes))
    larger.codes[:, : block.size] = block.codes
    larger.scales[: block.size] = block.scales
    larger.sums[: block.size] = block.sums
    larger.size = block.size
    return larger
