"""The time line laid out as blocks of lines, made in a thread and drawn by the transcript."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.text import Text
from textual.strip import Strip

from pktui.query import parse_query
from pktui.text import visible
from pktui.tui.views.sessions.call_blocks import CallPart, draw_call, draw_fold, draw_parts
from pktui.tui.views.sessions.layout import BAR, GUTTER, WIDE, Look
from pktui.tui.views.sessions.timeline import FIRST_CALL, FOLD, MESSAGE, LineCall, Place

if TYPE_CHECKING:
    from datetime import date

    from rich.style import Style

    from pktui.memory.records import Message, Role
    from pktui.tui.theme import Ink
    from pktui.tui.views.sessions.reader import WholeCall

# Longer messages are cut until the person asks for the whole.
CUT_CHARACTERS = 6_000
# More than this is never laid out; the export holds everything.
WHOLE_CHARACTERS = 400_000
MARKDOWN_CHARACTERS = 12_000
TOOL_LINES = 8
CUT_LINES = 120
# So many calls that were denied or asked about keep lines of their own while all is folded.
MOST_ALONE = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """What is laid out together: a message and the calls behind it.

    `day` is the day that begins with it, if one does. `whole`: the message is not cut; `unfolded`:
    each call has its line; `opened`: calls that are open, by their ids, at which part.
    """

    number: int
    message: Message | None
    calls: Sequence[LineCall] = ()
    day: date | None = None
    whole: bool = False
    unfolded: bool = False
    opened: Mapping[int, CallPart] = field(default_factory=dict)
    known: Mapping[int, WholeCall] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    """The lines at a place. `place` is `None` for the line of a day, which nothing is done with.

    `cut`: there is more of it than is shown.
    """

    place: Place | None
    strips: tuple[Strip, ...]
    message: Message | None = None
    call: LineCall | None = None
    cut: bool = False


def marks_of(query: str, mode: str) -> re.Pattern[str] | None:
    """Return what to mark for a search: its words and phrases, or in exact mode all of it."""
    if mode == "exact":
        words = [query.strip().strip('"')]
    else:
        parsed = parse_query(query, ())
        words = [term.text for term in parsed.terms if not term.negated]
    found = [re.escape(word) for word in words if len(word) > 1]
    return (
        re.compile("|".join(sorted(found, key=len, reverse=True)), re.IGNORECASE) if found else None
    )


def lay_out(slot: Slot, look: Look) -> tuple[Block, ...]:
    """Lay a slot out; an empty line ends it."""
    blocks: list[Block] = []
    if slot.day:
        blocks.append(Block(None, _day_line(slot.day, look)))
    if slot.message is not None:
        cut, lines = _draw(slot.message, look, whole=slot.whole)
        blocks.append(Block((slot.number, MESSAGE), tuple(lines), slot.message, cut=cut))
    if slot.calls:
        blocks += _calls(slot, look)
    if blocks and blocks[-1].place is not None:
        blocks[-1] = replace(blocks[-1], strips=(*blocks[-1].strips, Strip([])))
    return tuple(blocks)


def has_own_line(call: LineCall, slot: Slot) -> bool:
    """Tell whether a call is shown by itself, and not only folded with the rest of its slot."""
    if slot.unfolded or len(slot.calls) == 1 or call.id in slot.opened:
        return True
    if call.mark is None:
        return False
    marked = itertools.islice((one for one in slot.calls if one.mark), MOST_ALONE + 1)
    return len(list(marked)) <= MOST_ALONE


def _calls(slot: Slot, look: Look) -> Iterator[Block]:
    if len(slot.calls) > 1:
        yield Block((slot.number, FOLD), (draw_fold(slot.calls, look),))
    for index, call in enumerate(slot.calls, FIRST_CALL):
        if has_own_line(call, slot):
            known = slot.known.get(call.id)
            lines = draw_call(call, known, look)
            if part := slot.opened.get(call.id):
                lines += draw_parts(known, part, look)
            yield Block((slot.number, index), lines, call=call)


def role_style(role: Role, ink: Ink) -> Style:
    """Return the colour of a role."""
    return {"user": ink.accent, "agent": ink.info, "tool": ink.quiet, "system": ink.faint}[role]


def _day_line(day: date, look: Look) -> tuple[Strip, ...]:
    words = f" {day:%A} {day.day} {day:%B %Y} "
    line = Text(look.glyphs.rule * max(0, (look.width - len(words)) // 2), look.ink.line)
    strip = Strip([*_plain(line), Segment(words, look.ink.faint), *_plain(line)])
    return strip, Strip([])


def _plain(text: Text) -> list[Segment]:
    return [Segment(text.plain, text.style if not isinstance(text.style, str) else None)]


def _draw(message: Message, look: Look, *, whole: bool) -> tuple[bool, list[Strip]]:
    wide = look.width >= WIDE
    gutter = GUTTER if wide else 0
    when = f"{message.created_at.astimezone():%H:%M}"
    colour = role_style(message.role, look.ink)
    time = Segment(f"{when} ", look.ink.faint)
    bold = look.ink.bold if message.role in {"user", "agent"} else look.ink.dim
    name = Segment(f"{message.role:<{GUTTER - 6}}", bold + colour)
    strips = [] if wide else [Strip([name, time])]
    width = max(1, look.width - BAR - gutter)
    cut, lines = _body(message, width, look, whole=whole)
    for number, line in enumerate(lines):
        if wide:
            lead = [time, name] if number == 0 else [Segment(" " * GUTTER)]
            strips.append(Strip([*lead, *line]))
        else:
            strips.append(Strip(line))
    return cut, strips


def _body(
    message: Message, width: int, look: Look, *, whole: bool
) -> tuple[bool, list[list[Segment]]]:
    limit = WHOLE_CHARACTERS if whole else CUT_CHARACTERS
    text = visible(message.content[:limit])
    left = len(message.content) - limit
    lines = _lines(message.role, text, width, look)
    if look.marks is not None:
        lines = [_mark(line, look.marks, look.ink.mark) for line in lines]
    most = TOOL_LINES if message.role == "tool" else CUT_LINES
    more: list[str] = []
    if not whole and len(lines) > most:
        more.append(f"{len(lines) - most + 1} more lines")
        lines = lines[: most - 1]
    if left > 0:
        more.append(f"{left:,} more characters")
    if more:
        how = "x exports all" if whole else "enter whole"
        lines.append([Segment(f"… {', '.join(more)} · {how}", look.ink.faint)])
    return bool(more) and not whole, lines or [[Segment("(empty)", look.ink.faint)]]


def _lines(role: Role, text: str, width: int, look: Look) -> list[list[Segment]]:
    from pktui.tui.markdown import draw_markdown, draw_plain  # its parser may not delay the start

    if role in {"user", "agent"} and len(text) <= MARKDOWN_CHARACTERS:
        drawn = draw_markdown(text, width, look.ink, base=look.ink.text)
        return _without_edges(drawn)
    style = look.ink.text if role in {"user", "agent"} else look.ink.dim
    return draw_plain(text.strip("\n"), width, style)


def _without_edges(lines: list[list[Segment]]) -> list[list[Segment]]:
    first, last = 0, len(lines)
    while first < last and not _has_text(lines[first]):
        first += 1
    while last > first and not _has_text(lines[last - 1]):
        last -= 1
    return lines[first:last]


def _has_text(line: Collection[Segment]) -> bool:
    return any(segment.text.strip() for segment in line)


def _mark(line: list[Segment], marks: re.Pattern[str], style: Style) -> list[Segment]:
    plain = "".join(segment.text for segment in line)
    cuts = [(match.start(), match.end()) for match in marks.finditer(plain)]
    if not cuts:
        return line
    marked: list[Segment] = []
    at = 0
    for segment in line:
        end = at + len(segment.text)
        edges = sorted({at, end, *(edge for cut in cuts for edge in cut if at < edge < end)})
        for start, stop in itertools.pairwise(edges):
            inside = any(first <= start and stop <= last for first, last in cuts)
            own = segment.style
            drawn = (own + style if own else style) if inside else own
            marked.append(Segment(plain[start:stop], drawn))
        at = end
    return marked
