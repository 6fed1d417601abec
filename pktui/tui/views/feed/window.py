"""The part of the feed that is held: a run of calls, oldest first, and whether it follows.

Pure: every change returns a new window. While it follows, new calls come in at the end and old
ones fall out at the start. While it is paused nothing under the reader moves: new calls are
counted, and more are taken only where the reader goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pktui.ledger.records import CallRow

CAPACITY = 1_000
"""Calls held at most; a page more is loaded when the reader comes near an end."""


@dataclass(frozen=True, slots=True)
class Window:
    """Calls `rows` of one filter, in the order of their `seq`."""

    rows: tuple[CallRow, ...] = ()
    following: bool = True
    new: int = 0
    """Calls after the last row that are not held, while paused."""
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
        """Return the ids of the newest held calls without an outcome, at most `limit`."""
        ids = [row.call_id for row in reversed(self.rows) if not row.outcome]
        return tuple(ids[:limit])

    def with_newer(self, rows: Sequence[CallRow]) -> Window:
        """Append calls; the oldest fall out."""
        fresh = [row for row in rows if row.seq > self.last_seq]
        held = (*self.rows, *fresh)
        cut = max(0, len(held) - CAPACITY)
        return replace(self, rows=held[cut:], at_start=self.at_start and cut == 0)

    def with_older(self, rows: Sequence[CallRow]) -> Window:
        """Put calls before the first; the newest fall out. No rows: the start is reached."""
        if not rows:
            return replace(self, at_start=True)
        held = (*rows, *self.rows)
        return replace(self, rows=held[:CAPACITY])

    def with_settled(self, rows: Sequence[CallRow]) -> Window:
        """Replace calls that are held by what is known of them now."""
        by_id = {row.call_id: row for row in rows}
        return replace(self, rows=tuple(by_id.get(row.call_id, row) for row in self.rows))

    def paused(self) -> Window:
        """Stop following."""
        return replace(self, following=False)

    def with_new(self, count: int) -> Window:
        """Note how many calls came since."""
        return replace(self, new=count)
