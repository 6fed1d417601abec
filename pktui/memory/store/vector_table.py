"""The table of vectors: derived data, of one model at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pktui.errors import StoreError
from pktui.memory.embed import Passage, Vectors
from pktui.memory.store import schema

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from pktui.memory.store.tables import Database, Table

_NAME = "vectors"
# A vector is so many times as wide as a message.
_WEIGHT = 5
_COMMITTED_ROWS = 512
_COLUMNS = ["kind", "ref_id", "start", "end", "vector"]

Kind = Literal["message", "entry"]


@dataclass(frozen=True, slots=True)
class VectorRows:
    """Passages of documents of one kind with their vectors, row for row."""

    kind: Kind
    ids: list[int]
    sessions: list[int]
    chunks: list[int]
    passages: list[Passage]
    vectors: Vectors

    def only(self, ids: Container[int]) -> VectorRows:
        """Return the rows of these documents."""
        chosen = [row for row, one in enumerate(self.ids) if one in ids]
        return VectorRows(
            kind=self.kind,
            ids=[self.ids[row] for row in chosen],
            sessions=[],
            chunks=[],
            passages=[self.passages[row] for row in chosen],
            vectors=self.vectors[chosen],
        )


class VectorTable:
    """Vectors on disk. `model` and `dimension` are those of the vectors in it, if there are any.

    Hold `lock` from a look at which documents exist to the commit that follows from it.
    """

    def __init__(self, database: Database) -> None:
        self.lock = threading.RLock()
        self.model = ""
        self.dimension = 0
        self._database = database
        self._table: Table | None = None
        self._waiting: list[pa.Table] = []
        self.damage = ""
        """Why the vectors that are there cannot be read; until they are cleared there are none."""
        if database.has(_NAME):
            try:
                self._open()
            except StoreError as error:
                self.damaged(error)

    def damaged(self, error: StoreError) -> None:
        """Do without the vectors: they are derived, and what they are derived from goes on."""
        self.damage = error.what
        self._table = None
        self.model = ""
        self.dimension = 0

    def _open(self) -> None:
        table = self._database.table(_NAME, schema.vectors_schema(0))
        first = table.read(["model"], limit=1)
        self._table = table
        self.dimension = table.schema.field("vector").type.list_size
        self.model = first["model"][0].as_py() if len(first) else ""

    def prepare(self, model: str, dimension: int) -> bool:
        """Make ready for vectors of that model; false where the table holds those of another."""
        with self.lock:
            if self.damage:
                return False
            if self.model:
                return (self.model, self.dimension) == (model, dimension)
            if self._table is None or self.dimension != dimension:
                self.clear()
                self._table = self._database.table(_NAME, schema.vectors_schema(dimension))
                self.dimension = dimension
            return True

    def clear(self) -> None:
        """Remove all vectors, whatever their model."""
        with self.lock:
            if self._database.has(_NAME):
                self._database.drop(_NAME)
            self._table = None
            self._waiting = []
            self.damage = self.model = ""
            self.dimension = 0

    def append(self, rows: VectorRows, model: str) -> None:
        """Keep vectors of the model that `prepare` was called for; many are committed at once.

        Those that a killed process had not committed yet are made anew.
        """
        with self.lock:
            assert self._table is not None
            self._waiting.append(_arrow(rows, model, self.dimension))
            self.model = model
            if sum(len(rows) for rows in self._waiting) >= _COMMITTED_ROWS:
                self.flush()

    def flush(self) -> None:
        """Commit the vectors that wait for it."""
        with self.lock:
            if self._waiting and self._table is not None:
                self._table.append(pa.concat_tables(self._waiting))
            self._waiting = []

    def delete(self, where: str) -> None:
        """Commit the removal of the rows that the SQL condition holds for."""
        with self.lock:
            self.flush()
            if self._table is not None and self.model:
                self._table.delete(where)

    def count(self) -> int:
        """Return the number of vectors."""
        return self._table.count() if self._table is not None else 0

    def wear(self, *, quiet: bool) -> float:
        """Return how far the table is from having to be compacted, 1 and more: it has to be."""
        return self._table.wear(quiet=quiet, weight=_WEIGHT) if self._table is not None else 0.0

    def compact(self) -> None:
        """Merge small files and clear old versions away."""
        table = self._table
        if table is not None:
            table.compact()

    def message_ids(self) -> npt.NDArray[np.int64]:
        """Return the message of each of the messages' vectors."""
        if self._table is None or not self.model:
            return np.zeros(0, np.int64)
        ids = self._table.read(["ref_id"], "kind = 'message'")["ref_id"].to_numpy()
        return np.asarray(ids, np.int64)

    def batches(self, where: str = "") -> Iterator[VectorRows]:
        """Yield vectors in parts, each of one kind; sessions and chunks are left out."""
        if self._table is None or not self.model:
            return
        for batch in self._table.batches(_COLUMNS, where):
            kinds = np.array(batch["kind"].to_pylist())
            numbers = batch["vector"].flatten().to_numpy(zero_copy_only=False)
            vectors = numbers.reshape(-1, self.dimension)
            for kind in ("message", "entry"):
                chosen = np.flatnonzero(kinds == kind)
                if len(chosen):
                    yield _rows(kind, batch, vectors, chosen)


def _rows(
    kind: Kind, batch: pa.RecordBatch, vectors: Vectors, chosen: npt.NDArray[np.intp]
) -> VectorRows:
    starts = batch["start"].to_numpy()[chosen]
    ends = batch["end"].to_numpy()[chosen]
    return VectorRows(
        kind=kind,
        ids=batch["ref_id"].to_numpy()[chosen].tolist(),
        sessions=[],
        chunks=[],
        passages=[Passage(int(s), int(e)) for s, e in zip(starts, ends, strict=True)],
        vectors=vectors[chosen],
    )


def _arrow(rows: VectorRows, model: str, dimension: int) -> pa.Table:
    flat = pa.array(np.ascontiguousarray(rows.vectors, np.float32).reshape(-1))
    return pa.table(
        {
            "kind": [rows.kind] * len(rows.ids),
            "ref_id": rows.ids,
            "session_id": rows.sessions,
            "chunk": rows.chunks,
            "start": [passage.start for passage in rows.passages],
            "end": [passage.end for passage in rows.passages],
            "model": [model] * len(rows.ids),
            "vector": pa.FixedSizeListArray.from_arrays(flat, dimension),
        },
        schema=schema.vectors_schema(dimension),
    )


def sequence_numbers(ids: Sequence[int]) -> list[int]:
    """Return, for each row of ids in groups, its number within its group, from 0."""
    numbers: list[int] = []
    for at, one in enumerate(ids):
        numbers.append(numbers[-1] + 1 if at and ids[at - 1] == one else 0)
    return numbers
