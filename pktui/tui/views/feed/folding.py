"""Calls that are one thing to a reader are one row: the same call in a row, and one question.

However often an agent asks again while a person has not answered, that is one approval; its row
stands where the agent asked last, and says what became of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pktui.tui.effects import State, decider, state_of
from pktui.tui.moments import countdown

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.tui.views.feed.call import FeedCall

_STATES: Final[dict[str, State]] = {
    "pending": "asked",
    "allowed": "approved",
    "denied": "denied",
    "expired": "expired",
    "withdrawn": "expired",
}


def folded(calls: Sequence[FeedCall]) -> tuple[FeedCall, ...]:
    """Return a row for each call, in their order, but one for those that are the same.

    A row is its newest call; `times` says how many it stands for.
    """
    asked = Counter(call.approval.id for call in calls if call.approval is not None)
    left = asked.copy()
    rows: list[FeedCall] = []
    for call in calls:
        if call.approval is not None:
            left[call.approval.id] -= 1
            if not left[call.approval.id]:
                rows.append(_answered(call, call.approval, asked[call.approval.id]))
        elif rows and _is_same(rows[-1], call):
            rows[-1] = replace(call, times=rows[-1].times + 1)
        else:
            rows.append(call)
    return tuple(rows)


def _is_same(one: FeedCall, other: FeedCall) -> bool:
    """Tell whether two calls next to each other are the same call with the same end."""
    return (
        not (one.open or other.open)
        and one.approval is None
        and bool(other.row.tool)
        and (one.state, one.tool, one.agent, one.why)
        == (other.state, other.tool, other.agent, other.why)
        and (one.row.session, one.row.args_hash) == (other.row.session, other.row.args_hash)
    )


def _answered(call: FeedCall, approval: Approval, times: int) -> FeedCall:
    said = _said(approval)
    if times > 1:
        said = f"asked x{times}{f' · {said}' if said else ''}"
    state = _STATES.get(approval.status) or state_of(call.row)
    if state == "asked" and approval.status == "spent":
        state = "approved"  # the call that used it is not in the feed
    return replace(call, times=times, state=state, why=said or call.why)


def _said(approval: Approval) -> str:
    """Say who answered, and after how long."""
    if approval.status == "withdrawn":
        return "no longer waits"
    if not approval.decided_by:
        return "nobody decided in time" if approval.status == "expired" else ""
    verb = "denied" if approval.status == "denied" else "allowed"
    after = countdown(approval.decided_us - approval.created_us)
    changed = ", changed" if approval.changed_hash else ""
    return f"{verb} by {decider(approval)} after {after}{changed}"
