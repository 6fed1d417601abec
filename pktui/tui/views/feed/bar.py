"""The line over the feed: the filter's chips, calls a minute, and whether it follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.message import Message
from textual.reactive import reactive

from pktui.tui.actions import BY_ID
from pktui.tui.chips import chip_parts
from pktui.tui.context import context_of
from pktui.tui.theme import ink_of
from pktui.tui.views.feed.rate import MINUTES, sparkline
from pktui.tui.widgets.bar import Bar, Part, width_of

if TYPE_CHECKING:
    from pktui.tui.chips import Chip


# What is shown where there is no room for all of them.
_FEW_MINUTES = 20


class FeedBar(Bar):
    """Says what is shown, how busy it is, and whether new calls come in by themselves."""

    chips: reactive[tuple[Chip, ...]] = reactive(())
    counts: reactive[tuple[int, ...]] = reactive(())
    following: reactive[bool] = reactive(True)
    new: reactive[int] = reactive(0)

    class Dropped(Message):
        """A chip was clicked: it no longer filters."""

        def __init__(self, chip: Chip) -> None:
            super().__init__()
            self.chip = chip

    def action_drop(self, at: int) -> None:
        """Drop a chip; for clicks."""
        self.post_message(self.Dropped(self.chips[at]))

    def left(self) -> Sequence[Part]:
        """Return the chips."""
        ink = ink_of(self.app)
        if not self.chips:
            return ()
        return chip_parts(self.chips, ink, drop=True)

    def right(self) -> Sequence[Part]:
        """Return the sparkline with its axis, as much as there is room for, the rate, the state."""
        ink = ink_of(self.app)
        if not self.counts:  # nothing was read yet
            return ()
        if any(chip.why for chip in self.chips):
            return (Part("not filtered by it  ", ink.wait), *self._state())
        rate = max(self.counts[-2:], default=0)
        rest = (Part(f"{rate:,}/min  ", ink.dim), *self._state())
        most = Part(f"at most {max(self.counts, default=0):,}/min  ", ink.dim)
        for lead in ((*self._axis(MINUTES), most), self._axis(MINUTES), self._axis(_FEW_MINUTES)):
            if width_of(lead) + width_of(rest) <= self.most_right:
                return (*lead, *rest)
        return rest

    def _axis(self, minutes: int) -> Sequence[Part]:
        """Return the last minutes from the left to now.

        Those without a call are a base line: so one sees how long ago the others were.
        """
        ink, glyphs = ink_of(self.app), context_of(self).services.settings.console.glyphs
        spark = sparkline(self.counts[-minutes:], glyphs).replace(" ", "_")
        return (
            Part(f"{minutes} min ", ink.dim), Part(spark, ink.accent), Part(" now  ", ink.dim)
        )  # fmt: skip

    def _state(self) -> Sequence[Part]:
        ink, console = ink_of(self.app), context_of(self)
        dot = f" {console.glyphs.dot} "
        if self.following:
            return (Part(f"{console.glyphs.live} live ", ink.ok),)
        key = console.keymap.shown(BY_ID["list.last"])
        resume = "app.press('G')"
        return (
            Part("paused", ink.info, resume),
            Part(f"{dot}{self.new:,} new{dot}" if self.new else dot, ink.text, resume),
            Part(f"{key} ", ink.accent, resume),
            Part("to resume ", ink.text, resume),
        )
