"""Growing rows of numbers in memory: append-only, so that a slice taken stays as it was.

The fields of a numpy record type, each kept as an array of its own. An array of the records
themselves would be one array less, but a search reads one field of every row: of a million rows
of 40 bytes that took 2 to 4 ms more for each field that is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FIRST_ROWS = 1024


class Columns:
    """Rows of the fields of `dtype` that grow at their end, at a constant cost for each."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        assert dtype.names is not None
        self._dtype = dtype
        self._size = 0
        self._data = {name: np.zeros(_FIRST_ROWS, dtype[name]) for name in dtype.names}

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, field: str) -> npt.NDArray[Any]:
        """Return a field of all rows, without a copy: writing to it writes to the rows."""
        return self._data[field][: self._size]

    def __iter__(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield each field's name and values."""
        return ((name, self[name]) for name in self._data)

    def adopt(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Read from the arrays from now on, as many rows as there are, until more are added.

        What is written goes to them.
        """
        self._data = {name: arrays[name] for name in self._data}
        (self._size,) = {len(array) for array in self._data.values()}

    def extend(self, values: Mapping[str, npt.ArrayLike] | npt.NDArray[Any]) -> None:
        """Append rows: as many values of each field."""
        first, end = self._size, -1
        for name, data in self._data.items():
            new = np.asarray(values[name], data.dtype)
            if end not in (-1, first + len(new)):
                raise ValueError(f"{name} has {len(new)} values, the fields before it others")
            end = first + len(new)
            if end > len(data):
                larger = np.zeros(max(end, 2 * len(data)), data.dtype)
                larger[:first] = data[:first]
                self._data[name] = data = larger
            data[first:end] = new
        self._size = end

    def append(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Append rows, each a value of every field in the order of `dtype`."""
        self.extend(np.array(rows, self._dtype))
