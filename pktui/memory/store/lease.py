"""Who owns a store that others can reach too: a row that its owner renews.

The lock file is of one machine. A store elsewhere has a table `owner` with one row: who has it,
and a number that the owner raises every few seconds. Another machine's service takes the store
over only when the number stood still for as long as the lease lasts, counted by its own clock, so
that no two clocks need agree; the change is a conditional one, so that of two takers one wins. The
owner in turn writes nothing when its last renewal is as old as the lease, as it may have lost it.

A service that comes back with the data directory of the owner has it at once: that directory's
lock says that the owner is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from pktui.errors import MemoryUnavailable, StoreError
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.memory.store.tables import Database, Table

SECONDS = 30.0
_LOOKS = 10
_TIDY_EVERY = 50
_TABLE = "owner"
_SCHEMA = pa.schema([("holder", pa.string()), ("name", pa.string()), ("beat", pa.int64())])


@dataclass(frozen=True, slots=True)
class Holder:
    """Who wants the store: `key` is the same for each service of a data directory."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class _Row:
    holder: str
    name: str
    beat: int


class LeaseLost(StoreError):
    """The store belongs to another service now, or may."""


class Lease:
    """A store that this process owns. `renew` it several times in `seconds`."""

    def __init__(
        self, database: Database, me: Holder, seconds: float, monotonic: Callable[[], float]
    ) -> None:
        self._table: Table = database.table(_TABLE, _SCHEMA, _rows(_Row("", "", 0)))
        self._shown = database.place.shown
        self._me = me
        self._seconds = seconds
        self._monotonic = monotonic
        self._beat = 0
        self._renewed = 0.0

    @classmethod
    def take(
        cls,
        database: Database,
        me: Holder,
        *,
        seconds: float = SECONDS,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Lease:
        """Become the owner; raises `MemoryUnavailable` naming the one there is.

        Where another service has it, wait whether that one is alive.
        """
        lease = cls(database, me, seconds, monotonic)
        row = lease._row()
        if row.holder not in ("", me.key):
            lease._wait_out(row, pause)
        lease._change(row)
        return lease

    def renew(self) -> None:
        """Stay the owner; raises `LeaseLost` where another one is, or may be by now."""
        self.check()
        self._change(_Row(self._me.key, self._me.name, self._beat))
        if self._beat % _TIDY_EVERY == 0:
            self._table.compact()

    def check(self) -> None:
        """Raise `LeaseLost` where the last renewal is too old for anything to be written."""
        if self._monotonic() - self._renewed >= self._seconds:
            raise self._lost("could not be renewed in time")

    def release(self) -> None:
        """Let the next one in at once."""
        self._table.update(self._condition(self._beat), {"holder": "", "beat": self._beat + 1})
        self._table.compact()

    def _wait_out(self, row: _Row, pause: Callable[[float], None]) -> None:
        deadline = self._monotonic() + self._seconds
        while self._monotonic() < deadline:
            pause(self._seconds / _LOOKS)
            now = self._row()
            if now != row:
                raise self._owned(now.name)

    def _change(self, row: _Row) -> None:
        """Write the next number over this very row."""
        asked = self._monotonic()
        values: dict[str, str | int] = {
            "holder": self._me.key,
            "name": self._me.name,
            "beat": row.beat + 1,
        }
        if self._table.update(self._condition(row.beat, row.holder), values) != 1:
            owner = self._row().name
            raise self._lost("was lost") if self._beat else self._owned(owner)
        self._beat = row.beat + 1
        self._renewed = asked

    def _condition(self, beat: int, holder: str | None = None) -> str:
        key = (self._me.key if holder is None else holder).replace("'", "''")
        return f"holder = '{key}' AND beat = {beat}"

    def _row(self) -> _Row:
        self._table.refresh()
        rows = self._table.read().to_pylist()
        if len(rows) != 1:
            raise self._lost(f"has {len(rows)} rows instead of one")
        return _Row(**rows[0])

    def _owned(self, name: str) -> MemoryUnavailable:
        return MemoryUnavailable(
            f"another memory service ({one_line(name, 100)}) has {self._shown}",
            "Use that one: set memory.service to its address; or end it there",
        )

    def _lost(self, why: str) -> LeaseLost:
        return LeaseLost(
            f"the lease of {self._shown} {why}: nothing more is written",
            "The service ends; its clients start it again",
        )


def _rows(row: _Row) -> pa.Table:
    values = {"holder": [row.holder], "name": [row.name], "beat": [row.beat]}
    return pa.table(values, schema=_SCHEMA)
