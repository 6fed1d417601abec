"""The one way in to what is written: rows of the journal and of what decides, all or none.

Rows of the journal are collected and written when the outermost transaction ends, just before the
databases' own changes are committed: an event whose change was not committed is applied by whoever
opens the ledger next (`pktui.ledger.integrity.recovery`), a change without its event does not
count. Locks are taken in one order: the write lock of `ledger.db`, that of a team's database, a
shared segment's, the counters'.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from pktui.errors import LedgerUnavailable

if TYPE_CHECKING:
    from decimal import Decimal

    from pktui.ledger.counters import C, Charge
    from pktui.ledger.journal.journal import Journal
    from pktui.ledger.records import Charged, CounterInUse, Seat


Row = tuple[Any, ...]
Values = Sequence[str | int | bytes | bytearray | None]


class Commits(Protocol):
    """A database as the transaction over it begins and ends; raises `LedgerUnavailable`."""

    # Whether this transaction has its write lock.
    begun: bool

    def begin(self) -> None:
        """Take its write lock, unless that is done; raise where it is not what was opened."""

    def check_whole(self) -> None:
        """Raise where a change failed."""

    def commit(self) -> None:
        """Commit what was begun, if anything was."""

    def roll_back(self) -> None:
        """Take back what was begun and not committed."""


class Deciding(Protocol):
    """The database with the tables that decide: `ledger.db`, or that of a team.

    Statements have `?` for values and are such as SQLite and PostgreSQL take. Everything raises
    `LedgerUnavailable`.
    """

    @property
    def transaction(self) -> Callable[..., AbstractContextManager[object]]:
        """The ledger's one transaction, with this database in it unless `rows` is False."""

    @property
    def seat(self) -> Seat:
        """Which of a team's machines this is."""

    def signed(self, by: str) -> str:
        """Return who decides as the record has them: `by`, in a team `role (person@machine)`."""

    def rows(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query."""

    def row(self, sql: str, values: Values = ()) -> Row | None:
        """Return the first row of a query, or None."""

    def run(self, sql: str, values: Values = ()) -> int:
        """Change something; return the number of rows it touched."""


class Turn(Protocol):
    """What one transaction sees of the counters and takes from them."""

    locked: bool
    """Whether others wait for it to end."""


class Counting(Protocol):
    """How much of each limit is used: on this machine, or on all of a team."""

    def begin(self) -> Any:
        """Begin a turn."""

    def end(self, turn: Any, append: Callable[[], object]) -> None:
        """Put a turn's rows on record by `append`, then let what it took be taken."""

    def abandon(self, turn: Any) -> None:
        """End a turn; what it took is not taken."""

    def usage(self, charge: Charge, turn: Any = None) -> tuple[Decimal, int]:
        """Return the units in the window now, and when the charge would first fit."""

    def used(self, charges: Iterable[Charge]) -> list[Decimal]:
        """Return the units in the windows of many charges, all of one time."""

    def in_use(self, server: str = "") -> tuple[CounterInUse, ...]:
        """Return all counters of a server, or of every one, whose windows hold anything now."""

    def reserve(self, charges: Sequence[C], call_id: str, turn: Any) -> C | None:
        """Take all charges for a call, or none and return the first that does not fit."""

    def taken(self, turn: Any, call_id: str) -> tuple[Charged, ...]:
        """Return what a call took in this turn, for its row on record."""

    def release(self, charged: Sequence[Charged], turn: Any) -> tuple[Charged, ...]:
        """Give back what a call took; return what its row says of that, empty where it is past."""

    def longest_us(self) -> int:
        """Return the longest window that was ever in use: younger rows must stay on record."""


class Transaction:
    """Use as `with database.transaction():`, again inside itself if need be.

    `with database.transaction:` is the same with `rows=False`. One thread of a process is in it at
    a time.
    """

    def __init__(self, database: Commits) -> None:
        self.journal: Journal | None = None
        # Brings `ledger.db` up to what the journal says, where a commit of this process failed.
        self.mend: Callable[[], object] = _nothing
        self._database = database
        self.lock = threading.RLock()
        self._with_rows = _Outer(self)
        # The thread that is in it, 0: none; and how often it is there by `with transaction:`.
        self.writer = 0
        self._inside = 0
        self._eager = True
        # Whether what the last transaction put on record was not committed.
        self.behind = False
        self._counters: Counting | None = None
        self._turn: Turn | None = None
        # The database of what decides, where that is a team's.
        self._team: Commits | None = None

    def use(
        self, journal: Journal, counters: Counting, *, own: bool, team: Commits | None = None
    ) -> None:
        """Write events there; `own`: no other process waits for its segments.

        `team` is the database of what decides, where that is not this one.
        """
        self.journal = journal
        self._counters = counters
        self._team = team
        self._eager = not own

    def __call__(self, *, rows: bool = True) -> AbstractContextManager[object]:
        """Begin the outermost one, which takes the write lock at once unless `rows` is False.

        Inside one that has not taken it, the first that has `rows` takes it. Where it ends in an
        exception, nothing of it is written.
        """
        if self.writer != get_ident():
            return self._with_rows if rows else self
        if rows:
            self._database.begin()
        return self.lock

    def with_team(self, *, rows: bool = True) -> AbstractContextManager[object]:
        """Begin as above; with `rows` the team's database has its part in it, too."""
        if not rows or self._team is None:
            return self(rows=rows)
        if self.writer != get_ident():
            return _Outer(self, self._team)
        self._database.begin()
        self._team.begin()
        return self.lock

    def turn(self) -> Any:
        """Return what this transaction sees of the counters and takes from them.

        Outside one it is what is there now, to be looked at once.
        """
        assert self._counters is not None
        if self.writer != get_ident():
            return self._counters.begin()
        if self._turn is None:
            self._turn = self._counters.begin()
        return self._turn

    def take_rows(self) -> bool:
        """Take the file's write lock; True where what was done so far had to be written first.

        For the counters' lock comes after it: what was taken from them is on record then.
        """
        ended = self._turn is not None and self._turn.locked and not self._database.begun
        if ended:
            self._append()
        self._database.begin()
        return ended

    def claim(self) -> bool:
        """Keep other threads out until `lock` is released, for who may not wait for others.

        False, at once, where one of them is in it just now, or a team's database would have to be
        waited for: do it elsewhere.
        """
        if self._team is not None:
            return False
        if self.writer == get_ident() or not self.lock.acquire(blocking=False):
            return False
        if self.journal is None or self.journal.closed:
            self.lock.release()
            return False
        return True

    def __enter__(self) -> None:
        self.lock.acquire()
        if self.writer:
            self._inside += 1
        elif self._eager or self.behind:
            self.begin(None)
        else:
            self.writer = get_ident()

    def begin(self, team: Commits | None) -> None:
        """Begin the outermost one, whose lock this thread has, with its databases in it."""
        try:
            self._database.begin()
            if team is not None:
                team.begin()
        except BaseException:
            self._database.roll_back()
            self.lock.release()
            raise
        self.writer = get_ident()
        if self.behind:
            self._mend()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        if self._inside:
            self._inside -= 1
            self.lock.release()
            return
        database, written = self._database, False
        try:
            if kind is None:
                if database.begun:
                    self._check_whole()
                self._append()
                written = True
                if database.begun:
                    self._commit()
        finally:
            self.writer = 0
            try:
                if self._turn is not None and self._counters is not None:
                    self._counters.abandon(self._turn)
                    self._turn = None
                if self.journal is not None and (self._eager or not written):
                    self.journal.discard()
                if database.begun or self._team is not None:
                    self._roll_back()
            finally:
                self.lock.release()

    def _append(self) -> None:
        """Write the rows of this transaction, and what they took from the counters."""
        if self.journal is None:
            return
        turn, self._turn = self._turn, None
        if turn is not None and self._counters is not None:
            self._counters.end(turn, self.journal.flush)
        else:
            self.journal.flush()

    def _check_whole(self) -> None:
        """Raise where a change of what was begun failed."""
        self._database.check_whole()
        if self._team is not None and self._team.begun:
            self._team.check_whole()

    def _roll_back(self) -> None:
        """Take back what was begun and not committed."""
        if self._database.begun:
            self._database.roll_back()
        if self._team is not None and self._team.begun:
            self._team.roll_back()

    def _commit(self) -> None:
        """Commit what decides before all else; it is begun only after the file is."""
        try:
            if self._team is not None:
                self._team.commit()
            self._database.commit()
        except LedgerUnavailable:
            self.behind = True
            raise

    def _mend(self) -> None:
        try:
            self.mend()
            self.behind = False
        except BaseException as error:
            self.__exit__(type(error))
            raise


class _Outer:
    """The outermost transaction of a thread with its databases in it, as a context."""

    __slots__ = ("_team", "_transaction")

    def __init__(self, transaction: Transaction, team: Commits | None = None) -> None:
        self._transaction = transaction
        self._team = team

    def __enter__(self) -> None:
        self._transaction.lock.acquire()
        self._transaction.begin(self._team)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transaction.__exit__(kind, error, trace)


def _nothing() -> None:
    """There is nothing to bring up to date."""
