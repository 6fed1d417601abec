"""Calls in the time line: folded into one line, a line each, or open at one of their parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from pktui.text import one_line
from pktui.tui.arguments import argument_lines, raw_lines, summary
from pktui.tui.cells import cut
from pktui.tui.document import Line
from pktui.tui.document import lay_out as lay_out_lines
from pktui.tui.effects import decider, sign_of
from pktui.tui.moments import clock_time, countdown, duration
from pktui.tui.results import result_lines, result_summary, result_text
from pktui.tui.views.sessions.layout import BAR, Look
from pktui.tui.widgets.document import tones_of

if TYPE_CHECKING:
    from pktui.ledger.records import Event
    from pktui.tui.views.sessions.reader import WholeCall
    from pktui.tui.views.sessions.timeline import LineCall

CallPart = Literal["arguments", "result", "rule", "history"]
PARTS: tuple[CallPart, ...] = ("arguments", "result", "rule", "history")

# Rows of an open call that are laid out; the feed shows all of a call.
MOST_ROWS = 400
_NAMES = 5
_INDENT = 4
# Cells between what is at the left and what is at the right edge.
_GAP = 2
_BETWEEN = " " * _GAP
_RESULT_CELLS = 80
_LEAST_RESULT = 8

Runs = list[tuple[str, Style]]


def draw_fold(calls: Sequence[LineCall], look: Look) -> Strip:
    """Draw many calls as one line: how many, of which tools, how long they took together."""
    ink, room = look.ink, look.width - BAR
    counts = Counter(one_line(call.tool, 40) for call in calls if call.mark is None)
    parts: list[Runs] = []
    for tool, count in counts.most_common(_NAMES):
        parts.append([(f"{tool} x{count}" if count > 1 else tool, ink.dim)])
    if len(counts) > _NAMES:
        parts.append([(f"{len(counts) - _NAMES} more tools", ink.faint)])
    marked = Counter((call.state, one_line(call.tool, 40)) for call in calls if call.mark)
    for (state, tool), count in marked.items():
        sign, style = sign_of(state, look.glyphs, ink)
        parts.append([(f"{sign} ", style), (f"{tool} x{count}" if count > 1 else tool, ink.dim)])
    took = sum(call.took_us for call in calls)
    lead: Runs = [
        (f"{_minute(calls[0].at_us)} ", ink.faint),
        (f"{look.glyphs.fold} {len(calls):,} calls  ", ink.dim),
    ]
    for number, part in enumerate(parts):
        lead += [(f" {look.glyphs.dot} ", ink.faint)] if number else []
        lead += part
    return _strip(lead, [(duration(took), ink.faint)] if took else [], room, look.glyphs.more)


def draw_call(call: LineCall, whole: WholeCall | None, look: Look) -> tuple[Strip, ...]:
    """Draw a call on one line: what was called with what, and what became of it."""
    ink, room = look.ink, look.width - BAR
    sign, style = sign_of(call.state, look.glyphs, ink)
    name = one_line(f"{call.server}.{call.tool}" if call.server else call.tool, 80)
    lead: Runs = [
        (f"{_minute(call.at_us)}   ", ink.faint),
        (f"{sign} ", style),
        (f"{name} ", ink.text if call.mark else ink.dim),
    ]
    ending = (_answered(whole) or call.word, style if call.mark else ink.dim)
    took = (duration(call.took_us) if call.took_us else "", ink.faint)
    if _cells(_apart(ending, took)) > room // 2:
        took = ("", ink.faint)
    free = room - _cells(lead) - _cells(_apart(ending, took)) - _GAP
    answer = ""
    if whole is not None and free > 0:
        arguments, answer = _side_by_side(whole, free, look)
        lead.append((arguments, ink.faint))
    return (_strip(lead, _apart(ending, (answer, ink.faint), took), room, look.glyphs.more),)


def _apart(*runs: tuple[str, Style]) -> Runs:
    """Return those that have a text, with a gap between any two of them."""
    there = [run for run in runs if run[0]]
    return [(f"{_BETWEEN if at else ''}{text}", style) for at, (text, style) in enumerate(there)]


def _side_by_side(whole: WholeCall, free: int, look: Look) -> tuple[str, str]:
    """Return arguments and result for so many cells: what is left by the arguments, or a third."""
    arguments = summary(whole.arguments, max(20, free))
    arrow = f"{look.glyphs.draft} "
    around = _GAP + cell_len(arrow)
    left = min(max(free - cell_len(arguments), free // 3) - around, _RESULT_CELLS)
    # One cell is for the ellipsis.
    answer = cut(_short_result(whole, left - 1), left) if left > _LEAST_RESULT else ""
    if not answer:
        return cut(arguments, free), ""
    return cut(arguments, free - around - cell_len(answer)), f"{arrow}{answer}"


def _short_result(whole: WholeCall, limit: int) -> str:
    """Return the beginning of what the agent was given, "" where none is kept."""
    if whole.answer is not None:
        return result_summary(whole.answer, limit)
    first = whole.told.strip().partition("\n")[0]
    return f'"{one_line(first, limit - 2)}"' if first else ""


def _answered(whole: WholeCall | None) -> str:
    """Say who answered the question that a call was, and after how long."""
    approval = whole.approval if whole is not None else None
    if approval is None or not approval.decided_by:
        return ""
    waited = countdown(approval.decided_us - approval.created_us)
    answer = "denied" if approval.status == "denied" else "allowed"
    return f"asked, {decider(approval)} {answer} it after {waited}"


def draw_parts(whole: WholeCall | None, part: CallPart, look: Look) -> tuple[Strip, ...]:
    """Draw what is below the line of an open call: the names of its parts, and one of them."""
    ink = look.ink
    head: list[Segment] = [Segment(" " * _INDENT)]
    for number, name in enumerate(PARTS):
        head += [Segment(" │ " if number else "", ink.line)]
        head += [Segment(name, ink.bold + ink.accent if name == part else ink.dim)]
    strips = [Strip(head).crop(0, look.width - BAR)]
    tones = tones_of(ink)
    lines: Sequence[Line] = (Line("reading…", "note"),) if whole is None else _PARTS[part](whole)
    rows = lay_out_lines(lines, max(8, look.width - BAR - _INDENT))
    for row in islice(rows, MOST_ROWS):
        segments = [Segment(" " * _INDENT), Segment(row.lead, tones[row.lead_tone])]
        strips.append(Strip([*segments, Segment(row.text, tones[row.tone])]))
    if len(rows) > MOST_ROWS:
        more = f"{' ' * _INDENT}… {len(rows) - MOST_ROWS:,} more lines · y copies all"
        strips.append(Strip([Segment(more, ink.faint)]))
    return tuple(strips)


def part_text(whole: WholeCall, part: CallPart) -> str:
    """Return a part of a call as text to be copied."""
    if part == "arguments":
        return whole.arguments
    if part == "result":
        return result_text(whole.answer) if whole.answer is not None else whole.told
    return "\n".join(f"{line.lead}{line.text}" for line in _PARTS[part](whole))


def _arguments(whole: WholeCall) -> Sequence[Line]:
    text = whole.arguments
    return argument_lines(text) if text else (Line("no arguments are kept of this call", "note"),)


def _result(whole: WholeCall) -> Sequence[Line]:
    if whole.answer is not None:
        return result_lines(whole.answer)
    if not whole.told:
        return (Line("no result is kept of this call", "note"),)
    return raw_lines(whole.told)


def _rule(whole: WholeCall) -> Sequence[Line]:
    row, approval = whole.row, whole.approval
    if row is None:
        return (
            Line("pktui did not decide this call: it is told by the agent's own record", "note"),
        )
    lines = [_labelled("rule", row.rule or "none named"), _labelled("effect", row.effect)]
    if row.reason:
        lines.append(_labelled("reason", row.reason))
    if approval is not None:
        lines.append(_labelled("approval", f"{approval.id} {approval.status}"))
        lines.append(_labelled("answered", _answered(whole) or "by nobody yet"))
        if approval.words:
            lines.append(_labelled("words", approval.words))
    return lines


def _history(whole: WholeCall) -> Sequence[Line]:
    lines = [_labelled("caller", _caller(whole))] if whole.row is not None else []
    lines += [_event(event) for event in whole.history]
    if whole.kept is not None:
        lines.append(
            Line(
                f"{one_line(whole.kept.tool, 200)}, {whole.kept.outcome}",
                lead=f"{_second(whole.kept.created_at.timestamp())}  ",
                lead_tone="note",
            )
        )
    return lines


def _caller(whole: WholeCall) -> str:
    row = whole.row
    if row is None:
        return ""
    return " ".join(part for part in (row.agent, row.grant, row.session) if part)


def _event(event: Event) -> Line:
    said = " ".join(
        part for part in (event.kind, event.effect, event.outcome, event.rule, event.reason) if part
    )
    took = f"  {duration(event.duration_us)}" if event.duration_us else ""
    lead = f"{clock_time(event.at_us)}  "
    return Line(one_line(said, 2_000) + took, lead=lead, lead_tone="note")


def _labelled(label: str, text: str) -> Line:
    return Line(one_line(text, 2_000), "text", label.ljust(10), "key")


_PARTS = {"arguments": _arguments, "result": _result, "rule": _rule, "history": _history}


def _strip(lead: Runs, tail: Runs, room: int, more: str) -> Strip:
    """Put one run to the left and one to the right edge; the left one gives way."""
    left = max(0, room - _cells(tail) - _GAP) if tail else room
    strip = Strip([Segment(text, style) for text, style in lead])
    if strip.cell_length > left:
        strip = Strip.join([strip.crop(0, max(0, left - 1)), Strip([Segment(more)])])
    if tail:
        strip = strip.adjust_cell_length(left + _GAP, Style())
        strip = Strip.join([strip, Strip([Segment(text, style) for text, style in tail])])
    return strip.crop(0, room)


def _cells(runs: Sequence[tuple[str, Style]]) -> int:
    return sum(cell_len(text) for text, _ in runs)


def _minute(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1_000_000, UTC).astimezone():%H:%M}"


def _second(at: float) -> str:
    return clock_time(round(at * 1_000_000))
