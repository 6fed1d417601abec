"""Times that are typed as options: an ISO date or time, local where it says no zone, or an age."""

from __future__ import annotations

from datetime import UTC, datetime

from pktui.errors import UsageError

WHEN_HELP = "A date or time (local; Z or +02:00 says another zone), or an age: 7d, 2h."


def typed_us(option: str, text: str) -> int:
    """Return the microseconds since the epoch that a text means; raises `UsageError`."""
    from pktui.query import parse_when
    from pktui.times import now_us

    now = datetime.fromtimestamp(now_us() / 1_000_000, UTC)
    try:
        return int(parse_when(text, now).timestamp() * 1_000_000)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def until_us(option: str, text: str) -> int:
    """Return when a span from now ends, or a date is, whole seconds in microseconds.

    Raises `UsageError`.
    """
    from pktui.query import parse_until
    from pktui.times import now_us

    try:
        when = parse_until(text, datetime.fromtimestamp(now_us() / 1_000_000, UTC))
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error
    return int(when.timestamp()) * 1_000_000
