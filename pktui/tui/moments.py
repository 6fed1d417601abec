"""Times and spans as a person reads them; everything goes in as microseconds."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# No zone differs from another by less, and no day begins within one.
_QUARTER = 15 * MINUTE


def clock_time(at_us: int) -> str:
    """Return the local time of day, `10:31:04`."""
    return _local(at_us).strftime("%H:%M:%S")


@lru_cache(maxsize=1024)
def _day(quarter: int) -> date:
    return _local(quarter * _QUARTER).date()


def day_of(at_us: int) -> date:
    """Return the local day; cheap, for long lists."""
    return _day(at_us // _QUARTER)


def day_words(day: date, today: date) -> str:
    """Return a day as a head over what was in it: `Today`, `Yesterday`, `Monday 23 November`."""
    ago = (today - day).days
    if ago in (0, 1):
        return ("Today", "Yesterday")[ago]
    words = f"{day:%A} {day.day} {day:%B}"
    return words if day.year == today.year else f"{words} {day.year}"


def day_time(at_us: int) -> str:
    """Return the local date and time, `2026-01-31 10:31:04`."""
    return _local(at_us).strftime("%Y-%m-%d %H:%M:%S")


def countdown(left_us: int) -> str:
    """Return the time left: `0:42`, `12:05`, `1:02:03`; begun seconds count, never negative."""
    seconds = max(0, -(-left_us // SECOND))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def duration(span_us: int) -> str:
    """Return how long something took: `870 µs`, `12 ms`, `3.4 s`, `2:05`."""
    if span_us < 1_000:
        return f"{span_us} µs"
    if span_us < SECOND:
        return f"{span_us // 1_000} ms"
    if span_us < MINUTE:
        return f"{span_us / SECOND:.1f} s"
    return countdown(span_us)


def age(span_us: int) -> str:
    """Return how long ago: `now`, `42 s`, `3 min`, `5 h`, `2 d`."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")):
        if span_us >= unit:
            return f"{span_us // unit} {name}"
    return "now"


def span_words(span_us: int) -> str:
    """Return a span in its two largest units: `1 h 12 min`, `42 s`, `3 d 4 h`."""
    units = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
    counts = [(span_us // DAY, "d")]
    counts += [(span_us % above // unit, name) for (above, _), (unit, name) in pairwise(units)]
    first = next((at for at, (count, _) in enumerate(counts) if count), len(counts) - 1)
    shown = [(count, name) for count, name in counts[first : first + 2] if count]
    return " ".join(f"{count} {name}" for count, name in shown) or "0 s"


def _local(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / SECOND).astimezone()
