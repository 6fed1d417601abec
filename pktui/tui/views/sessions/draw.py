"""How a session and a search hit look in the list; columns drop as the list gets narrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

if TYPE_CHECKING:
    from pktui.memory.records import Band, Hit, Session
    from pktui.tui.theme import Ink
    from pktui.tui.views.sessions.source import Row
    from pktui.tui.widgets.rows import Pen, Run

STATE = 9
AGENT = 11
PROJECT = 14
COUNT = 4
AGE = 6
AGENT_FROM = 44
AGE_FROM = 50
PROJECT_FROM = 84
SNIPPET_CHARACTERS = 400
WHY = 28
WHY_FROM = 60
MOST_WORDS = 3


def session_title(session: Session) -> str:
    """Return the title on one line, never empty."""
    return one_line(session.title or session.name, 300) or "(no words yet)"


def project_name(project: str) -> str:
    """Return the last part of a project's directory."""
    return one_line(PurePath(project).name or project, 80)


def draw_session(clock: Callable[[], int]) -> Callable[[Row, Pen], Sequence[Sequence[Run]]]:
    """Return the drawer of one-line session rows."""

    def draw(row: Row, pen: Pen) -> Sequence[Sequence[Run]]:
        return [_session_line(row.session, pen, clock(), f"{row.session.message_count}")]

    return draw


def draw_hit(clock: Callable[[], int]) -> Callable[[Row, Pen], Sequence[Sequence[Run]]]:
    """Return the drawer of two-line rows: the session, and the words that matched best."""

    def draw(row: Row, pen: Pen) -> Sequence[Sequence[Run]]:
        if row.hit is not None:
            return [_hit_line(row, pen), _found_by(row, pen)]
        found = f"{row.found:,} hit" + ("" if row.found == 1 else "s") if row.found else ""
        first = _session_line(row.session, pen, clock(), found)
        return [first, _found_by(row, pen)]

    return draw


def _hit_line(row: Row, pen: Pen) -> list[Run]:
    """Return the first line of a hit in place: which of how many it is, and when it was said."""
    hit, ink = row.best, pen.ink
    said = hit.message or hit.call if hit is not None else None
    when = f"{said.created_at.astimezone():%Y-%m-%d %H:%M}" if said is not None else ""
    return [
        (" " * STATE, ink.faint),
        (f"{pen.glyphs.into} {row.number:,} of {row.found:,}", ink.accent),
        (f"  {when}", ink.faint),
    ]


def why(row: Row) -> str:
    """Say what a session was found by: its title, the words that matched, or how near it is."""
    hit, reasons = row.best, ["title"] if row.band == "titles" else []
    if hit is not None:
        marked = (hit.snippet[mark.start : mark.end].lower() for mark in hit.marks)
        words = ", ".join(islice(dict.fromkeys(marked), MOST_WORDS))
        reasons.append(f"words: {words}" if words else f"meaning {hit.score:.2f}")
    return one_line(", ".join(reasons), WHY)


def _found_by(row: Row, pen: Pen) -> list[Run]:
    """Return the second line of a hit: its words, and at the right why it was found."""
    reason = why(row) if pen.width >= WHY_FROM else ""
    room = pen.width - (cell_len(reason) + 2 if reason else 0)
    if row.best is not None:
        runs = _snippet(row.best, replace(pen, width=room))
    else:
        runs = [(" " * STATE, pen.ink.faint)]
        runs.append((one_line(row.session.summary, SNIPPET_CHARACTERS), pen.ink.dim))
    strip = Strip([Segment(text, style) for text, style in runs]).adjust_cell_length(room, Style())
    shown: list[Run] = [(part.text, part.style or Style()) for part in strip]
    return [*shown, (f" {reason} ", pen.ink.faint)] if reason else shown


def band_line(bands: Sequence[int], here: Band | None, ink: Ink, dot: str) -> Text:
    """Return how many sessions each band has, the one under the cursor in bold."""
    parts = [
        Text(f"{band} {count:,}", ink.bold if band == here else ink.dim if count else ink.faint)
        for band, count in zip(BANDS, bands, strict=True)
    ]
    return Text(f" {dot} ", ink.faint).join(parts)


def _session_line(session: Session, pen: Pen, now_us: int, count: str) -> list[Run]:
    ink, glyphs = pen.ink, pen.glyphs
    active = session.status == "active"
    state: Run = (
        (f"{glyphs.active} active ", ink.ok) if active else (f"{glyphs.ended} ended  ", ink.faint)
    )
    tail: list[Run] = []
    if pen.width >= AGENT_FROM:
        tail.append((f" {fit(one_line(session.agent, 40), AGENT)}", ink.info))
    if pen.width >= PROJECT_FROM:
        tail.append((f" {fit(project_name(session.project), PROJECT)}", ink.dim))
    tail.append((f"{count:>{max(COUNT, len(count) + 1)}}", ink.dim))
    if pen.width >= AGE_FROM:
        tail.append((f"{_age(session, now_us):>{AGE}}", ink.faint))
    room = pen.width - STATE - sum(cell_len(text) for text, _ in tail) - 1
    title = fit(session_title(session), max(1, room))
    return [state, (title, ink.bold if pen.under_cursor else ink.text), *tail, (" ", ink.dim)]


def _age(session: Session, now_us: int) -> str:
    at = session.last_activity or session.started_at
    return age(max(0, now_us - microseconds(at))).replace(" ", "")


def _snippet(hit: Hit, pen: Pen) -> list[Run]:
    ink = pen.ink
    role = hit.message.role if hit.message else "call" if hit.call else ""
    text = hit.snippet[:SNIPPET_CHARACTERS]
    marks = sorted((mark.start, mark.end) for mark in hit.marks)
    marks = [(start, end) for start, end in marks if 0 <= start < end <= len(text)]
    at = _first_shown(text, marks, pen.width - STATE)
    runs: list[Run] = [("  ", ink.dim), (f"{role:<{STATE - 2}}", ink.faint)]
    if at:
        runs.append((pen.glyphs.more, ink.faint))
    for start, end in marks:
        if start >= at:
            runs += [(_flat(text[at:start]), ink.dim), (_flat(text[start:end]), ink.mark)]
            at = end
    runs.append((_flat(text[at:]), ink.dim))
    return runs


def _first_shown(text: str, marks: Sequence[tuple[int, int]], room: int) -> int:
    """Return where the snippet is cut so that its first mark is in the room."""
    if not marks or cell_len(text[: marks[0][1]]) < room:
        return 0
    start = max(0, marks[0][0] - room // 4)
    space = text.find(" ", start, marks[0][0])
    return space + 1 if space >= 0 else start


def _flat(text: str) -> str:
    return visible(" ".join(text.replace("\t", " ").split("\n")))
