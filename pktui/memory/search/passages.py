"""The vectors in memory: one row a passage, each of a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pktui.memory.embed import Passage, Vectors
from pktui.memory.search.columns import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.float32]

UNKNOWN = np.float32(-2.0)
"""The similarity of a document without a vector; cosines are from -1 to 1."""


class Passages:
    """Normalised vectors of passages. Not thread-safe: the owner holds its lock."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._matrix: Vectors = np.zeros((1024, dimension), np.float32)
        self.living = 0
        """Rows whose document was not removed."""
        self._owners: Column[np.int32] = Column(np.int32)
        self._starts: Column[np.int32] = Column(np.int32)
        self._ends: Column[np.int32] = Column(np.int32)

    def __len__(self) -> int:
        return len(self._owners)

    def reserve(self, rows: int) -> None:
        """Make room for that many rows in all, so that adding them copies nothing."""
        if rows > len(self._matrix):
            grown = np.zeros((rows, self.dimension), np.float32)
            grown[: len(self)] = self._matrix[: len(self)]
            self._matrix = grown

    def add(
        self,
        positions: npt.ArrayLike,
        starts: npt.ArrayLike,
        ends: npt.ArrayLike,
        vectors: Vectors,
    ) -> None:
        """Add one row a passage: the position of its document, its characters, its vector."""
        size = len(self)
        end = size + len(vectors)
        if end > len(self._matrix):
            self.reserve(max(end, len(self._matrix) * 5 // 4))
        self._matrix[size:end] = vectors
        self.living += len(vectors)
        self._owners.extend(positions)
        self._starts.extend(starts)
        self._ends.extend(ends)

    def forget(self, positions: Sequence[int]) -> None:
        """Blank the vectors of the documents."""
        gone = np.isin(self._owners.values, np.asarray(positions, np.int32))
        self._matrix[: len(self)][gone] = 0
        self.living -= int(np.count_nonzero(gone))

    def similarities(self, vector: Vectors, documents: int) -> Floats:
        """Return the cosine of the best passage of each document by position, or `UNKNOWN`."""
        cosines = self._matrix[: len(self)] @ vector
        best = np.full(documents, UNKNOWN, np.float32)
        np.maximum.at(best, self._owners.values, cosines)
        return best

    def best_passage(self, vector: Vectors, position: int) -> Passage | None:
        """Return the passage of the document that is nearest to the vector."""
        rows = np.flatnonzero(self._owners.values == position)
        if not len(rows):
            return None
        row = int(rows[np.argmax(self._matrix[rows] @ vector)])
        return Passage(int(self._starts.values[row]), int(self._ends.values[row]))
