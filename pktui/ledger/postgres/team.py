"""What one machine has of its team's ledger: the shared tables, their events, the limits."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import LedgerUnavailable
from pktui.files import lock, open_private
from pktui.ledger.postgres.database import SharedDatabase, SharedVouchers
from pktui.ledger.postgres.limits import TeamCounters
from pktui.ledger.postgres.other_machines import take_in
from pktui.ledger.postgres.replication import Copying
from pktui.ledger.postgres.replicator import Keeper, elsewhere
from pktui.ledger.records import Seat
from pktui.person import login_name
from pktui.text import storable

if TYPE_CHECKING:
    from pktui.ledger.journal.indexer import Index
    from pktui.ledger.postgres.verifying import TeamVerified
    from pktui.ledger.records import Present
    from pktui.ledger.transaction import Transaction
    from pktui.settings import LedgerSettings

_FILE: Final = "machine"
_LENGTH: Final = 32
_LOCK_SECONDS: Final = 5.0
_LONGEST: Final = 64
_LOOKS: Final = 9
_COPIED: Final = "SELECT segment, number FROM copied WHERE machine = ?"
_HEALTH: Final = """SELECT current_setting('server_version'), current_user::text,
    has_table_privilege('events', 'INSERT'), (SELECT count(*) FROM machines)"""


class Health(msgspec.Struct, frozen=True):
    """What a look at the database has found; times in microseconds."""

    address: str
    server: str
    """Its version."""
    role: str
    writes: bool
    """Whether the role may record and decide."""
    ahead_us: int
    """By how much its clock is ahead of this machine's."""
    answer_us: int
    machines: int


class Team:
    """Opened with the ledger, connected when it is first asked. Raises `LedgerUnavailable`."""

    def __init__(
        self,
        directory: Path,
        settings: LedgerSettings,
        transaction: Transaction,
        *,
        clock: Callable[[], int],
        read_only: bool,
        lasting: bool,
    ) -> None:
        name = storable(settings.machine or socket.gethostname())[:_LONGEST]
        self._open = partial(
            SharedDatabase,
            *(settings.uri, machine_id(directory), Seat(login_name()[:_LONGEST], name)),
            transaction,
            clock=clock,
            directory=directory,
            read_only=read_only,
        )
        self._directory = directory
        self._clock = clock
        self._keeper: Keeper | None = None
        self.database = self._open(lasting=lasting)
        self.vouchers = SharedVouchers(self.database)
        self.counters = TeamCounters(self.database)
        self.elsewhere = partial(elsewhere, self.database)

    def keep(self, here: Callable[[], tuple[Present, ...]], index: Callable[[], Index]) -> None:
        """Look after this machine's part for as long as it is open.

        `here` gives what runs here, `index` what a console reads.
        """
        self._keeper = Keeper(self._directory, self._open(), here, self._clock, index)

    def take_in(self, index: Index) -> int:
        """Take what other machines have put on record into this machine's index.

        Returns how many rows that was. Raises `LedgerUnavailable`.
        """
        return take_in(self.database, index)

    def copy(self) -> None:
        """Copy what this machine has put on record, all of it.

        Raises `LedgerUnavailable`, `LedgerError` where another row is in the place of one.
        """
        copying = Copying(self._directory / "journal", self.database, self._clock)
        while copying.step():
            pass

    def copied(self) -> dict[int, int]:
        """Return the last row of each of this machine's segments that the team's ledger has.

        Empty where it cannot be asked.
        """
        with suppress(LedgerUnavailable):
            self.database.connection.told()
            return dict(self.database.rows(_COPIED, (self.database.machine_number,)))
        return {}

    def verify(self) -> TeamVerified:
        """Follow the record of all machines, and compare what decides with it.

        Raises `LedgerUnavailable`.
        """
        from pktui.ledger.postgres.verifying import verify_team

        self.database.connection.told()
        return verify_team(self.database, self.vouchers, self._directory / "journal")

    def copies(self, segment: int) -> Iterator[tuple[int, bytes]]:
        """Give the number and hash of each row of this machine's segment that was copied.

        Raises `LedgerUnavailable`.
        """
        from pktui.ledger.postgres.verifying import copied_hashes

        self.database.connection.told()
        return copied_hashes(self.database, self.database.machine_number, segment)

    def framed(self, machine: str, *, since_us: int, until_us: int) -> Iterator[bytes]:
        """Give a machine's events of a time as lines; see `pktui.ledger.chain.export`.

        Raises `LedgerError` where there is no such machine, `LedgerUnavailable`.
        """
        from pktui.ledger.postgres.exporting import framed_machine

        span = {"since_us": since_us, "until_us": until_us}
        return framed_machine(self.database, machine, self._clock, **span)

    def health(self) -> Health:
        """Look at the database; raises `LedgerUnavailable`."""
        connection = self.database.connection
        connection.told()
        took = []
        for _ in range(_LOOKS):
            begun = time.perf_counter_ns()
            connection.run("SELECT 1")
            took.append(time.perf_counter_ns() - begun)
        server, role, writes, machines = connection.run(_HEALTH)[0][0]
        ahead = connection.now_us() - time.time_ns() // 1000
        return Health(
            *(connection.address, server, role, writes, ahead, sorted(took)[_LOOKS // 2] // 1000),
            machines,
        )

    def close(self) -> None:
        """Let go of the database."""
        if self._keeper is not None:
            self._keeper.close()
        self.database.close()


def machine_id(directory: Path) -> str:
    """Return what tells this data directory from that of every other machine, made once."""
    descriptor = open_private(directory / _FILE, os.O_RDWR)
    try:
        lock(descriptor, seconds=_LOCK_SECONDS)
        found = os.pread(descriptor, _LENGTH, 0).decode("ascii", "replace")
        if len(found) < _LENGTH:
            found = os.urandom(_LENGTH // 2).hex()
            os.pwrite(descriptor, found.encode(), 0)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return found
