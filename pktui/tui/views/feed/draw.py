"""How a call looks in the feed: columns by the width there is, dropped by what matters least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

from pktui.tui.cells import fit, fit_right
from pktui.tui.effects import sign_of

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.tui.theme import Ink
    from pktui.tui.views.feed.call import FeedCall
    from pktui.tui.widgets.rows import Pen, Run

_TIME, _STATE, _TOOK, _MACHINE = 8, 10, 6, 10
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells; 0: not shown."""

    agent: int
    tool: int
    rest: int
    took: int
    machine: int = 0


def columns(width: int, *, team: bool = False) -> Columns:
    """Share the width out: the tool always, then arguments, agent, duration; a team's machine."""
    left = width - _TIME - _STATE - 2 * len(_GAP)
    took = _TOOK if width >= 56 else 0
    agent = min(13, max(0, left // 6)) if width >= 72 else 0
    if agent:
        agent = max(11, agent)
    machine = _MACHINE if team and width >= 100 else 0
    left -= sum(part + len(_GAP) for part in (took, agent, machine) if part)
    tool = min(28, max(12, left * 5 // 9))
    rest = left - tool - len(_GAP)
    if rest < 8:
        return Columns(agent, max(0, left), 0, took, machine)
    return Columns(agent, tool, rest, took, machine)


def draw_call(call: FeedCall, pen: Pen) -> Sequence[Sequence[Run]]:
    """Draw a call on one line."""
    ink, widths = pen.ink, columns(pen.width, team=bool(call.machine))
    sign, style = sign_of(call.state, pen.glyphs, ink)
    runs: list[Run] = [
        (call.time + _GAP, ink.dim),
        (fit(f"{sign} {call.state}", _STATE) + _GAP, style),
    ]
    if widths.machine:
        runs.append((fit(call.machine, widths.machine) + _GAP, ink.dim))
    if widths.agent:
        runs.append((fit(call.agent, widths.agent) + _GAP, ink.info))
    runs.append((_tool(call, widths.tool) + _GAP, ink.text))
    if widths.rest:
        runs += _rest(call, widths.rest, ink, style)
    if widths.took:
        runs.append((fit_right(call.took, widths.took), ink.dim))
    return [runs]


def _tool(call: FeedCall, width: int) -> str:
    """Return the tool; how often it was called is never cut off."""
    times = f" x{call.times:,}" if call.times > 1 else ""
    return (
        fit(call.tool, width)
        if not times
        else fit(fit(call.tool, width - len(times)).rstrip() + times, width)
    )


def _rest(call: FeedCall, width: int, ink: Ink, style: Style) -> list[Run]:
    """Share the room between the reason, where there is one, and the arguments."""
    if not call.why:
        return [(fit(call.arguments, width) + _GAP, ink.dim)]
    if width < 36:
        return [(fit(call.why, width) + _GAP, style)]
    left = width - len(_GAP) - cell_len(call.arguments)
    why = min(cell_len(call.why), max(20, width * 3 // 5, left))
    return [
        (fit(call.arguments, width - why - len(_GAP)) + _GAP, ink.dim),
        (fit(call.why, why) + _GAP, style),
    ]
