"""The ledger: what every gateway, hook, console and command shares in one data directory.

What happened is in the journal, what waits and what decides in `ledger.db`, what is read of both in
the index of the journal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

import msgspec

from pktui.errors import LedgerUnavailable, SettingsError
from pktui.ledger.allowance import Allowance
from pktui.ledger.approvals.approvals import Approvals
from pktui.ledger.approvals.speakable import Below, random_below
from pktui.ledger.clock import SharedClock
from pktui.ledger.counters import Counters
from pktui.ledger.database import Database, has_table, open_database
from pktui.ledger.events import Events
from pktui.ledger.feed.pages import Feed
from pktui.ledger.integrity.vouching import JournalVouchers
from pktui.ledger.journal.journal import Journal, charges_of
from pktui.ledger.presence import Presence
from pktui.ledger.requests import Requests
from pktui.ledger.tool_catalogue import Catalogue
from pktui.settings import AuditSettings, LedgerSettings
from pktui.times import SteadyClock, now_us

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.ledger.approvals.pin import Pin
    from pktui.ledger.approvals.standing import Standing
    from pktui.ledger.chain.anchors.anchoring import Anchors
    from pktui.ledger.chain.retention import Retention
    from pktui.ledger.feed.rollup import Rollup
    from pktui.ledger.grants import Grants
    from pktui.ledger.integrity.recovery import Applying
    from pktui.ledger.integrity.vouching import Vouchers
    from pktui.ledger.journal.indexer import Index
    from pktui.ledger.postgres.migration import Moved
    from pktui.ledger.postgres.team import Team
    from pktui.ledger.records import Seat, Verification
    from pktui.ledger.results import Results
    from pktui.ledger.transaction import Counting, Deciding
    from pktui.ledger.usage import Usage

_MEGABYTE = 1_000_000
_DEFAULTS = AuditSettings()
_ALONE = LedgerSettings()


class Ledger:
    """What happened and what waits, for any thread of a process.

    `transaction` is the one way in to everything that is written. Every method that touches a file
    raises `LedgerUnavailable` where it cannot be used.
    """

    def __init__(
        self,
        database: Database,
        journal: Journal,
        counters: Counters,
        audit: AuditSettings,
        clock: Callable[[], int],
        below: Below,
        require_pin: bool,
        team: Team | None = None,
    ) -> None:
        self._database = database
        self._journal = journal
        self._audit = audit
        self._clock = clock
        self._below = below
        self._require_pin = require_pin
        self._team = team
        self._deciding: Deciding = database
        self._vouchers: Vouchers = JournalVouchers(database, journal.directory)
        self.counters: Counting = counters
        self._close_counters = counters.close
        # The time by which what decides expires: that of the database it is in.
        self.clock = clock
        if team is not None:
            self._deciding, self._vouchers = team.database, team.vouchers
            self.counters, self.clock = team.counters, team.database.connection.now_us
        self.transaction = database.transaction
        allowance = Allowance(database, clock, round(audit.max_megabytes * _MEGABYTE))
        self.events = Events(
            *(database, journal, self._indexed, clock, audit, allowance),
            *(self._deciding, self._vouchers),
        )
        self.feed = Feed(self._indexed, clock)
        deciding = self._deciding
        person = str if team is None else team.database.person
        self.approvals = Approvals(
            *(deciding, self.events, self.clock, below, self._check_pin, person)
        )
        # Returns what is another after each change of approvals, grants, pins or the stop; raises
        # `LedgerUnavailable` where `ledger.db` is not what was opened.
        self.changes: Callable[[], object] = database.told if team is None else self._told
        self.catalogue = Catalogue(deciding, self.events, self.clock, self._check_pin)
        self.requests = Requests(database, clock)
        self.presence = (
            Presence(database, clock) if team is None else Presence(database, clock, team.elsewhere)
        )

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        audit: AuditSettings = _DEFAULTS,
        read_only: bool = False,
        own: bool = False,
        lasting: bool = False,
        clock: Callable[[], int] = now_us,
        below: Below = random_below,
        require_pin: bool = False,
        shared: LedgerSettings = _ALONE,
    ) -> Ledger:
        """Open what is beside `path`, made where it is missing unless `read_only`.

        A ledger of the first edition is carried over; changes whose process died before they were
        made are made; approvals that ran out meanwhile are settled, so that their arguments are
        masked. `own`: events go to segments of this process's own, not to those that are shared.
        `lasting`: this process lives long, as one with segments of its own does.
        `clock` returns microseconds since the epoch, `below` draws the approvals' ids.
        `require_pin`: nothing is decided without a PIN, even where none is set yet. `shared` says
        whether what decides is a team's; where its database is away the ledger opens all the same.
        Raises `LedgerUnavailable` with the cause and what to do, `SettingsError`.
        """
        database = open_database(path, fsync=audit.fsync, read_only=read_only)
        journal = Journal(
            path.parent / "journal",
            clock,
            fsync=audit.fsync,
            own=own,
            max_bytes=round(audit.max_megabytes * _MEGABYTE),
        )
        counters = Counters(
            path.with_name("counters"),
            clock,
            partial(charges_of, journal.directory, clock),
            lambda: ledger.index.counters(),
            read_only=not os.access(path.parent, os.W_OK),
        )
        database.changes = None if read_only else counters.file
        team = None
        if shared.uri:
            lasts = own or lasting
            team = _team(shared, database, clock, read_only=read_only, lasting=lasts)
        turns = counters if team is None else team.counters
        commits = None if team is None else team.database
        database.transaction.use(journal, turns, own=own, team=commits)
        ledger = cls(database, journal, counters, audit, clock, below, require_pin, team)
        try:
            if isinstance(clock, SteadyClock):
                SharedClock(database, clock).join()
            if not read_only:
                ledger._catch_up()
                if team is None:
                    ledger.approvals.expire()
                elif own or lasting:
                    team.keep(ledger.presence.here, lambda: ledger.index)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @cached_property
    def rollup(self) -> Rollup:
        """The sums over the log; loaded for who shows figures."""
        from pktui.ledger.feed.rollup import Rollup

        return Rollup(self.path.with_name("rollup.db"), self._indexed)

    @cached_property
    def usage(self) -> Usage:
        """The newest known sums of the tokens that agents used."""
        from pktui.ledger.usage import Usage

        return Usage(self.path.parent)

    @property
    def keeps_results(self) -> bool:
        """Whether anything is put on record of what tools answer."""
        return self._audit.results != "off"

    @cached_property
    def results(self) -> Results:
        """What tools answered; loaded by those who write or show it."""
        from pktui.ledger.results import Results

        journal = self._journal.another()
        return Results(journal, self._indexed, self._clock, self._audit)

    @cached_property
    def grants(self) -> Grants:
        """The bearer tokens' grants; loaded for those who listen or hand them out alone."""
        from pktui.ledger.grants import Grants

        ended, stands = self._grant_ended, self.stands
        return Grants(self._deciding, self.events, self.clock, ended, stands)

    @cached_property
    def anchors(self) -> Anchors:
        """The heads of the journal, kept elsewhere; loaded by those who look after it."""
        from pktui.ledger.chain.anchors.anchoring import Anchors

        return Anchors(self._database, self._journal.directory, self._audit, self._clock)

    @cached_property
    def retention(self) -> Retention:
        """What keeps the journal within its age and size; loaded by those who look after it."""
        from pktui.ledger.chain.retention import Retention

        database, events, vouchers = self._database, self.events, self._vouchers
        if self._team is not None:
            vouchers = JournalVouchers(database, self._journal.directory)
            events = Events(
                *(database, self._journal, self._indexed, self._clock, self._audit),
                *(self.events.allowance, database, vouchers),
            )
        return Retention(
            *(database, self._journal, self._indexed, events, self._audit, self._clock),
            *(self.counters.longest_us, vouchers, self._team.copied if self._team else None),
        )

    @cached_property
    def pin(self) -> Pin:
        """The PIN for decisions; loaded for those who decide."""
        from pktui.ledger.approvals.pin import Pin

        required = self._require_pin
        return Pin(self._deciding, self.events, self.clock, self.stands, required=required)

    @cached_property
    def standing(self) -> Standing:
        """The standing approvals; loaded once a call needs an approval."""
        from pktui.ledger.approvals.standing import Standing

        return Standing(self._deciding, self.events, self.approvals, self.clock, self._below)

    @cached_property
    def index(self) -> Index:
        """What is read of the journal; loaded by those who read."""
        from pktui.ledger.journal.indexer import Index

        return Index(self.path.with_name("index.db"), self._journal.directory, self._clock)

    @cached_property
    def _applying(self) -> Applying:
        from pktui.ledger.integrity.recovery import Applying

        return Applying(self._database, self._journal, self.events)

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    @property
    def read_only(self) -> bool:
        """Whether it was opened to be read only."""
        return self._database.read_only

    def move_to_team(self) -> Moved:
        """Carry what decides on this machine over into the team's ledger.

        Raises `LedgerUnavailable`, and `LedgerError` where that cannot be.
        """
        from pktui.ledger.postgres.migration import move

        assert self._team is not None
        directory = self._journal.directory
        return move(self._database, self._team.database, self.events, directory, self._clock)

    @property
    def seat(self) -> Seat:
        """Which of a team's machines this is, and whose; empty where it is alone."""
        return self._deciding.seat

    def signed(self, by: str) -> str:
        """Return who decides as the record has them: `by`, in a team `role (person@machine)`."""
        return self._deciding.signed(by)

    @property
    def team(self) -> Team | None:
        """The team's part of it; None where this machine is alone."""
        return self._team

    def stamp(self) -> object:
        """Return what differs once a file of the ledger changed, from a look at their sizes alone.

        Two changes within a tick of the kernel's clock can be told as one: `state` is sure.
        """
        seen = self._team.database.connection.seen() if self._team is not None else 0
        return self._database.stamp(), self.index.stamp(), seen

    def state(self) -> tuple[object, ...]:
        """Return what differs from the last time once anything was recorded or changed."""
        return self.data_version(), *self.index.state()

    def unread(self) -> int:
        """Return how many bytes of the journal the index does not have; reads none of them."""
        return self.index.unread()

    def _told(self) -> object:
        """Return `changes` where a team decides, after a look at what is this machine's."""
        assert self._team is not None
        self._database.told()
        return self._team.database.connection.told()

    def data_version(self) -> object:
        """Return what differs from the last time once others have written.

        Raises `LedgerUnavailable` where one of those was a newer pktui that changed the schema.
        """
        version = self._database.data_version()
        return version if self._team is None else (version, self._team.database.connection.seen())

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
        self._database.reopen(fsync=self._audit.fsync)

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
            self._indexed,
            self.presence,
            self.events,
            self.approvals,
            self.standing,
        ).settle()

    def verify(
        self, progress: Callable[[int, int], None] | None = None, keys: Sequence[str] = ()
    ) -> Verification:
        """Follow the journal and name the first thing that is wrong.

        Checked against the anchors, too, where the settings name stores of them; `keys` are the
        public keys that may sign those, by default those of `audit.key`. With a team's database
        each row is compared with its copy there. `progress` is called with the bytes done and the
        bytes in all, now and then.
        """
        from pktui.ledger.chain.verify import verify

        anchors = self.anchors.checked(keys)
        found = verify(
            self._journal.directory,
            self._database,
            self.index.reached(),
            anchors.found,
            progress,
            "; ".join(anchors.findings),
            self._team.copies if self._team is not None else None,
        )
        return msgspec.structs.replace(found, notes=(*found.notes, *anchors.notes))

    def framed(self, *, since_us: int = 0, until_us: int = 0) -> Iterator[bytes]:
        """Give the events of a time as lines; see `pktui.ledger.chain.export`."""
        from pktui.ledger.chain.export import framed

        directory = self._journal.directory
        return framed(directory, self._clock, since_us=since_us, until_us=until_us)

    def tell_time(self) -> None:
        """Let other processes know where this one came to believe in another time."""
        if isinstance(self._clock, SteadyClock):
            SharedClock(self._database, self._clock).tell()

    def close(self) -> None:
        """Seal what this process alone wrote to and close the files; twice does no harm."""
        if "rollup" in self.__dict__:
            self.rollup.close()
        if "index" in self.__dict__:
            self.index.close()
        if "results" in self.__dict__:
            self.results.close()
        self._journal.close()
        self._close_counters()
        if self._team is not None:
            self._team.close()
        self._database.close()

    def stands(self, table: str, *key: str | int | bytes) -> bool:
        """Tell whether a row that decides is as the event that it names says."""
        from pktui.ledger.integrity.vouching import stands

        return stands(self._vouchers, self._deciding, table, *key)

    def _grant_ended(self, identity: str) -> None:
        self.standing.grant_ended(identity)
        self.approvals.grant_ended(identity)

    def _check_pin(self, pin: str, by: str) -> None:
        self.pin.check(pin, by=by)

    def _indexed(self) -> Database:
        if self._journal.closed:
            raise LedgerUnavailable(f"the ledger {self.path} was closed", "Start pktui again")
        return self.index.database()

    def _catch_up(self) -> None:
        """Carry the log of the first edition over; make what processes that died left unmade."""
        self.transaction.mend = lambda: self._applying.mend()
        if has_table(self._database, "events") or has_table(self._database, "charges"):
            from pktui.ledger.chain.first_edition_import import carry_over

            carry_over(self._database, self._journal, self.events)
        self._applying.catch_up()


def _team(
    shared: LedgerSettings,
    database: Database,
    clock: Callable[[], int],
    *,
    read_only: bool,
    lasting: bool,
) -> Team:
    try:
        from pktui.ledger.postgres.team import Team
    except ImportError as error:
        raise SettingsError(
            f"ledger.uri names a PostgreSQL, and {error.name} is not installed",
            "Install it with: pip install 'pktui[team]'",
        ) from error
    directory, transaction = database.path.parent, database.transaction
    return Team(directory, shared, transaction, clock=clock, read_only=read_only, lasting=lasting)
