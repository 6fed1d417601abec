"""How an approval looks in the queue and above its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.cells import cell_len

from pktui.agent_names import agent_id, friendly
from pktui.insight.groups import Group
from pktui.policy.predicate import say_conditions
from pktui.text import one_line
from pktui.tui.arguments import summary
from pktui.tui.cells import cut, fit
from pktui.tui.document import Line, Tone
from pktui.tui.effects import decider
from pktui.tui.moments import age, clock_time, countdown
from pktui.tui.views.approvals.queue import State, settled_us, state_of
from pktui.tui.widgets.columns import GAP

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.ledger.approvals.standing import StandingApproval
    from pktui.ledger.records import Approval
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.theme import Ink
    from pktui.tui.widgets.rows import Pen, Run

_LABEL = 10
# Cells of a connection's id: enough to tell two apart, and the line stays one line.
_ID = 8
_INSIDE = "  "
NO_REASON = "the policy asks a person"
_WORDS: dict[State, str] = {
    "waiting": "waiting",
    "allowed": "allowed",
    "ran": "allowed",
    "denied": "denied",
    "expired": "expired",
    "withdrawn": "withdrawn",
}
_MEANING: dict[State, str] = {
    "waiting": "",
    "allowed": "allowed, runs when the agent calls again",
    "ran": "allowed, and it ran",
    "denied": "denied",
    "expired": "expired: it can no longer be allowed; the agent may ask again",
    "withdrawn": "withdrawn: it no longer waits",
}


def draw_row(
    approval: Approval, pen: Pen, now_us: int, *, inside: bool = False
) -> Sequence[Sequence[Run]]:
    """Draw the two lines of an approval in the queue; `inside`: below its group's.

    The sign says that it waits, and the second line how it ended.
    """
    ink, state = pen.ink, state_of(approval, now_us)
    sign, style = _sign(state, pen.glyphs, ink)
    waiting, indent = state == "waiting", _INSIDE * inside
    moment = _moment(approval, state, now_us)
    first: list[Run] = [
        (f"{indent}{sign} ", style),
        (tool_name(approval), ink.bold if waiting else ink.text),
    ]
    agent = f"{indent}  {agent_name(approval)}{on_machine(approval)}  "
    rest = summary(approval.arguments, pen.width) if waiting else _answer(approval, state)
    second: list[Run] = [
        (agent, ink.info if waiting else ink.dim),
        (fit(rest, max(0, pen.width - cell_len(agent) - 1)), ink.dim),
    ]
    return [_with_moment(first, moment, style if waiting else ink.dim, pen), second]


def draw_group(group: Group, pen: Pen, now_us: int) -> Sequence[Sequence[Run]]:
    """Draw the two lines of calls that wait as one."""
    ink = pen.ink
    first: list[Run] = [
        (f"{pen.glyphs.waiting} ", ink.wait),
        (tool_name(group), ink.bold),
    ]
    left, times = countdown(group.expires_us - now_us), f" x{len(group.members)}"
    agent = f"  {agent_name(group)}{on_machine(group.members[0])}  "
    rest = summary(group.members[0].arguments, pen.width) if group.folded else "one by one:"
    second: list[Run] = [
        (agent, ink.info),
        (fit(rest, max(0, pen.width - cell_len(agent) - 1)), ink.dim),
    ]
    return [_with_moment(first, left, ink.wait, pen, times), second]


def draw_standing(one: StandingApproval, pen: Pen, now_us: int) -> Sequence[Sequence[Run]]:
    """Draw the three lines of an answer that stands."""
    ink = pen.ink
    first: list[Run] = [(f"{pen.glyphs.allowed} ", ink.ok), (tool_name(one), ink.text)]
    until = f"{countdown(one.expires_us - now_us)} left"
    which = summary(one.arguments, 80) if one.args_hash else "any arguments"
    if one.conditions:
        which = one_line(say_conditions(one.conditions), 120)
    ends = ", until it disconnects" if one.session else ""
    used = f"used {one.uses:,} times" if one.uses else "not used yet"
    used = "used once" if one.uses == 1 else used
    second: list[Run] = [(f"  {client_name(one)}{ends}", ink.info)]
    third = _with_moment([(f"  {which}, {used}", ink.dim)], one.id, ink.faint, pen)
    return [_with_moment(first, until, ink.dim, pen), second, third]


def _with_moment(
    left: Sequence[Run], moment: str, style: Style, pen: Pen, after: str = ""
) -> list[Run]:
    """Put a text at the right end of a line, whose last piece at the left gives way to it.

    `after` stands behind that piece, and is never cut.
    """
    *kept, (text, shown) = left
    room = pen.width - cell_len(moment) - GAP - 1 - sum(cell_len(piece) for piece, _ in kept)
    text = cut(text, room - cell_len(after)) + after
    return [*kept, (fit(text, max(0, room)), shown), (f"{' ' * GAP}{moment} ", style)]


def agent_name(approval: Approval | Group | StandingApproval) -> str:
    """Return what a person calls the agent."""
    return one_line(friendly(approval.agent), 40) or "unnamed agent"


def on_machine(approval: Approval) -> str:
    """Say on which of a team's machines it was asked, and whose that is; empty: there is one."""
    return f" on {one_line(str(approval.seat), 64)}" if approval.machine else ""


def client_name(approval: Approval | StandingApproval) -> str:
    """Name whom an answer that stands is for: the grant, else the agent where it works."""
    if approval.grant:
        return f"grant {one_line(approval.grant, 40)}"
    where = home_short(one_line(approval.project, 60))
    return f"{agent_name(approval)} in {where}" if where else agent_name(approval)


def state_word(state: State) -> str:
    """Return the word for a state, the same in the queue and below it."""
    return _WORDS[state]


def tool_name(approval: Approval | Group | StandingApproval) -> str:
    """Return `server.tool`."""
    return f"{one_line(approval.server, 40)}.{one_line(approval.tool, 80)}"


def _moment(approval: Approval, state: State, now_us: int) -> str:
    if state == "waiting":
        return countdown(approval.expires_us - now_us)
    return age(now_us - settled_us(approval))


def in_time(row: Approval | Group, now_us: int) -> tuple[object, str]:
    """Return what of a row is another as time passes."""
    if isinstance(row, Group):
        return "waiting", countdown(row.expires_us - now_us)
    state = state_of(row, now_us)
    return state, _moment(row, state, now_us)


def _answer(approval: Approval, state: State) -> str:
    """Say how it ended, by whom and with what words."""
    if state == "expired":
        how = "allowed, not used in time" if approval.decided_by else "nobody decided"
        return f"{_WORDS[state]}: {how}"
    by = f" by {decider(approval)}" if approval.decided_by else ""
    words = f": {one_line(approval.words)}" if approval.words else ""
    return f"{_WORDS[state]}{by}{words}"


def _sign(state: State, glyphs: Glyphs, ink: Ink) -> tuple[str, Style]:
    return {
        "waiting": (glyphs.waiting, ink.wait),
        "allowed": (glyphs.allowed, ink.ok),
        "ran": (glyphs.allowed, ink.ok),
        "denied": (glyphs.denied, ink.bad),
        "expired": (glyphs.hidden, ink.dim),
        "withdrawn": (glyphs.hidden, ink.dim),
    }[state]


def header(
    approval: Approval, now_us: int, glyphs: Glyphs, *, low: bool = False
) -> tuple[Line, ...]:
    """Say who asks, for what, until when and why; where the pane is low, in fewer lines.

    What can be long comes late: where the pane does not hold all, the rest is still in sight.
    """
    state = state_of(approval, now_us)
    if low:
        asks = f"{tool_name(approval)} {glyphs.dot} {agent_name(approval)}{on_machine(approval)}"
        return (
            _labelled("wants", asks, "strong"),
            _until(approval, state, now_us),
            _labelled("because", one_line(approval.people or approval.reason, 80) or NO_REASON),
        )
    lines = [
        _labelled("who", who(approval, glyphs), "heading"),
        _labelled("wants", tool_name(approval), "strong"),
        _until(approval, state, now_us),
        *([_labelled("people", one_line(approval.people, 200), "warning")] * bool(approval.people)),
        _labelled("because", one_line(approval.reason, 400) or NO_REASON),
        _labelled("rule", one_line(approval.rule, 120) or "none named", "note"),
        _labelled(
            "asked", f"{clock_time(approval.created_us)}, {_ago(approval.created_us, now_us)}"
        ),
    ]
    if approval.words:
        lines.append(_labelled("words", one_line(approval.words, 400)))
    return tuple(lines)


def group_header(
    group: Group, now_us: int, glyphs: Glyphs, *, low: bool = False
) -> tuple[Line, ...]:
    """Say who asks, for what, how often and why; where the pane is low, in fewer lines."""
    alike = msgspec.structs.replace(group.members[0], session="")
    asks = f"{tool_name(group)}, {len(group.members)} calls"
    left = f"the first in {countdown(group.expires_us - now_us)}"
    reasons = dict.fromkeys(one_line(one.reason, 400) or NO_REASON for one in group.members)
    because = next(iter(reasons)) if len(reasons) == 1 else "several reasons: look one by one"
    lines = (
        _labelled("who", who(alike, glyphs), "heading"),
        _labelled("wants", asks, "strong"),
        _labelled("expires", left, "warning"),
        _labelled("because", because),
    )
    return lines[1:] if low else lines


def who(approval: Approval, glyphs: Glyphs) -> str:
    """Name the agent first, then where it works and how it is known."""
    parts = [f"{agent_name(approval)}{on_machine(approval)}"]
    if approval.project:
        parts.append(home_short(one_line(approval.project, 120)))
    if approval.grant:
        parts.append(f"grant {one_line(approval.grant, 40)}")
    if approval.session:
        own = approval.server == agent_id(approval.agent)  # an agent's own tools, by its hook
        known = "session" if own else "connection"
        parts.append(f"{known} {one_line(approval.session, _ID)}")
    return f" {glyphs.dot} ".join(parts)


def home_short(path: str) -> str:
    """Write the home directory as `~`."""
    home = str(Path.home())
    return f"~{path[len(home) :]}" if path == home or path.startswith(f"{home}/") else path


def _until(approval: Approval, state: State, now_us: int) -> Line:
    if state != "waiting":
        return _decided(approval, state, now_us)
    left = approval.expires_us - now_us
    return _labelled("expires", f"in {countdown(left)}", "warning")


def _decided(approval: Approval, state: State, now_us: int) -> Line:
    text = _MEANING[state]
    if state == "expired" and approval.decided_by:
        text = "allowed, but the agent did not call again in time"
    if state == "withdrawn" and approval.decided_by:
        text = "allowed, and taken back unused: by a stop, another look, or a redefined tool"
    if approval.decided_by:
        at = approval.decided_us
        text = f"{text}; by {decider(approval)} {clock_time(at)}, {_ago(at, now_us)}"
    tone: Tone = "good" if state in {"allowed", "ran"} else "removed"
    return _labelled("decided" if approval.decided_by else "ended", text, tone)


def _ago(at_us: int, now_us: int) -> str:
    span = age(now_us - at_us)
    return span if span == "now" else f"{span} ago"


def _labelled(label: str, text: str, tone: Tone = "text") -> Line:
    return Line(text, tone, label.ljust(_LABEL), "key")
