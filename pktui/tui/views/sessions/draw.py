"""How a session and a search hit look in the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from pktui.memory.records import BANDS
from pktui.text import one_line, visible
from pktui.tui.cells import fit
from pktui.tui.moments import age
from pktui.tui.views.sessions.reader import microseconds
from pktui.tui.widgets.columns import GAP, Column
from pktui.tui.widgets.grid import Grid

if TYPE_CHECKING:
    from pktui.memory.records import Band, Hit, Session
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.theme import Ink
    from pktui.tui.views.sessions.source import Row
    from pktui.tui.widgets.rows import Columned, Pen, Run

COLUMNS = (
    Column("state"),
    Column("title", stretch=True, share=0.4, head="title"),
    Column("agent", order=1, most=12, head="agent"),
    Column("project", order=2, most=14, short=7, head="project"),
    Column("count", right=True, head="said"),
    Column("age", order=3, right=True, head="age"),
)
# What stands before a line below the title; where the words of a hit begin, after who said them.
_BELOW, _ROLE = "   ", 10
SNIPPET_CHARACTERS = 400
WHY = 28
WHY_FROM = 48
MOST_WORDS = 3


def session_title(session: Session) -> str:
    """Return the title on one line, never empty."""
    return one_line(session.title or session.name, 300) or "(no words yet)"


def project_name(project: str) -> str:
    """Return the last part of a project's directory."""
    return one_line(PurePath(project).name or project, 80)


def session_grid(
    clock: Callable[[], int], glyphs: Glyphs, *, found: bool = False, order: str = ""
) -> Grid[Row]:
    """Return the columns of sessions; `found`: with the hits in them, not their messages.

    `order` is a column that stays, however narrow it is.
    """

    def texts(row: Row) -> Sequence[str]:
        session = row.session
        if session is None:
            title = one_line(row.entry.title, 300) if row.entry else ""
            return (glyphs.entry, title, "", "", "", age(max(0, clock() - last_us(row))))
        return (
            glyphs.active if session.status == "active" else glyphs.ended,
            session_title(session),
            one_line(session.agent, 40),
            project_name(session.project),
            (f"{row.found:,}" if row.found else "") if found else f"{session.message_count:,}",
            age(max(0, clock() - last_us(row))),
        )

    def styles(row: Row, pen: Pen) -> Mapping[str, Style]:
        ink = pen.ink
        return {
            "state": _state_ink(row, ink),
            "title": ink.bold if pen.under_cursor else ink.text,
            "agent": ink.info,
            "project": ink.dim,
            "count": ink.dim,
            "age": ink.faint,
        }

    columns = [
        replace(one, head="hits") if found and one.name == "count" else one for one in COLUMNS
    ]
    columns = [replace(one, order=0) if one.name == order else one for one in columns]
    return Grid(columns, texts, styles)


def _state_ink(row: Row, ink: Ink) -> Style:
    if row.session is None:
        return ink.info
    return ink.ok if row.session.status == "active" else ink.faint


def draw_hit(grid: Columned[Row]) -> Callable[[Row, Pen], Sequence[Sequence[Run]]]:
    """Return the drawer of two-line rows: the session, and the words that matched best."""

    def draw(row: Row, pen: Pen) -> Sequence[Sequence[Run]]:
        if row.hit is not None:
            return [_hit_line(row, pen), _found_by(row, pen)]
        return [grid.draw(row, pen), _found_by(row, pen)]

    return draw


def _hit_line(row: Row, pen: Pen) -> list[Run]:
    """Return the first line of a hit in place: which of how many it is, and when it was said."""
    hit, ink = row.best, pen.ink
    said = hit.message or hit.call if hit is not None else None
    when = f"{said.created_at.astimezone():%Y-%m-%d %H:%M}" if said is not None else ""
    return [
        (_BELOW, ink.faint),
        (f"{pen.glyphs.into} {row.number:,} of {row.found:,}", ink.accent),
        (f"  {when}", ink.faint),
    ]


def why(row: Row) -> str:
    """Say what a session was found by: its title, the words that matched, or how near it is."""
    titled = row.band == "titles" and row.hit is None
    hit, reasons = row.best, ["title"] if titled else []
    if hit is not None:
        marked = (hit.snippet[mark.start : mark.end].lower() for mark in hit.marks)
        words = ", ".join(islice(dict.fromkeys(marked), MOST_WORDS))
        reasons.append(f"words: {words}" if words else f"meaning {hit.score:.2f}")
    return one_line(", ".join(reasons), WHY)


def _found_by(row: Row, pen: Pen) -> list[Run]:
    """Return the second line of a hit: its words, and at the right why it was found."""
    reason = why(row) if pen.width >= WHY_FROM else ""
    room = pen.width - (cell_len(reason) + GAP if reason else 0)
    if row.best is not None:
        runs = _snippet(row.best, replace(pen, width=room))
    else:
        runs = [(_BELOW, pen.ink.faint)]
        text = row.session.summary if row.session else row.entry.content if row.entry else ""
        runs.append((one_line(text, SNIPPET_CHARACTERS), pen.ink.dim))
    strip = Strip([Segment(text, style) for text, style in runs])
    if strip.cell_length > room:
        strip = Strip([*strip.crop(0, room - 1), Segment(pen.glyphs.more, pen.ink.faint)])
    strip = strip.adjust_cell_length(room, Style())
    shown: list[Run] = [(part.text, part.style or Style()) for part in strip]
    return [*shown, (" " * GAP + reason, pen.ink.faint)] if reason else shown


def band_line(bands: Sequence[int], here: Band | None, ink: Ink, dot: str) -> Text:
    """Return how many sessions each band has, the one under the cursor in bold."""
    parts = [
        Text(f"{band} {count:,}", ink.bold if band == here else ink.dim if count else ink.faint)
        for band, count in zip(BANDS, bands, strict=True)
    ]
    return Text(f" {dot} ", ink.faint).join(parts)


def last_us(row: Row) -> int:
    """Return when something was last said in a session, or an entry last changed."""
    if row.session is not None:
        return microseconds(row.session.last_activity or row.session.started_at)
    return microseconds(row.entry.updated_at) if row.entry is not None else 0


def _snippet(hit: Hit, pen: Pen) -> list[Run]:
    ink = pen.ink
    role = hit.message.role if hit.message else "call" if hit.call else "entry"
    text = hit.snippet[:SNIPPET_CHARACTERS]
    marks = sorted((mark.start, mark.end) for mark in hit.marks)
    marks = [(start, end) for start, end in marks if 0 <= start < end <= len(text)]
    at = _first_shown(text, marks, pen.width - _ROLE)
    runs: list[Run] = [(fit(f"{_BELOW}{role}", _ROLE), ink.faint)]
    if at:
        runs.append((pen.glyphs.more, ink.faint))
    for start, end in marks:
        if start >= at:
            runs += [(_flat(text[at:start]), ink.dim), (_flat(text[start:end]), ink.mark)]
            at = end
    runs.append((_flat(text[at:]), ink.dim))
    return runs


def _first_shown(text: str, marks: Sequence[tuple[int, int]], room: int) -> int:
    """Return where the snippet is cut so that its first mark is in the room, and fills it."""
    if not marks or cell_len(text[: marks[0][1]]) < room:
        return 0
    start = max(0, min(marks[0][0] - room // 4, len(text) - room + 1))
    space = text.find(" ", start, marks[0][0])
    return space + 1 if space >= 0 else start


def _flat(text: str) -> str:
    return visible(" ".join(text.replace("\t", " ").split("\n")))
