"""The one way in to what is written: rows of the journal and of `ledger.db`, all of them or none.

Rows of the journal are collected and written when the outermost transaction ends, just before the
file's own changes are committed: an event whose change was not committed is applied by whoever
opens the ledger next (`pktui.ledger.approvals.applying`), a change without its event does not
count. Locks are taken in one order: the file's write lock, a shared segment's, the counters'.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from pktui.errors import LedgerUnavailable

if TYPE_CHECKING:
    from pktui.ledger.counters import Counters, Sight
    from pktui.ledger.journal.journal import Journal


class Rows(Protocol):
    """What is asked of `ledger.db`."""

    # Whether this transaction has its write lock.
    begun: bool

    def check_files(self) -> None:
        """Raise where it is not the file that was opened."""

    def begin(self) -> None:
        """Take its write lock, unless that is done."""

    def check_whole(self) -> None:
        """Raise where a change failed."""

    def commit(self) -> None:
        """Commit what was begun, if anything was."""

    def roll_back(self) -> None:
        """Take back what was begun and not committed."""


class Transaction:
    """Use as `with database.transaction():`, again inside itself if need be.

    One thread of a process is in it at a time.
    """

    def __init__(self, database: Rows) -> None:
        self.journal: Journal | None = None
        # Brings `ledger.db` up to what the journal says, where a commit of this process failed.
        self.mend: Callable[[], object] = _nothing
        self._database = database
        self._lock = threading.RLock()
        self._outer = _Outer(self, rows=False)
        self._outer_with_rows = _Outer(self, rows=True)
        self._writer = 0
        self._eager = True
        # Whether what the last transaction put on record was not committed.
        self.behind = False
        self._counters: Counters | None = None
        self._sight: Sight | None = None

    def use(self, journal: Journal, counters: Counters, *, own: bool) -> None:
        """Write events there; `own`: no other process waits for its segments."""
        self.journal = journal
        self._counters = counters
        self._eager = not own

    def __call__(self, *, rows: bool = True) -> AbstractContextManager[object]:
        """Begin the outermost one, which takes the write lock at once unless `rows` is False.

        Inside one that has not taken it, the first that has `rows` takes it. Where it ends in an
        exception, nothing of it is written.
        """
        if self._writer != get_ident():
            return self._outer_with_rows if rows or self._eager else self._outer
        if rows:
            self._database.begin()
        return self._lock

    def sight(self) -> Sight:
        """Return what this transaction sees of the counters and takes from them.

        Outside one it is what is there now, to be looked at once.
        """
        assert self._counters is not None
        if self._writer != get_ident():
            return self._counters.sight()
        if self._sight is None:
            self._sight = self._counters.sight()
        return self._sight

    def take_rows(self) -> bool:
        """Take the file's write lock; True where what was done so far had to be written first.

        For the counters' lock comes after it: what was taken from them is on record then.
        """
        ended = self._sight is not None and self._sight.locked and not self._database.begun
        if ended:
            self._append()
        self._database.begin()
        return ended

    def at_once(self) -> AbstractContextManager[bool]:
        """Use as `with transaction.at_once() as mine:` where nothing may wait for others.

        While it lasts other threads stay out. Where it is false one of them is in it just now: do
        it elsewhere.
        """
        return _AtOnce(self)

    def claim(self) -> bool:
        """Keep other threads out until `let_go`; False, at once, where one is in it."""
        if self._writer == get_ident() or not self._lock.acquire(blocking=False):
            return False
        if self.journal is None or self.journal.closed:
            self._lock.release()
            return False
        return True

    def let_go(self) -> None:
        """Let others in again."""
        self._lock.release()

    def enter(self, *, rows: bool) -> None:
        """Begin the outermost one."""
        self._lock.acquire()
        try:
            self._database.check_files()
            if rows or self.behind:
                self._database.begin()
        except BaseException:
            self._lock.release()
            raise
        self._writer = get_ident()
        if self.behind:
            self._mend()

    def leave(self, *, commit: bool) -> None:
        """End the outermost one."""
        try:
            if commit:
                if self._database.begun:
                    self._database.check_whole()
                self._append()
                if self._database.begun:
                    self._commit()
        finally:
            self._writer = 0
            try:
                if self._sight is not None and self._counters is not None:
                    self._counters.abandon(self._sight)
                    self._sight = None
                if self.journal is not None:
                    self.journal.discard()
                if self._database.begun:
                    self._database.roll_back()
            finally:
                self._lock.release()

    def _commit(self) -> None:
        try:
            self._database.commit()
        except LedgerUnavailable:
            self.behind = True
            raise

    def _append(self) -> None:
        """Write the rows of this transaction, and what they took from the counters."""
        if self.journal is None:
            return
        sight, self._sight = self._sight, None
        if sight is not None and self._counters is not None:
            self._counters.end(sight, self.journal.flush)
        else:
            self.journal.flush()

    def _mend(self) -> None:
        try:
            self.mend()
            self.behind = False
        except BaseException:
            self.leave(commit=False)
            raise


class _Outer:
    """The outermost transaction of a thread, as a context."""

    __slots__ = ("_rows", "_transaction")

    def __init__(self, transaction: Transaction, *, rows: bool) -> None:
        self._transaction = transaction
        self._rows = rows

    def __enter__(self) -> None:
        self._transaction.enter(rows=self._rows)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transaction.leave(commit=kind is None)


class _AtOnce:
    """Keeps other threads out of a transaction as a context, where that needs no wait."""

    __slots__ = ("_mine", "_transaction")

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._mine = False

    def __enter__(self) -> bool:
        self._mine = self._transaction.claim()
        return self._mine

    def __exit__(self, *_: object) -> None:
        if self._mine:
            self._transaction.let_go()


def _nothing() -> None:
    """There is nothing to bring up to date."""
