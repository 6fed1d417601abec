"""Reads the feed for the view; every method may block and is called from threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pktui.tui.views.feed.call import FeedCall, feed_call
from pktui.tui.views.feed.chips import ALL
from pktui.tui.views.feed.detail import Whole
from pktui.tui.views.feed.rate import Rate
from pktui.tui.views.feed.window import CAPACITY, Window

if TYPE_CHECKING:
    from pktui.ledger.feed.filter import FeedFilter
    from pktui.ledger.records import Approval
    from pktui.tui.services import Services
    from pktui.tui.views.feed.chips import Wanted

PAGE = 200
# Held calls without an end that are looked at again on each round.
UNSETTLED = 100


@dataclass(frozen=True, slots=True)
class Step:
    """A window after a change; `before` is how many rows came in front of the others."""

    window: Window
    before: int = 0


class FeedReader:
    """The reads, each returning the window as it is after."""

    def __init__(self, services: Services) -> None:
        self._ledger = services.ledger
        self._clock = services.clock
        self._answers: dict[str, Approval] = {}
        self._rated = ALL
        self._rate = self._rate_of(ALL)

    def counts(self, wanted: Wanted) -> tuple[int, ...]:
        """Return the calls of the filter in each of the last minutes."""
        if wanted.filter != self._rated:
            self._rated, self._rate = wanted.filter, self._rate_of(wanted.filter)
        return self._rate.counts(self._clock())

    def _rate_of(self, wanted: FeedFilter) -> Rate:
        return Rate(lambda minutes: self._ledger.feed.per_minute(minutes, wanted))

    def answered(self, window: Window) -> Window:
        """Give the calls of a window the answers to them as they stand now.

        Those that are final are read once.
        """
        ids = {call.row.approval_id for call in window.rows} - {""}
        known = {one: answer for one, answer in self._answers.items() if one in ids}
        for one in ids:
            if one not in known or known[one].status in ("pending", "allowed"):
                found = self._ledger.approvals.get(one)
                if found is not None:
                    known[one] = found
        self._answers = known
        return window.with_answers(known)

    def newest(self, wanted: Wanted) -> Step:
        """Begin anew at the newest calls, following."""
        rows = self._ledger.feed.page(wanted.filter, limit=PAGE)
        calls = tuple(map(feed_call, rows))
        return Step(Window(calls, at_start=len(rows) < PAGE))

    def moved(self, wanted: Wanted, window: Window) -> Step:
        """Take what came since: rows where the window follows, else their number."""
        window = window.with_settled(self._settled(window))
        if not window.following:
            return Step(self._counted(wanted, window))
        rows = self._ledger.feed.page(wanted.filter, after_seq=window.last_seq, limit=CAPACITY)
        if len(rows) >= CAPACITY:
            return self.newest(wanted)
        return Step(window.with_newer(tuple(map(feed_call, rows))))

    def newer(self, wanted: Wanted, window: Window) -> Step:
        """Take the next page after the last row; follow once nothing is left."""
        rows = self._ledger.feed.page(wanted.filter, after_seq=window.last_seq, limit=PAGE)
        before = len(window.rows)
        after = window.with_newer(tuple(map(feed_call, rows)))
        dropped = before + len(rows) - len(after.rows)
        following = len(rows) < PAGE
        new = 0 if following else max(0, window.new - len(rows))
        return Step(replace(after, following=following, new=new), before=-dropped)

    def older(self, wanted: Wanted, window: Window) -> Step:
        """Take the page before the first row."""
        rows = self._ledger.feed.page(wanted.filter, before_seq=window.first_seq, limit=PAGE)
        return Step(window.with_older(tuple(map(feed_call, rows))), before=len(rows))

    def whole(self, call: FeedCall) -> Whole:
        """Return a call as it is now, with its approval."""
        row = call.row
        if row.call_id:
            row = self._ledger.feed.call(row.call_id) or row
        approval = self._ledger.approvals.get(row.approval_id) if row.approval_id else None
        tool = self._ledger.catalogue.tool(row.server, row.tool) if row.tool else None
        result = self._ledger.results.of([row.call_id]).get(row.call_id)
        return Whole(row, approval, tool, result)

    def _settled(self, window: Window) -> Sequence[FeedCall]:
        found = [self._ledger.feed.call(name) for name in window.unsettled(UNSETTLED)]
        return [feed_call(row) for row in found if row is not None]

    def _counted(self, wanted: Wanted, window: Window) -> Window:
        since = window.counted_seq or window.last_seq
        rows = self._ledger.feed.page(wanted.filter, after_seq=since, limit=CAPACITY)
        if not rows:
            return window
        return replace(window, new=window.new + len(rows), counted_seq=rows[-1].seq)
