"""How the rows of Now look: what needs the person, the agents, and the last hour below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.cells import cell_len

from pktui.agent_names import friendly
from pktui.insight.now import Agent, Need, Now
from pktui.text import one_line
from pktui.tui.arguments import summary
from pktui.tui.document import Line
from pktui.tui.moments import age, countdown
from pktui.tui.views.feed.rate import sparkline
from pktui.tui.widgets.columns import GAP, Column, draw_cells, share_out

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.tui.glyphs import Glyphs
    from pktui.tui.theme import Ink
    from pktui.tui.widgets.rows import Pen, Run

_NEED = (
    Column("agent", most=18),
    Column("machine", order=1, most=18),
    Column("project", order=3, most=18),
    Column("tool", most=32),
    Column("what", stretch=True, least=18),
    Column("why", order=2, most=40),
    Column("waits", most=14, right=True),
)
_AGENT = (
    Column("agent", most=18),
    Column("machine", order=1, most=18),
    Column("project", order=4, most=18),
    Column("doing", stretch=True, least=30),
    Column("spark", order=2, most=12),
    Column("calls", most=14, right=True),
    Column("denied", most=12, right=True),
    Column("asked", order=3, most=10, right=True),
    Column("age", order=1, most=8, right=True),
)
# Cells of an agent's row at the most: its figures stay near its name.
_WIDE = 120


@dataclass(frozen=True, slots=True)
class Head:
    """The title of a part of the list."""

    title: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A line that says why a part is empty."""

    text: str


Row = Head | Note | Need | Agent
BLANK = Note("")


def rows_of(now: Now) -> tuple[Row, ...]:
    """Return what the list shows, from top to bottom."""
    needs: tuple[Row, ...] = now.needs or (Note("nothing waits for you"),)
    agents: tuple[Row, ...] = now.agents or (Note("no agent is connected"),)
    return (Head("needs you", bool(now.needs)), *needs, BLANK, Head("agents"), *agents)


def key_of(row: Row) -> str:
    """Return what stays the same of a row when the others move; "" where it is not chosen."""
    if isinstance(row, Need):
        return f"need {row.approval.id}"
    if isinstance(row, Agent):
        return f"agent {row.agent} {row.project} {row.first_us}"
    return ""


class Board:
    """Draws the rows of one reading; widths are those of the rows that stand there together."""

    def __init__(self, now: Now, glyphs: str) -> None:
        self._now, self._bars = now, glyphs
        self._widths: dict[tuple[str, int], dict[str, int]] = {}

    def draw(self, row: Row, pen: Pen, now_us: int) -> Sequence[Sequence[Run]]:
        """Draw a row on one line."""
        if isinstance(row, Head):
            return [head_runs(row.title, pen, urgent=row.urgent)]
        if isinstance(row, Note):
            sign = f"{pen.glyphs.allowed} " if row.text else ""
            return [[(sign, pen.ink.faint), (row.text, pen.ink.dim)]]
        if isinstance(row, Need):
            return [self._need(row, pen, now_us)]
        return [self._agent(row, pen, now_us)]

    def in_time(self, row: Row, now_us: int) -> object:
        """Return what of a row is another as time passes."""
        if isinstance(row, Need):
            return countdown(now_us - row.approval.created_us)
        return (doing(row, now_us), age(now_us - row.first_us)) if isinstance(row, Agent) else ""

    def _need(self, need: Need, pen: Pen, now_us: int) -> list[Run]:
        ink, texts = pen.ink, need_texts(need, now_us)
        widths = self._of("needs", _NEED, pen.width - GAP, now_us)
        styles = {"agent": ink.info, "machine": ink.dim, "project": ink.dim, "tool": ink.bold,
                  "what": ink.dim, "why": ink.dim, "waits": ink.wait}  # fmt: skip
        sign = (f"{pen.glyphs.waiting} ", ink.wait)
        return [sign, *draw_cells(_NEED, texts, widths, styles)]

    def _agent(self, agent: Agent, pen: Pen, now_us: int) -> list[Run]:
        ink = pen.ink
        texts = agent_texts(agent, now_us, self._bars)
        widths = self._of("agents", _AGENT, min(pen.width, _WIDE) - GAP, now_us)
        gone = agent.state == "gone"
        sign, style = _sign(agent, pen.glyphs, ink)
        if agent.stopped:
            sign, style, doing = pen.glyphs.denied, ink.bad, ink.bad
        doing = ink.wait if agent.state == "waiting" else ink.text
        styles = {
            "agent": ink.dim if gone else ink.info, "machine": ink.dim, "project": ink.dim,
            "doing": ink.dim if agent.state in {"gone", "idle"} and not agent.stopped else doing,
            "spark": ink.faint if gone else ink.accent, "calls": ink.dim,
            "denied": ink.bad, "asked": ink.dim, "age": ink.faint,
        }  # fmt: skip
        return [(f"{sign} ", style), *draw_cells(_AGENT, texts, widths, styles)]

    def _of(self, part: str, columns: Sequence[Column], width: int, now_us: int) -> dict[str, int]:
        """Return the widths of a part's columns, worked out once for a reading."""
        known = self._widths.get((part, width))
        if known is None:
            rows = (
                [need_texts(need, now_us) for need in self._now.needs]
                if part == "needs"
                else [agent_texts(agent, now_us, self._bars) for agent in self._now.agents]
            )
            known = self._widths[part, width] = share_out(columns, rows, width)
        return known


def head_runs(title: str, pen: Pen, *, urgent: bool = False) -> list[Run]:
    """Draw the title of a part with a rule to the right edge."""
    rule = pen.glyphs.rule * max(0, pen.width - cell_len(title) - 1)
    style = pen.ink.wait if urgent else pen.ink.dim
    return [(f"{title.upper()} ", style), (rule, pen.ink.line)]


def need_texts(need: Need, now_us: int) -> tuple[str, ...]:
    """Return a need's texts, one for each column; the waiting time is kept room for."""
    asked = need.approval
    return (
        agent_name(asked.agent),
        one_line(str(asked.seat), 64),
        project_name(asked.project),
        f"{one_line(asked.server, 24)}.{one_line(asked.tool, 40)}",
        summary(asked.arguments, 240),
        one_line(asked.reason, 60),
        f"waits {countdown(now_us - asked.created_us)}".rjust(11),
    )


def agent_texts(agent: Agent, now_us: int, bars: str) -> tuple[str, ...]:
    """Return an agent's texts, one for each column."""
    return (
        agent_name(agent.agent),
        one_line(str(agent.seat), 64),
        project_name(agent.project),
        doing(agent, now_us),
        sparkline(agent.spark, bars),
        f"{agent.calls:,} {'call' if agent.calls == 1 else 'calls'}",
        f"{agent.denied:,} denied" if agent.denied else "",
        f"{agent.asked:,} asked" if agent.asked else "",
        age(now_us - agent.first_us),
    )


def doing(agent: Agent, now_us: int) -> str:
    """Say what an agent does and since when."""
    if agent.stopped:
        return "stopped: each of its calls is refused"
    tool, span = one_line(agent.doing, 60), age(now_us - agent.since_us)
    return {
        "running": f"running {tool} {span}",
        "waiting": f"waits for you {countdown(now_us - agent.since_us)}  {tool}",
        "denied": f"silent {span} after a denial",
        "idle": f"idle {span}" if tool == "" else f"idle {span} after {tool}",
        "gone": "gone" if span == "now" else f"gone {span} ago",
    }[agent.state]


def agent_name(agent: str) -> str:
    """Return what a person calls an agent."""
    return one_line(friendly(agent), 40) or "unnamed"


def project_name(project: str) -> str:
    """Return the last part of a project's path."""
    return one_line(PurePath(project).name or project, 40)


def _sign(agent: Agent, glyphs: Glyphs, ink: Ink) -> tuple[str, Style]:
    return {
        "running": (glyphs.live, ink.ok),
        "waiting": (glyphs.waiting, ink.wait),
        "denied": (glyphs.denied, ink.bad),
        "idle": (glyphs.active, ink.dim),
        "gone": (glyphs.ended, ink.faint),
    }[agent.state]


def hour_lines(now: Now, bars: str, glyphs: Glyphs) -> tuple[Line, ...]:
    """Say how the last hour was, and what no eye would find in a feed."""
    hour, lines = now.hour, []
    calls = "1 call" if hour.total == 1 else f"{hour.total:,} calls"
    parts = [f"{sparkline(hour.calls, bars)}  {calls}"]
    if hour.denied:
        parts.append(f"{hour.denied:,} denied")
    if hour.asked:
        allowed = f"{hour.allowed:,} allowed"
        if hour.median_wait_us:
            allowed += f", median {countdown(hour.median_wait_us)}"
        parts.append(f"{hour.asked:,} asked ({allowed})")
    if hour.new_tools:
        parts.append(f"{hour.new_tools:,} new {'tool' if hour.new_tools == 1 else 'tools'}")
    lines.append(Line("   ".join(parts), "text", "LAST HOUR  ", "key"))
    for at, odd in enumerate(now.odd):
        lead = f"{'' if at else 'ODD':<10} {glyphs.changed} "
        span = f" {age(now.at_us - odd.at_us)} ago" if odd.at_us else ""
        lines.append(Line(f"{one_line(odd.words, 300)}{span}", "text", lead, "warning"))
    for budget in now.budgets:
        if budget.over:
            words = f"{one_line(budget.words, 300)} Its calls ask you."
            lines.append(Line(words, "warning", f"{'BUDGET':<10} ", "warning"))
    if now.stopped_by:
        words = f"every call is refused: stopped by {one_line(now.stopped_by, 60)}"
        lines.append(Line(words, "removed", f"{'STOPPED':<10} ", "removed"))
    return tuple(lines)
