"""Growing columns of numbers in memory: append-only, so that a slice taken stays as it was."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

S = TypeVar("S", bound=np.generic)


class Column(Generic[S]):
    """A one-dimensional array that grows at its end, at a constant cost for each number."""

    def __init__(self, dtype: type[S]) -> None:
        self._data: npt.NDArray[S] = np.zeros(1024, dtype=dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def extend(self, values: npt.ArrayLike) -> None:
        """Append the values."""
        array: npt.NDArray[Any] = np.asarray(values, dtype=self._data.dtype)
        end = self._size + len(array)
        if end > len(self._data):
            grown = np.zeros(max(end, 2 * len(self._data)), dtype=self._data.dtype)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._data[self._size : end] = array
        self._size = end

    @property
    def values(self) -> npt.NDArray[S]:
        """All values, without a copy: writing to it writes to the column."""
        return self._data[: self._size]
