"""What was taken from limits just before the database crashed, said again by those who took it.

What a call takes is committed without waiting for the disk, so a crash may lose its last second.
The journals have it. A table that a crash empties tells of one: nothing is taken then until each
machine that was taking has said what it took, or `WAIT_SECONDS` have passed. A machine says that it
takes before it does, and again every `TAKING_SECONDS`; that is on the disk.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.errors import TeamUnavailable
from pktui.ledger.journal.journal import charges_of
from pktui.ledger.postgres.tables import TAKING_SECONDS, WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.postgres.connection import TeamConnection

_FLOOR: Final = "SELECT waking()"
_RESTATE: Final = "SELECT restate(%s, %s::text[], %s::bigint[], %s::bigint[])"
_TAKES: Final = "SELECT takes(%s)"


class Taking:
    """Lets the database know that this machine takes from limits, and sees to it after a crash."""

    def __init__(self, journal: Path, clock: Callable[[], int]) -> None:
        self._journal = journal
        self._clock = clock
        self._said = 0.0

    def begin(self, connection: TeamConnection, machine: int) -> None:
        """Begin on a new connection; raises `TeamUnavailable` where others are waited for."""
        floor: int | None = connection.run(_FLOOR)[0][0][0]
        if floor is not None:
            self._say_again(connection, machine, floor)
        self._said = 0.0

    def go_on(self, connection: TeamConnection, machine: int) -> None:
        """Say that this machine takes, where that was not said of late on this connection."""
        now = time.monotonic()
        if not self._said or now - self._said >= TAKING_SECONDS:
            connection.run(_TAKES, (machine,))
            self._said = now

    def _say_again(self, connection: TeamConnection, machine: int, since_us: int) -> None:
        """Say what this machine took since then, by the database's clock, and did not give back."""
        taken: Counter[tuple[str, int, int]] = Counter()
        behind_us = self._clock() - connection.now_us()
        for one in charges_of(self._journal, self._clock, since_us + min(0, behind_us)):
            taken[one.key, abs(one.amount), one.at_us] += 1 if one.amount > 0 else -1
        lately = [one for one in taken.elements() if one[2] >= since_us]
        columns = [[one[at] for one in lately] for at in range(3)]
        missing: str | None = connection.run(_RESTATE, (machine, *columns))[0][0][0]
        if missing is not None:
            raise TeamUnavailable(
                f"the team's ledger {connection.address} came back after a crash, and not every"
                f" machine has said again what it took from limits: {missing}",
                f"Calls go on once they have, in {WAIT_SECONDS} seconds at the latest",
            )
