"""What one process of each machine does for its team: copy its journal up, say what runs here.

Who holds the lock beside the ledger does it, on a thread and a connection of its own, so that
nothing of it is in a call's way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.errors import LedgerUnavailable
from pktui.files import lock, open_private
from pktui.ledger.postgres.connection import NOW
from pktui.ledger.postgres.other_machines import take_in
from pktui.ledger.postgres.replication import Copying
from pktui.ledger.records import Present

if TYPE_CHECKING:
    from pktui.ledger.journal.indexer import Index
    from pktui.ledger.postgres.database import SharedDatabase
    from pktui.ledger.records import PresenceKind

FILE: Final = "team.lock"
_LOOK_SECONDS: Final = 0.5
_END_SECONDS: Final = 2.0
# Who has not been heard of for so long does not run any more.
_GONE_US: Final = 15_000_000
_BEAT_SECONDS: Final = 5.0
_COLUMNS: Final = "token, kind, pid, server, agent, project, started_us, detail"
_HERE: Final = f"""INSERT INTO presence (machine, {_COLUMNS}, seen_us)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, {NOW})
    ON CONFLICT (machine, token) DO UPDATE SET agent = excluded.agent,
        detail = excluded.detail, seen_us = excluded.seen_us"""  # noqa: S608
_LEFT: Final = "DELETE FROM presence WHERE machine = %s AND token <> ALL (%s::text[])"
_ELSEWHERE: Final = f"""SELECT {_COLUMNS}, machines.name, machines.person FROM presence
    JOIN machines ON machines.n = machine
    WHERE machine <> %s AND presence.seen_us > {NOW} - {_GONE_US} AND kind = coalesce(%s, kind)
    ORDER BY started_us, token"""  # noqa: S608


class Keeper:
    """Works while it holds its lock, until it is closed; `here` gives what runs on this machine."""

    def __init__(
        self,
        directory: Path,
        database: SharedDatabase,
        here: Callable[[], tuple[Present, ...]],
        clock: Callable[[], int],
        index: Callable[[], Index],
    ) -> None:
        """`index` is asked for where a console looks."""
        self._directory = directory
        self._database = database
        self._here = here
        self._index = index
        self._copying = Copying(directory / "journal", database, clock)
        self._ending = threading.Event()
        self._said: tuple[Present, ...] | None = None
        self._beaten = 0.0
        self._thread = lasting.start("team", self._run)

    def close(self) -> None:
        """End the thread, with what is left to copy, but for what takes long."""
        self._ending.set()
        self._thread.join(_END_SECONDS)
        self._database.close()

    def _run(self) -> None:
        descriptor = open_private(self._directory / FILE, os.O_RDWR)
        try:
            while not self._ending.wait(_LOOK_SECONDS):
                with lasting.Survived("keeping the team up", lasting.to_stderr):
                    if lock(descriptor):
                        self._look()
                        self._copy()
            if lock(descriptor):
                self._copy()  # what was written since, and that this process has ended
        finally:
            os.close(descriptor)

    def _copy(self) -> None:
        with suppress(LedgerUnavailable):  # it goes on from there once the database is back
            while self._copying.step():
                pass
            if not self._ending.is_set() and any(one.kind == "console" for one in self._here()):
                take_in(self._database, self._index())

    def _look(self) -> None:
        """Say what runs here where that is other than it was said, or was said a while ago."""
        here = self._here()
        now = time.monotonic()
        if here == self._said and now - self._beaten < _BEAT_SECONDS:
            return
        self._said = None
        with suppress(LedgerUnavailable):  # what it cannot say now it says with the next look
            connection = self._database.connection
            connection.tell_time()
            machine = self._database.machine_number
            connection.run(_LEFT, (machine, [one.token for one in here]))
            for one in here:
                connection.run(_HERE, (machine, *(getattr(one, name) for name in _FIELDS)))
            self._said, self._beaten = here, now


_FIELDS: Final = tuple(_COLUMNS.split(", "))


def elsewhere(database: SharedDatabase, kind: PresenceKind | None) -> tuple[Present, ...]:
    """Return what runs on other machines, as far as is known; oldest first."""
    with suppress(LedgerUnavailable):
        connection = database.connection
        connection.told()
        return tuple(
            Present(*row) for row in connection.run(_ELSEWHERE, (database.machine_number, kind))[0]
        )
    return ()
