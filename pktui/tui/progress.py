"""Long work: how far and how fast it is, and how a person ends it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktui.errors import PktuiError
from pktui.tui.glyphs import ASCII

if TYPE_CHECKING:
    from pktui.tui.widgets.rows import Pen, Run

# Cells of the bar.
_BAR = 24
# A shorter span tells no rate.
_LEAST_US = 100_000


class Cancelled(PktuiError):
    """A person ended the work; the sentence says what became of it."""


class Progress:
    """What work in a thread tells of itself, and hears."""

    def __init__(self) -> None:
        self.done = self.whole = 0
        self._cancelled = threading.Event()

    def tell(self, done: int, whole: int) -> None:
        """Say how far it is; raises `Cancelled` where it is to end."""
        if self._cancelled.is_set():
            raise Cancelled("cancelled; nothing was written")
        self.done, self.whole = done, whole

    def cancel(self) -> None:
        """Have it end with what it tells next."""
        self._cancelled.set()


@dataclass(frozen=True, slots=True)
class Pace:
    """How far work is after so many microseconds: a part `done` of the `whole`, 0 where unknown.

    `count` is how many things that were, `words` says it.
    """

    done: int
    whole: int
    count: int
    words: str
    span_us: int

    @property
    def a_second(self) -> int:
        """How many things in a second, 0 as long as too little is known of it."""
        return round(self.count * 1_000_000 / self.span_us) if self.span_us >= _LEAST_US else 0

    def draw(self, pen: Pen) -> Sequence[Run]:
        """Draw the bar, the share, what was done, and the rate."""
        ink = pen.ink
        share = min(1.0, self.done / self.whole) if self.whole else 0.0
        full = round(_BAR * share)
        sign, rest = ("#", ".") if pen.glyphs is ASCII else ("█", "░")
        return [
            (sign * full, ink.info), (rest * (_BAR - full), ink.faint),
            (f" {share:>4.0%}" if self.whole else "", ink.text),
            (f"  {self.words}", ink.dim),
            (f"  {self.a_second:,}/s" if self.span_us >= _LEAST_US else "", ink.dim),
        ]  # fmt: skip
