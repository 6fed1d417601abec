"""Times as numbers, for columns and cursors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pktui.times import now_us

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(when: datetime) -> int:
    """Return the microseconds since the epoch."""
    return (when - _EPOCH) // _MICROSECOND


def from_microseconds(time_us: int) -> datetime:
    """Return the UTC time so many microseconds since the epoch."""
    return _EPOCH + time_us * _MICROSECOND


def utc_now() -> datetime:
    """Return the time, which does not leap while the process runs."""
    return from_microseconds(now_us())
