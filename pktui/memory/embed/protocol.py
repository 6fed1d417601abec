"""What the store asks of an embedding model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text: `start` included and `end` not, in characters."""

    start: int
    end: int


class Embedder(Protocol):
    """Turns texts into vectors whose cosine tells how near they are in meaning.

    Usable from several threads. Raises `StoreError` where the model fails.
    """

    @property
    def name(self) -> str:
        """The model and its version; vectors of different names cannot be compared."""

    @property
    def dimension(self) -> int:
        """The number of numbers in a vector."""

    def passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
        """Cut each text into parts the model can take whole; at least one, in order."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 for each text, shape (texts, dimension)."""
