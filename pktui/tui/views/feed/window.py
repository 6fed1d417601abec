"""The part of the feed that is held: a run of calls, oldest first, and whether it follows.

Pure: every change returns a new window. While it follows, new calls come in at the end and old
ones fall out at the start. While it is paused nothing under the reader moves: new calls are
counted, and more are taken only where the reader goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.tui.views.feed.call import FeedCall

# Calls held at most; a page more is loaded when the reader comes near an end.
CAPACITY = 1_000


@dataclass(frozen=True, slots=True)
class Window:
    """Calls `rows` of one filter, in the order they came."""

    rows: tuple[FeedCall, ...] = ()
    following: bool = True
    new: int = 0
    """Calls after the last one held, while paused."""
    counted_seq: int = 0
    """The `seq` of the last call that `new` has counted, 0: it has counted none."""
    at_start: bool = False
    """Whether the first row is the first the ledger has."""

    @property
    def last_seq(self) -> int:
        """The `seq` of the newest row, 0 without one."""
        return self.rows[-1].seq if self.rows else 0

    @property
    def first_seq(self) -> int:
        """The `seq` of the oldest row, 0 without one."""
        return self.rows[0].seq if self.rows else 0

    def unsettled(self, limit: int) -> tuple[str, ...]:
        """Return the ids of the newest held calls that can still change, at most `limit`."""
        ids = [call.row.call_id for call in reversed(self.rows) if call.open and call.row.call_id]
        return tuple(ids[:limit])

    def with_answers(self, answers: Mapping[str, Approval]) -> Window:
        """Give the calls that a person was asked about the approvals as they stand, by id."""
        if all(call.approval == answers.get(call.row.approval_id) for call in self.rows):
            return self
        rows = (replace(call, approval=answers.get(call.row.approval_id)) for call in self.rows)
        return replace(self, rows=tuple(rows))

    def with_newer(self, rows: Sequence[FeedCall]) -> Window:
        """Append calls; the oldest fall out."""
        known = {row.seq for row in self.rows}
        fresh = [row for row in rows if row.seq not in known]
        held = (*self.rows, *fresh)
        cut = max(0, len(held) - CAPACITY)
        at_start = self.at_start and cut == 0
        return replace(self, rows=held[cut:], at_start=at_start, counted_seq=0)

    def with_older(self, rows: Sequence[FeedCall]) -> Window:
        """Put calls before the first; the newest fall out and count as new again."""
        if not rows:
            return replace(self, at_start=True)
        held = (*rows, *self.rows)
        new = self.new + max(0, len(held) - CAPACITY)
        counted = self.counted_seq or self.last_seq
        return replace(self, rows=held[:CAPACITY], new=new, counted_seq=counted)

    def with_settled(self, rows: Sequence[FeedCall]) -> Window:
        """Replace calls that are held by what is known of them now."""
        if not rows:
            return self
        by_id = {call.key: call for call in rows}
        return replace(self, rows=tuple(by_id.get(call.key, call) for call in self.rows))
