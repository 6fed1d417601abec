"""Messages laid out as blocks of lines, made in a thread and drawn by the transcript."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.text import Text
from textual.strip import Strip

from pktui.memory.records import Message
from pktui.query import parse_query
from pktui.text import one_line, visible
from pktui.tui.effects import effect_of
from pktui.tui.glyphs import UNICODE, Glyphs
from pktui.tui.moments import duration

if TYPE_CHECKING:
    from datetime import date

    from rich.style import Style

    from pktui.ledger.records import CallRow
    from pktui.memory.records import Role
    from pktui.tui.theme import Ink

BAR = 2
"""Cells before every line: the role's bar and a space."""
GUTTER = 14
"""Cells for time and role where the transcript is wide."""
WIDE = 66
CUT_CHARACTERS = 6_000
"""Longer messages are cut until the person asks for the whole."""
WHOLE_CHARACTERS = 400_000
"""More than this is never laid out; the export holds everything."""
MARKDOWN_CHARACTERS = 12_000
TOOL_LINES = 8


@dataclass(frozen=True, slots=True)
class Look:
    """How blocks are laid out; `width` in cells without the scrollbar."""

    width: int
    ink: Ink
    dark: bool
    marks: re.Pattern[str] | None = None
    whole: bool = False
    glyphs: Glyphs = UNICODE


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of a message or a call, or a line that names the day (`item` is `None`)."""

    item: Message | CallRow | None
    day: date
    strips: tuple[Strip, ...]

    @property
    def message(self) -> Message | None:
        """The message, `None` for a call and for the line of a day."""
        return self.item if isinstance(self.item, Message) else None


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


def lay_out(
    items: Sequence[Message | CallRow], look: Look, stop: Callable[[], bool] = lambda: False
) -> tuple[Block, ...]:
    """Lay items out, a line before each new day; gives up early where `stop` says so."""
    blocks: list[Block] = []
    for item in items:
        if stop():
            break
        when = time_of(item)
        if not blocks or blocks[-1].day != when.date():
            blocks.append(_day_line(when.date(), look))
        if isinstance(item, Message):
            blocks.append(Block(item, when.date(), tuple(_draw(item, look))))
            continue
        if blocks[-1].item is not None and blocks[-1].message is None:
            blocks[-1] = replace(blocks[-1], strips=blocks[-1].strips[:1])
        blocks.append(Block(item, when.date(), tuple(_draw_call(item, when, look))))
    return tuple(blocks)


def time_of(item: Message | CallRow) -> datetime:
    """Return the local time of a message or a call."""
    if isinstance(item, Message):
        return item.created_at.astimezone()
    return datetime.fromtimestamp(item.at_us / 1_000_000, UTC).astimezone()


def role_style(role: Role, ink: Ink) -> Style:
    """Return the colour of a role."""
    return {"user": ink.accent, "agent": ink.info, "tool": ink.quiet, "system": ink.faint}[role]


def _day_line(day: date, look: Look) -> Block:
    words = f" {day:%A} {day.day} {day:%B %Y} "
    line = Text("─" * max(0, (look.width - len(words)) // 2), look.ink.line)
    strip = Strip([*_plain(line), Segment(words, look.ink.faint), *_plain(line)])
    return Block(None, day, (strip, Strip([])))


def _plain(text: Text) -> list[Segment]:
    return [Segment(text.plain, text.style if not isinstance(text.style, str) else None)]


def _draw(message: Message, look: Look) -> Iterator[Strip]:
    wide = look.width >= WIDE
    gutter = GUTTER if wide else 0
    when = f"{message.created_at.astimezone():%H:%M}"
    colour = role_style(message.role, look.ink)
    time = Segment(f"{when} ", look.ink.faint)
    bold = look.ink.bold if message.role in {"user", "agent"} else look.ink.dim
    name = Segment(f"{message.role:<{GUTTER - 6}}", bold + colour)
    if not wide:
        yield Strip([name, time])
    width = max(1, look.width - BAR - gutter)
    for number, line in enumerate(_body(message, width, look)):
        if wide:
            lead = [time, name] if number == 0 else [Segment(" " * GUTTER)]
            yield Strip([*lead, *line])
        else:
            yield Strip(line)
    yield Strip([])


def _draw_call(call: CallRow, when: datetime, look: Look) -> Iterator[Strip]:
    """Draw a call on one line: what was called, what became of it, and its arguments."""
    ink = look.ink
    sign, word, style = effect_of(call, look.glyphs, ink)
    took = f" {duration(call.duration_us)}" if call.outcome else ""
    name = f"{'call':<{GUTTER - 6}}" if look.width >= WIDE else "call "
    line = Strip(
        [
            Segment(f"{when:%H:%M} ", ink.faint),
            Segment(name, ink.faint),
            Segment(f"{one_line(call.server, 60)}.{one_line(call.tool, 80)}  ", ink.dim),
            Segment(f"{sign} {word}{took}  ", style),
            Segment(one_line(call.arguments, 200), ink.faint),
        ]
    )
    yield line.crop(0, look.width - BAR)
    yield Strip([])


def _body(message: Message, width: int, look: Look) -> list[list[Segment]]:
    limit = WHOLE_CHARACTERS if look.whole else CUT_CHARACTERS
    text = visible(message.content[:limit])
    left = len(message.content) - limit
    lines = _lines(message.role, text, width, look)
    if look.marks is not None:
        lines = [_mark(line, look.marks, look.ink.mark) for line in lines]
    if message.role == "tool" and not look.whole and len(lines) > TOOL_LINES:
        cut = len(lines) - TOOL_LINES + 1
        lines = [
            *lines[: TOOL_LINES - 1],
            [Segment(f"… {cut} more lines · o whole", look.ink.faint)],
        ]
    if left > 0:
        how = "x exports all" if look.whole else "o whole"
        lines.append([Segment(f"… {left:,} more characters · {how}", look.ink.faint)])
    return lines or [[Segment("(empty)", look.ink.faint)]]


def _lines(role: Role, text: str, width: int, look: Look) -> list[list[Segment]]:
    from pktui.tui.markdown import draw_markdown, draw_plain  # its parser may not delay the start

    if role in {"user", "agent"} and len(text) <= MARKDOWN_CHARACTERS:
        drawn = draw_markdown(text, width, look.ink, base=look.ink.text, dark=look.dark)
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
