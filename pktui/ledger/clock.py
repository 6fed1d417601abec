"""The time that all processes at one ledger share, as long as the machine is up.

The first process after a start of the machine notes how far its clock is from the machine's uptime.
Whoever opens the ledger after it, with a clock that says otherwise, goes on by what was noted: one
process with a wrong date neither ages the record nor ends what waits. A clock that says the same
other time for as long as it takes to believe it is noted anew, by whichever process sees that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pktui.times import BELIEVED_AFTER_US, SECOND_US, SteadyClock, boot_id, uptime_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.database import Database

# Clocks that differ by less are the same.
_APART_US: Final = 60 * SECOND_US
_SELECT: Final = "SELECT boot, offset_us, astray_us, astray_since_us FROM clock"
_NOTE: Final = """UPDATE clock
    SET boot = ?, offset_us = ?, astray_us = ?, astray_since_us = ?"""


class SharedClock:
    """What one ledger knows of the time; `boot` and `uptime` are those of the machine."""

    def __init__(
        self,
        database: Database,
        clock: SteadyClock,
        boot: Callable[[], str] = boot_id,
        uptime: Callable[[], int] = uptime_us,
    ) -> None:
        self._database = database
        self._clock = clock
        self._boot = boot
        self._uptime = uptime

    def join(self) -> None:
        """Go by the time that was noted since the machine was started, or note it."""
        boot, uptime = self._boot(), self._uptime()
        row = self._database.row(_SELECT)
        if not (boot and uptime and row):
            return
        offset = self._clock() - uptime
        known, noted, astray, since = row
        if known != boot:
            self._note(boot, offset, 0, 0)
        elif abs(offset - noted) <= _APART_US:
            if since:
                self._note(boot, noted, 0, 0)
        elif since and abs(offset - astray) <= _APART_US and uptime - since >= BELIEVED_AFTER_US:
            self._note(boot, offset, 0, 0)
        else:
            if not since or abs(offset - astray) > _APART_US:
                self._note(boot, noted, offset, uptime)
            self._clock.set(uptime + noted)

    def tell(self) -> None:
        """Note the time anew where this process came to believe in another one."""
        boot, uptime = self._boot(), self._uptime()
        row = self._database.row(_SELECT)
        if boot and uptime and row and self._clock.leaps:
            offset = self._clock() - uptime
            if row[0] == boot and abs(offset - row[1]) > _APART_US:
                self._note(boot, offset, 0, 0)

    def _note(self, boot: str, offset: int, astray: int, since: int) -> None:
        if not self._database.read_only:
            with self._database.transaction():
                self._database.run(_NOTE, (boot, offset, astray, since))
