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
from pktui.tui.widgets.bar import Bar, Part

if TYPE_CHECKING:
    from pktui.tui.chips import Chip


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
        """Return the sparkline, the rate, and the state of following."""
        ink, console = ink_of(self.app), context_of(self)
        spark = sparkline(self.counts, console.services.settings.console.glyphs)
        rate = max(self.counts[-2:], default=0)
        if any(chip.why for chip in self.chips):
            return (Part("not filtered by it  ", ink.wait), *self._state())
        return (
            Part(f"{MINUTES} min {spark} now  ", ink.accent),
            Part(f"{rate}/min  ", ink.dim),
            *self._state(),
        )

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
