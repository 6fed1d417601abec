"""The ledger: one SQLite file that every gateway, hook, console and command shares."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from pktui.ledger.approvals.single import Approvals
from pktui.ledger.approvals.speakable import Below, random_below
from pktui.ledger.catalogue import Catalogue
from pktui.ledger.chain.log import Events
from pktui.ledger.clock import SharedClock
from pktui.ledger.counters import Counters
from pktui.ledger.database import Database, open_database
from pktui.ledger.feed.pages import Feed
from pktui.ledger.presence import Presence
from pktui.ledger.requests import Requests
from pktui.settings import AuditSettings
from pktui.times import SteadyClock, now_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pktui.ledger.approvals.pin import Pin
    from pktui.ledger.approvals.standing import Standing
    from pktui.ledger.chain.anchors import Anchors
    from pktui.ledger.chain.retention import Retention
    from pktui.ledger.feed.rollup import Rollup
    from pktui.ledger.grants import Grants
    from pktui.ledger.usage import Usage

_DEFAULTS = AuditSettings()


class Ledger:
    """What happened and what waits, on one connection that any thread may use.

    Every method that touches the file raises `LedgerUnavailable` where it cannot be used.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditSettings,
        clock: Callable[[], int],
        below: Below,
        require_pin: bool,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._below = below
        self._require_pin = require_pin
        self._reader: Database | None = None
        self._opening = threading.Lock()
        self._closed = False
        self.events = Events(database, clock, audit)
        self.feed = Feed(self._read, clock)
        self.approvals = Approvals(database, self.events, clock, below, self._check_pin)
        self.counters = Counters(database, clock)
        self.catalogue = Catalogue(database, self.events, clock, self._check_pin)
        self.requests = Requests(database, clock)
        self.presence = Presence(database, clock)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        audit: AuditSettings = _DEFAULTS,
        read_only: bool = False,
        clock: Callable[[], int] = now_us,
        below: Below = random_below,
        require_pin: bool = False,
    ) -> Ledger:
        """Open the file, made where it is missing unless `read_only`.

        Approvals that ran out meanwhile are settled, so that their arguments are masked.
        `clock` returns microseconds since the epoch, `below` draws the approvals' ids.
        `require_pin`: nothing is decided without a PIN, even where none is set yet. Raises
        `LedgerUnavailable` with the cause and what to do.
        """
        database = open_database(path, fsync=audit.fsync, read_only=read_only)
        ledger = cls(database, audit, clock, below, require_pin)
        try:
            if isinstance(clock, SteadyClock):
                SharedClock(database, clock).join()
            if not read_only:
                ledger.approvals.expire()
        except BaseException:
            ledger.close()
            raise
        return ledger

    @cached_property
    def rollup(self) -> Rollup:
        """The sums over the log; loaded for who shows figures."""
        from pktui.ledger.feed.rollup import Rollup

        return Rollup(self.path.with_name("rollup.db"), self._read)

    @cached_property
    def usage(self) -> Usage:
        """The newest known sums of the tokens that agents used."""
        from pktui.ledger.usage import Usage

        return Usage(self.path.parent)

    @cached_property
    def grants(self) -> Grants:
        """The bearer tokens' grants; loaded for those who listen or hand them out alone."""
        from pktui.ledger.grants import Grants

        return Grants(self._database, self.events, self._clock, self._grant_ended)

    @cached_property
    def anchors(self) -> Anchors:
        """The heads of the chain in a second file; loaded by those who look after the ledger."""
        from pktui.ledger.chain.anchors import Anchors

        return Anchors(self._database, self._audit, self._clock)

    @cached_property
    def retention(self) -> Retention:
        """What keeps the log within its age and size; loaded by those who look after it."""
        from pktui.ledger.chain.retention import Retention

        return Retention(self._database, self.events, self._audit, self._clock)

    @cached_property
    def pin(self) -> Pin:
        """The PIN for decisions; loaded for those who decide."""
        from pktui.ledger.approvals.pin import Pin

        return Pin(self._database, self.events, self._clock, required=self._require_pin)

    @cached_property
    def standing(self) -> Standing:
        """The standing approvals; loaded once a call needs an approval."""
        from pktui.ledger.approvals.standing import Standing

        return Standing(self._database, self.events, self.approvals, self._clock, self._below)

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def read_only(self) -> bool:
        """Whether it was opened to be read only."""
        return self._database.read_only

    def transaction(self) -> AbstractContextManager[object]:
        """Use as `with ledger.transaction():` to commit several changes at once, or none.

        Takes the write lock at its start (`BEGIN IMMEDIATE`); may be nested.
        """
        return self._database.transaction()

    @contextmanager
    def at_once(self) -> Iterator[bool]:
        """Use as `with ledger.at_once() as mine:` where nothing may wait for others.

        Where it is true, the first transaction inside begins without a wait, for its place was
        taken. Where it is false another thread or process writes just now: do it elsewhere.
        """
        mine = self._database.claim()
        try:
            yield mine
        finally:
            if mine:
                self._database.let_go()

    def data_version(self) -> int:
        """Return a number that differs from the last one once another connection has written.

        Raises `LedgerUnavailable` where one of those was a newer pktui that changed the schema.
        """
        return self._database.data_version()

    def check_files(self) -> None:
        """Raise `LedgerUnavailable` where the file is not the one that was opened.

        Removed, replaced, or changed by a newer pktui. Writing raises that by itself; one that
        only reads goes on reading what is no more.
        """
        self._database.check_files()
        self._database.data_version()

    def reopen(self) -> None:
        """Go on with the file that is at the path now: what was opened was removed or replaced.

        Raises `LedgerUnavailable` where there is none or it cannot be used.
        """
        with self._opening:
            self._database.reopen(fsync=self._audit.fsync)
            reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def damage(self) -> str:
        """Return what SQLite finds broken in the file (`quick_check`); empty where it is whole."""
        found = [str(row[0]) for row in self._database.rows("PRAGMA quick_check(3)")]
        return "" if found == ["ok"] else "; ".join(found)

    def settle_lost(self) -> int:
        """Put the ends of calls on record whose gateway died; return how many those were."""
        from pktui.ledger.lost import Lost

        if not self.presence.dead("gateway"):
            return 0
        return Lost(
            self._database,
            self.presence,
            self.events,
            self.approvals,
            self.standing,
        ).settle()

    def framed(self, *, since_us: int = 0, until_us: int = 0) -> Iterator[bytes]:
        """Give what `exported` does, between lines that say which rows there are."""
        from pktui.ledger.chain.export import framed

        return framed(self._database, self.events, since_us=since_us, until_us=until_us)

    def tell_time(self) -> None:
        """Let other processes know where this one came to believe in another time."""
        if isinstance(self._clock, SteadyClock):
            SharedClock(self._database, self._clock).tell()

    def exported(self, *, since_us: int = 0, until_us: int = 0) -> Iterator[bytes]:
        """Give the events of a time as lines; see `pktui.ledger.chain.export`."""
        from pktui.ledger.chain.export import exported

        return exported(self._database, self.events, since_us=since_us, until_us=until_us)

    def close(self) -> None:
        """Close the connection; closing twice does no harm."""
        if "rollup" in self.__dict__:
            self.rollup.close()
        with self._opening:
            self._closed = True
            if self._reader is not None:
                self._reader.close()
        self._database.close()

    def _grant_ended(self, identity: str) -> None:
        self.standing.grant_ended(identity)
        self.approvals.grant_ended(identity)

    def _check_pin(self, pin: str, by: str) -> None:
        self.pin.check(pin, by=by)

    def _read(self) -> Database:
        """Return the connection that only reads; once closed, one that says so when used."""
        with self._opening:
            if self._closed:
                return self._database
            if self._reader is None:
                self._reader = open_database(self.path, fsync=False, read_only=True)
            return self._reader
