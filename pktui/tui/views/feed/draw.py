"""How a call looks in the feed: columns by what is on the screen, dropped by what matters least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from pktui.tui.cells import fit
from pktui.tui.effects import sign_of
from pktui.tui.widgets.columns import GAP, Column
from pktui.tui.widgets.grid import Grid

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.tui.views.feed.call import FeedCall
    from pktui.tui.widgets.rows import Pen, Run

COLUMNS = (
    Column("time", head="time"),
    Column("state", most=10, short=1),
    Column("machine", order=1, most=12, head="machine"),
    Column("person", order=3, most=10, head="person"),
    Column("agent", order=1, most=16, head="agent"),
    Column("tool", most=34, head="tool"),
    Column("arguments", stretch=True, least=26, head="arguments"),
    Column("took", order=2, right=True, head="took"),
)
# Cells that arguments keep beside a reason.
_LEAST = 10


def call_grid() -> Grid[FeedCall]:
    """Return the columns of calls."""
    own = {"state": _state, "tool": _tool, "arguments": _rest}
    return Grid(COLUMNS, _texts, _styles, own)


def _texts(call: FeedCall) -> Sequence[str]:
    tool = f"{call.tool}{_times(call)}"
    where = call.machine, call.person
    return call.time, f"  {call.state}", *where, call.agent, tool, "", call.took


def _times(call: FeedCall) -> str:
    """Say for how many calls the row stands; of one question the reason says it."""
    return f" x{call.times:,}" if call.times > 1 and call.approval is None else ""


def _styles(_call: FeedCall, pen: Pen) -> Mapping[str, Style]:
    ink = pen.ink
    return {
        "time": ink.dim,
        "machine": ink.dim,
        "person": ink.dim,
        "agent": ink.info,
        "took": ink.dim,
    }


def _state(call: FeedCall, width: int, pen: Pen) -> list[Run]:
    """Draw the sign, and the word where there is room for it; that of what simply ran is quiet."""
    sign, style = sign_of(call.state, pen.glyphs, pen.ink)
    if width == 1:
        return [(sign, style)]
    word = pen.ink.dim if call.state == "allowed" else style
    return [(sign, style), (fit(f" {call.state}", width - 1), word)]


def _tool(call: FeedCall, width: int, pen: Pen) -> list[Run]:
    """Draw the tool; how often it was called is never cut off."""
    times = _times(call)
    name = fit(call.tool, width - len(times)).rstrip() if times else call.tool
    return [(fit(name + times, width), pen.ink.text)]


def _rest(call: FeedCall, width: int, pen: Pen) -> list[Run]:
    """Share the room between the arguments and the reason: it stands in one column where it can."""
    _, style = sign_of(call.state, pen.glyphs, pen.ink)
    if not call.why:
        return [(fit(call.arguments, width), pen.ink.dim)]
    spared = width - GAP - cell_len(call.why)
    arguments = max(_LEAST, min(spared, max(width * 2 // 5, cell_len(call.arguments))))
    return [
        (fit(call.arguments, arguments) + " " * GAP, pen.ink.dim),
        (fit(call.why, width - arguments - GAP), style),
    ]
