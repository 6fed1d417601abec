"""Calls a minute over the last half hour, read a minute at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MINUTES = 30
MINUTE_US = 60_000_000
# Counts are read again after this long.
FRESH_US = 1_000_000
# The highest leaves a gap to the line above.
_BARS = {"unicode": "▁▂▃▄▅▆▇", "ascii": "_.:-=+*#"}


class Rate:
    """Keeps the counts; `read(minutes)` gives those of the last minutes, the present one last."""

    def __init__(self, read: Callable[[int], tuple[int, ...]]) -> None:
        self._read = read
        self._counts: dict[int, int] = {}
        self._read_at = -FRESH_US

    def counts(self, now_us: int) -> tuple[int, ...]:
        """Return the counts of the last `MINUTES`, oldest first; may block."""
        this = now_us // MINUTE_US
        if abs(now_us - self._read_at) >= FRESH_US:  # clocks are set back
            self._read_at = now_us
            self._take(this)
        return tuple(self._counts.get(this - MINUTES + 1 + n, 0) for n in range(MINUTES))

    def _take(self, this: int) -> None:
        known = max((m for m in self._counts if m <= this), default=this - MINUTES)
        missing = min(MINUTES, this - known + 1)
        fresh = self._read(missing + 1 if missing < MINUTES else MINUTES)
        first = this - len(fresh) + 1
        self._counts |= {first + place: count for place, count in enumerate(fresh)}
        self._counts = {m: n for m, n in self._counts.items() if this - MINUTES < m <= this}


def sparkline(counts: Sequence[int], glyphs: str, *, top: int = 0) -> str:
    """Draw counts as bars; `top` as the highest bar, else the highest count. None is a blank."""
    return bars(counts, _BARS[glyphs], top=top)


def bars(counts: Sequence[int], signs: str, *, top: int = 0) -> str:
    """Draw each count as one of the signs, which rise from left to right."""
    top = top or max(counts, default=0)
    last = len(signs) - 1
    return "".join(signs[count * last // top] if count else " " for count in counts)
