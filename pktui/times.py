"""The time as one process believes it: the system's, as long as that does not leap.

Whatever waits, expires or is counted in windows trusts this clock. It goes on by the time since the
machine was started, which nobody sets, and follows the system's clock in small steps. A leap of
that one (a wrong date, a clock set by hand, a machine that slept behind its own back) is believed
once it has lasted for `BELIEVED_AFTER_US`; until then time goes on as if it had not been.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

SECOND_US = 1_000_000
# How far the system's clock may stray to be followed at once.
NEAR_US = 2 * SECOND_US
BELIEVED_AFTER_US = 600 * SECOND_US
# How much later than now something may have been made: more is a clock that was wrong then.
SKEW_US = 300 * SECOND_US

# On Linux the other one stands still while the machine sleeps.
_TICKS_OF = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
# Nanoseconds since the machine was started, asleep or not.
boot_ns: Callable[[], int] = partial(time.clock_gettime_ns, _TICKS_OF)


class SteadyClock:
    """Microseconds since the epoch, UTC, without leaps. Safe from several threads."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        ticks_ns: Callable[[], int] = boot_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._ticks_ns = ticks_ns
        self._offset = 0
        self._look_at = 0
        self._astray: tuple[int, int] | None = None
        """By how much the system's clock leapt, and since when; None where it did not."""
        self.leaps = 0
        """How many leaps were believed."""
        self.set(wall_ns() // 1000)

    def __call__(self) -> int:
        """Return the time."""
        ticks = self._ticks_ns() // 1000
        if ticks >= self._look_at:
            self._follow(ticks)
        return ticks + self._offset

    def set(self, now_us: int) -> None:
        """Go on from that time: others know it better."""
        self._offset = now_us - self._ticks_ns() // 1000
        self._astray = None

    def _follow(self, ticks: int) -> None:
        """Compare with the system's clock, once a second: it takes longer than the rest."""
        self._look_at = ticks + SECOND_US
        leap = self._wall_ns() // 1000 - ticks - self._offset
        if abs(leap) <= NEAR_US:
            self._offset += leap
            self._astray = None
        elif self._astray is None or abs(leap - self._astray[0]) > NEAR_US:
            self._astray = leap, ticks
        elif ticks - self._astray[1] >= BELIEVED_AFTER_US:
            self._offset += leap
            self._astray = None
            self.leaps += 1


# The time of this process, microseconds since the epoch, UTC.
now_us = SteadyClock()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    """Return the time of this process."""
    return _EPOCH + now_us() * _MICROSECOND


def microseconds(when: datetime) -> int:
    """Return the microseconds since the epoch."""
    return (when - _EPOCH) // _MICROSECOND


def from_microseconds(time_us: int) -> datetime:
    """Return the UTC time so many microseconds since the epoch."""
    return _EPOCH + time_us * _MICROSECOND


def boot_id() -> str:
    """Return what tells this start of the machine from every other; empty where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, ValueError):
        return ""


def uptime_us() -> int:
    """Return the time since the machine was started as the kernel has it on file, 0: unknown.

    To a hundredth of a second; whoever puts a false clock before a program leaves it alone.
    """
    try:
        return int(float(Path("/proc/uptime").read_text().split()[0]) * SECOND_US)
    except (OSError, ValueError, IndexError):
        return 0
