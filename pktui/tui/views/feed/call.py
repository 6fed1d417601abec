"""A call as the feed shows it: every text ready to draw, made in the thread that loads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktui.agent_names import friendly
from pktui.ledger.journal.segment import shown_key
from pktui.text import one_line
from pktui.tui.arguments import summary
from pktui.tui.effects import State, state_of
from pktui.tui.moments import clock_time, duration

if TYPE_CHECKING:
    from pktui.ledger.records import Approval, CallRow

_FAILED: dict[str, str] = {
    "tool_error": "the tool answered with an error",
    "error": "the server answered with an error",
    "lost": "the server was lost",
    "cancelled": "the client took it back",
}
_NOT_RUN: frozenset[State] = frozenset({"denied", "asked", "expired", "hidden", "refused"})


@dataclass(frozen=True, slots=True)
class FeedCall:
    """A call and its texts, all visible and on one line."""

    row: CallRow
    state: State
    time: str
    agent: str
    tool: str
    arguments: str
    why: str
    """Why it did not simply run; "" where it did."""
    took: str
    machine: str = ""
    """Which of a team's machines it ran on; "" where this one is alone."""
    person: str = ""
    """Whose that machine is."""
    approval: Approval | None = None
    """The answer to it, where a person was asked about this very call."""
    times: int = 1
    """How many calls its row stands for."""

    @property
    def seq(self) -> int:
        """Its place in the ledger."""
        return self.row.seq

    @property
    def key(self) -> str:
        """Its name among the calls."""
        return self.row.call_id or shown_key(self.row.seq)

    @property
    def open(self) -> bool:
        """Whether it can still change."""
        return self.state in {"running", "asked"} and not self.row.outcome


def feed_call(row: CallRow) -> FeedCall:
    """Make the texts of a call."""
    state = state_of(row)
    return FeedCall(
        row=row,
        state=state,
        time=clock_time(row.at_us),
        agent=one_line(friendly(row.agent), 60) or "unnamed",
        tool=tool_name(row),
        arguments=summary(row.arguments, 240),
        why=why_of(row, state),
        took=duration(row.duration_us) if row.outcome and state not in _NOT_RUN else "",
        machine=one_line(row.machine, 64),
        person=one_line(row.person, 64),
    )


def tool_name(row: CallRow) -> str:
    """Return `server.tool`; a message that was never a call has no tool."""
    server = one_line(row.server, 60)
    return f"{server}.{one_line(row.tool, 120)}" if row.tool else f"{server} (no call)"


def why_of(row: CallRow, state: State) -> str:
    """Say why a call did not simply run."""
    if state in {"allowed", "approved", "running"}:
        return ""
    if row.outcome in _FAILED:
        return _FAILED[row.outcome]
    if row.effect == "approve" and row.outcome == "denied":
        return f"a person said no {one_line(row.approval_id, 40)}"
    if row.effect == "approve" and row.outcome == "expired":
        return "nobody decided in time"
    return one_line(row.reason or row.rule, 240)
