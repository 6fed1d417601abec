"""One call whole: who, what, how it was decided, how long it took, every argument."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktui.agent_names import friendly
from pktui.ledger.journal.segment import shown_key
from pktui.text import one_line
from pktui.tui.arguments import argument_lines, summary
from pktui.tui.document import Line, Tone
from pktui.tui.effects import State, decider, state_of
from pktui.tui.moments import clock_time, countdown, day_time, duration
from pktui.tui.results import result_lines
from pktui.tui.views.feed.call import tool_name, why_of

if TYPE_CHECKING:
    from pktui.ledger.records import Approval, CallRow, Result, ToolSeen
    from pktui.tui.glyphs import Glyphs

_LABEL = 11
_LONG = 2_000
_TONES: dict[State, Tone] = {
    "running": "heading",
    "allowed": "good",
    "approved": "good",
    "failed": "text",
    "denied": "removed",
    "asked": "warning",
    "expired": "note",
    "hidden": "note",
    "refused": "removed",
}


@dataclass(frozen=True, slots=True)
class Whole:
    """A call and the approval it met, if any."""

    row: CallRow
    approval: Approval | None = None
    tool: ToolSeen | None = None
    """The tool as its server lists it now."""
    result: Result | None = None
    """What the tool answered."""


def call_lines(whole: Whole, glyphs: Glyphs) -> tuple[Line, ...]:
    """Lay a call out from top to bottom."""
    return (
        *_decision(whole),
        *_caller(whole.row, glyphs),
        *_approval(whole.approval, glyphs),
        *_record(whole.row),
        Line(""),
        Line("arguments", "heading"),
        *argument_lines(whole.row.arguments or "{}"),
        *_result(whole),
        *_more("detail", whole.row.detail),
        *_more("answer", whole.row.outcome_detail),
        *_more("definition", whole.tool.definition if whole.tool is not None else ""),
    )


def _decision(whole: Whole) -> Iterator[Line]:
    row = whole.row
    state = state_of(row)
    why = why_of(row, state)
    yield _labelled("call", tool_name(row), "strong")
    yield _labelled("effect", f"{state}: {why}" if why else state, _TONES[state])
    if row.reason and row.reason != why:
        yield _labelled("reason", one_line(row.reason, _LONG))
    yield _labelled("rule", one_line(row.rule, 400) or "none named")
    yield _labelled("at", day_time(row.at_us))
    if row.outcome:
        took = f", {duration(row.duration_us)}" if row.duration_us else ""
        yield _labelled("outcome", f"{one_line(row.outcome, 80)}{took}")


def _caller(row: CallRow, glyphs: Glyphs) -> Iterator[Line]:
    parts = [one_line(friendly(row.agent), 80) or "unnamed agent"]
    if row.grant:
        parts.append(f"grant {one_line(row.grant, 80)}")
    if row.agent_session:
        parts.append(f"session {one_line(row.agent_session, 80)}")
    elif row.session:
        parts.append(f"connection {one_line(row.session, 80)}")
    yield _labelled("caller", f" {glyphs.dot} ".join(parts))
    if row.machine:
        yield _labelled("machine", one_line(str(row.seat), 130))
    if row.project:
        yield _labelled("project", one_line(row.project, 400))


def _approval(approval: Approval | None, glyphs: Glyphs) -> Iterator[Line]:
    if approval is None:
        return
    parts = [one_line(approval.id, 40), approval.status]
    if approval.decided_by:
        at = clock_time(approval.decided_us)
        parts.append(f"by {decider(approval)} {at}")
        parts.append(f"waited {countdown(approval.decided_us - approval.created_us)}")
    yield _labelled("approval", f" {glyphs.dot} ".join(parts))
    if approval.changed:
        yield _labelled("ran with", summary(approval.changed, _LONG), "strong")
    if approval.words:
        yield _labelled("words", one_line(approval.words, _LONG))


def _record(row: CallRow) -> Iterator[Line]:
    """Say what the record knows the call by."""
    yield _labelled("id", f"{one_line(row.call_id, 80)}  {shown_key(row.seq)}".strip(), "note")
    if row.args_hash:
        yield _labelled("sha256", f"{one_line(row.args_hash, 16)} of the arguments", "note")


def _result(whole: Whole) -> Iterator[Line]:
    if whole.result is not None:
        yield Line("")
        yield Line("result", "heading")
        yield from result_lines(whole.result)


def _more(title: str, text: str) -> Iterator[Line]:
    if text:
        yield Line("")
        yield Line(title, "heading")
        yield from argument_lines(text)


def _labelled(label: str, text: str, tone: Tone = "text") -> Line:
    return Line(text, tone, label.ljust(_LABEL), "key")
