"""The feed's list: its source asks for more near the ends, and its last row means live."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message

from pktui.tui.views.feed.call import FeedCall
from pktui.tui.widgets.rows import ListSource, Rows

# Rows from the first at which older ones are asked for.
NEAR = 40


class FeedSource(ListSource[FeedCall]):
    """The calls held; tells when the list comes near the first of them."""

    def __init__(self, near_start: Callable[[], None]) -> None:
        super().__init__(())
        self._near_start = near_start

    def want(self, first: int, last: int) -> None:
        """Ask for older calls before the reader arrives at the first."""
        if first < NEAR:
            self._near_start()


class FeedRows(Rows[FeedCall]):
    """The list of calls."""

    class Resumed(Message):
        """The reader wants the newest call and what comes after it."""

    def action_last(self) -> None:
        """Go to the newest call there is, and follow."""
        self.post_message(self.Resumed())

    def pause(self) -> None:
        """Stop following; the rows stay where they are."""
        self._set_follow(False)
