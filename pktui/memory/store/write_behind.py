"""Rows on their way into the tables: acknowledged in the journal, committed in batches behind it.

A commit of LanceDB takes milliseconds and three files; a line of the journal takes microseconds.
A store that is not a directory has no journal: there a row is acknowledged by its table.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pktui.errors import StoreError
from pktui.memory.store.journal import DIRECTORY, Journal
from pktui.memory.store.tables import cure_of

if TYPE_CHECKING:
    import pyarrow as pa

    from pktui.memory.store.tables import Database, Table

# So much waits at the most before it is due to be committed, also while requests come.
MOST_ROWS, MOST_BYTES = 2_000, 8 << 20


@dataclass(frozen=True, slots=True)
class Kind:
    """What the rows of a table are; `row` is their type, a msgspec struct.

    Rows have a column `id`. Those that come `once` arrive in the order of their ids and are never
    written again; of the others, a row takes the place of the one with its id.
    """

    name: str
    row: Any
    table: Table
    arrow: Callable[[Sequence[Any]], pa.Table]
    id_of: Callable[[Any], int]
    once: bool


class WriteBehind:
    """The one way by which rows are added. Usable from several threads.

    Who deletes rows of a table calls `flush` first, while nobody adds.
    """

    def __init__(self, database: Database, kinds: Sequence[Kind], *, sync: bool) -> None:
        directory = database.place.directory
        self._database = database
        self._kinds = {kind.name: kind for kind in kinds}
        self._waiting: dict[str, list[Any]] = {name: [] for name in self._kinds}
        self._changed: set[str] = set()
        self._bytes = 0
        self._doubtful = False
        """A commit failed or was cut short: some of what waits may be in its table already."""
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self.damage = ""
        """What of the journal could not be read, in a sentence."""
        try:
            self._journal = None if directory is None else Journal(directory / DIRECTORY, sync=sync)
        except OSError as error:
            raise self._failure("cannot be opened", error) from error

    @property
    def waiting(self) -> int:
        """The number of rows that are not in their tables yet."""
        with self._lock:
            return sum(len(rows) for rows in self._waiting.values())

    def add(self, kind: str, rows: Sequence[Any], *, new: bool = True) -> None:
        """Keep rows, all or none; `new` says that no row with their ids was kept before."""
        if not rows:
            return
        if self._journal is None:
            self._commit(self._kinds[kind], rows, new=new)
            return
        self._database.guard()
        with self._lock:
            try:
                self._bytes += self._journal.append(kind, rows)
            except OSError as error:
                raise self._failure("could not be written", error) from error
            self._waiting[kind] += rows
            if not new:
                self._changed.add(kind)

    def recover(self) -> None:
        """Commit what the last owner acknowledged and did not commit; call it before any reading.

        Rows that were committed before it was killed are known by their ids.
        """
        if self._journal is None:
            return
        try:
            found = self._journal.read({kind.name: kind.row for kind in self._kinds.values()})
        except OSError as error:
            raise self._failure("cannot be read", error) from error
        for name, rows in found.appends:
            self._waiting[name] += rows
        if found.damaged:
            where = f"{self._database.place.shown}/{DIRECTORY}"
            self.damage = f"{found.damaged} damaged lines of the journal are kept aside in {where}"
        self._changed.update(self._kinds)
        self._doubtful = True
        self.flush()

    def due(self) -> bool:
        """Tell whether enough waits to be committed even while requests come."""
        return self._bytes >= MOST_BYTES or self.waiting >= MOST_ROWS

    def flush(self) -> None:
        """Commit what waits, kind by kind; what fails goes on waiting. Others may add meanwhile."""
        if self._journal is None:
            return
        with self._flushing:
            self._database.guard()
            if self._journal.gone:
                raise StoreError(
                    f"the memory at {self._database.place.shown} was removed",
                    "Nothing more is written there",
                )
            with self._lock:
                segments = self._journal.seal()
                rows, self._waiting = self._waiting, {name: [] for name in self._kinds}
                changed, self._changed = self._changed, set()
                size, self._bytes = self._bytes, 0
            try:
                for name, kind in self._kinds.items():
                    self._commit(kind, self._missing(kind, rows[name]), new=name not in changed)
                    rows[name] = []
            except BaseException:
                with self._lock:
                    self._waiting = {name: rows[name] + self._waiting[name] for name in rows}
                    self._changed |= changed
                    self._bytes += size
                    self._doubtful = True
                raise
            self._doubtful = False
            with self._lock:
                try:
                    self._journal.discard(segments)
                except OSError as error:
                    raise self._failure("cannot be removed", error) from error

    def _missing(self, kind: Kind, rows: Sequence[Any]) -> Sequence[Any]:
        """Return the rows that are not in the table yet."""
        if not (self._doubtful and kind.once and rows):
            return rows
        first = min(kind.id_of(row) for row in rows)
        known = set(kind.table.read(["id"], f"id >= {first}")["id"].to_pylist())
        return [row for row in rows if kind.id_of(row) not in known]

    def _commit(self, kind: Kind, rows: Sequence[Any], *, new: bool) -> None:
        if not rows:
            return
        latest = rows if kind.once else list({kind.id_of(row): row for row in rows}.values())
        if new or kind.once:
            kind.table.append(kind.arrow(latest))
        else:
            kind.table.upsert(kind.arrow(latest), "id")

    def _failure(self, what: str, error: OSError) -> StoreError:
        return StoreError(
            f"the memory's journal in {self._database.place.shown} {what}: "
            f"{error.strerror or error}",
            cure_of(error),
        )
