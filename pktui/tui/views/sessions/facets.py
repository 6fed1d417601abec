"""Facets: agents, projects and weeks of what is listed, as bars, and the filters they set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.text import Text
from textual import events, on
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from pktui.memory.records import QUERY_KEYS
from pktui.query import Filter, parse_query
from pktui.text import has_hidden, one_line
from pktui.tui.actions import bindings
from pktui.tui.cells import fit, fit_right
from pktui.tui.context import context_of
from pktui.tui.focus import focus_now
from pktui.tui.glyphs import ASCII
from pktui.tui.moments import day_of
from pktui.tui.theme import ink_of
from pktui.tui.views.sessions.draw import last_us, project_name
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run
from pktui.tui.widgets.titled_rows import TitledRows

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.memory.records import Facets
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.views.sessions.source import Row

Facet = Literal["agent", "project", "week"]
FACETS: tuple[Facet, ...] = ("agent", "project", "week")
WEEKS = 12
COUNTING = "counting…"
# Values of one facet that are listed.
_MOST = 50
_BAR = 5
_KEYS: dict[Facet, tuple[str, ...]] = {
    "agent": ("agent",),
    "project": ("project",),
    "week": ("after", "before", "since"),
}


@dataclass(frozen=True, slots=True)
class FacetRow:
    """One value of a facet; `filters` is what is typed for it, "" where nothing can be.

    Without a count it is the head over the facet's values. `here`: the row under the cursor of the
    list has it; `held`: the query asks for it.
    """

    facet: Facet
    label: str
    filters: str = ""
    count: int | None = None
    most: int = 0
    here: bool = False
    held: bool = False


def mondays(now_us: int) -> tuple[date, ...]:
    """Return the first days of the last weeks, the present one's last."""
    today = day_of(now_us)
    monday = today - timedelta(days=today.weekday())
    return tuple(monday - timedelta(weeks=ago) for ago in range(WEEKS - 1, -1, -1))


def edges_us(days: Sequence[date]) -> tuple[int, ...]:
    """Return when these days begin, local time, in microseconds."""
    midnights = (datetime.combine(day, time()).astimezone() for day in days)
    return tuple(round(at.timestamp() * 1_000_000) for at in midnights)


def facet_rows(facets: Facets, days: Sequence[date], text: str, here: Row | None) -> list[FacetRow]:
    """Return the rows of all facets; `days` are the first ones of the weeks that were counted."""
    held = {text[one.start : one.end] for one in parse_query(text, QUERY_KEYS).filters}
    session = here.session if here is not None else None
    agents, projects = facets.agents[:_MOST], facets.projects[:_MOST]
    agent_names = {agent: one_line(agent, 60) for agent, _ in agents}
    project_names = _project_names([project for project, _ in projects])
    rows = [
        *_values("agent", agents, agent_names, session.agent if session else None, held),
        *_values("project", projects, project_names, session.project if session else None, held),
    ]
    week = _monday(day_of(last_us(here))) if here is not None else None
    rows.append(FacetRow("week", "weeks"))
    rows += reversed(list(_weeks(facets.weeks, days, held, week)))
    return rows


def _values(
    facet: Facet,
    counts: Sequence[tuple[str, int]],
    names: Mapping[str, str],
    own: str | None,
    held: set[str],
) -> Iterator[FacetRow]:
    yield FacetRow(facet, f"{facet}s")
    for value, count in counts:
        filters, label = _exactly(facet, value), names[value] or f"no {facet}"
        here = value == own
        yield FacetRow(facet, label, filters, count, counts[0][1], here, filters in held)


def _project_names(projects: Sequence[str]) -> dict[str, str]:
    """Return the last part of each directory; of two that are called alike the last two."""
    alike = Counter(project_name(one) for one in projects)
    return {
        one: one_line("/".join(PurePath(one).parts[-2:]), 80) if alike[name] > 1 else name
        for one, name in ((one, project_name(one)) for one in projects)
    }


def _weeks(
    counts: Sequence[int], days: Sequence[date], held: set[str], here: date | None
) -> Iterator[FacetRow]:
    most = max(counts, default=0)
    first = next((at for at, count in enumerate(counts) if count), len(counts))
    for at, count in enumerate(counts):
        if at < first:
            continue
        if at == 0:
            label, filters = "earlier", f"before:{days[0]}"
            is_here = here is not None and here < days[0]
        else:
            monday = days[at - 1]
            label = f"{monday.day:>2} {monday:%b}"
            filters = f"after:{monday} before:{monday + timedelta(weeks=1)}"
            is_here = here == monday
        yield FacetRow("week", label, filters, count, most, is_here, set(filters.split()) <= held)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _exactly(key: str, value: str) -> str:
    """Return the filter for just this value, "" where it cannot be typed."""
    if '"' in value or has_hidden(value) or "\n" in value or "\t" in value:
        return ""
    return f'{key}:"={value}"' if any(one.isspace() for one in value) else f"{key}:={value}"


def with_facet(text: str, row: FacetRow) -> str:
    """Return the query with this value in place of others of its facet; without it if it held."""
    keys = _KEYS[row.facet]
    gone: list[Filter] = [
        one for one in parse_query(text, QUERY_KEYS).filters if one.key in keys and not one.negated
    ]
    for one in reversed(gone):
        text = f"{text[: one.start].rstrip()} {text[one.end :].lstrip()}".strip()
    return text if row.held else f"{text} {row.filters}".strip()


class FacetList(TitledRows[FacetRow]):
    """The facets; `a`, `p` and `w` take the value that the row under the list's cursor has."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("facets")

    class Missing(Message):
        """There is no value to take; `why` is for the person."""

        def __init__(self, why: str) -> None:
            super().__init__()
            self.why = why

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        # What is to be taken once it was counted.
        self._wanted: Facet | None = None
        super().__init__(
            ListSource(), draw_facet, opens=lambda row: row.count is not None, glyphs=glyphs,
            id=id,
        )  # fmt: skip

    def put(self, rows: Sequence[FacetRow]) -> None:
        """Show other counts; the cursor stays where it is. What was typed before is obeyed."""
        if list(rows) != self._listed:
            self.show(
                ListSource(rows), cursor=min(self.cursor, max(0, len(rows) - 1)), reveal=False
            )
            if not self.opens_something:
                self.move_to(self.cursor)

        wanted, self._wanted = self._wanted, None
        if wanted is not None and rows:
            self._take(wanted)

    @property
    def _listed(self) -> list[FacetRow]:
        found = (self.source.at(at) for at in range(self.source.total))
        return [row for row in found if row is not None]

    def on_click(self, event: events.Click) -> None:
        """Take the value that is clicked."""
        index, part = self._row_at(self.scroll_offset.y + event.y)
        row = self.source.at(index)
        event.stop()
        event.prevent_default()
        if part == 0 and row is not None and row.count is not None and event.chain == 1:
            self.move_to(index)
            self.action_choose()

    def action_agent(self) -> None:
        """Only this agent, or all again."""
        self._take("agent")

    def action_project(self) -> None:
        """Only this project, or all again."""
        self._take("project")

    def action_week(self) -> None:
        """Only this week, or all again."""
        self._take("week")

    def _take(self, facet: Facet) -> None:
        if not self.source.total:
            self._wanted = facet
            return
        own = [at for at, row in enumerate(self._listed) if row.facet == facet and row.count]
        held = next((at for at in own if self._listed[at].held), None)
        here = next((at for at in own if self._listed[at].here), None)
        at = held if held is not None else here
        if at is None:
            self.post_message(self.Missing(f"the row under the cursor has no {facet}"))
            return
        self.move_to(at)
        self.action_choose()


def draw_facet(row: FacetRow, pen: Pen) -> Sequence[Sequence[Run]]:
    """Draw a value with its bar and count, or the head of a facet with its key."""
    ink, width = pen.ink, pen.width
    if row.count is None:
        return [[(f"{row.label} ", ink.dim), (row.facet[0], ink.accent)]]
    count = f"{row.count:,}"
    bar = max(_BAR, width // 5)
    room = max(4, width - bar - 2 - max(4, len(count)))
    sign = pen.glyphs.cursor if row.held else pen.glyphs.into if row.here else " "
    style = ink.accent if row.held else ink.text if row.count else ink.faint
    return [[
        (f"{sign} ", ink.accent if row.held else ink.faint),
        (fit(row.label, room - 2), style),
        (f" {fit(_bar(row, bar, pen), bar)}", ink.accent if row.held else ink.faint),
        (f" {fit_right(count, max(4, len(count)))}", ink.dim),
    ]]  # fmt: skip


def _bar(row: FacetRow, cells: int, pen: Pen) -> str:
    eighths = round(8 * cells * (row.count or 0) / max(1, row.most))
    if row.count:
        eighths = max(1, eighths)
    if pen.glyphs is ASCII:
        return "#" * ((eighths + 7) // 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[rest].strip()


class FacetScreen(ModalScreen["FacetRow | None"]):
    """The facets over the view, where it has no room for them; gives the value, None at escape."""

    BINDINGS: ClassVar = [Binding("escape", "leave", "leave")]

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[FacetRow] = ()
        self._said = COUNTING

    def compose(self) -> ComposeResult:
        """Lay out the facets over their keys."""
        ink = ink_of(self.app)
        with Vertical(id="actions", classes="-narrow"):
            yield Static(Text("only one agent, project or week", style=ink.bold), markup=False)
            yield FacetList(context_of(self).glyphs, id="actions-rows")
            foot = "a p w the listed row's own   enter chooses   esc leaves"
            yield Static(Text(foot, style=ink.dim), classes="foot", markup=False)

    def on_mount(self) -> None:
        """Go through the values at once."""
        focus_now(self.query_one(FacetList))
        self._show()

    def put(self, rows: Sequence[FacetRow]) -> None:
        """Show what was counted."""
        self._rows = rows if any(row.count is not None for row in rows) else ()
        self._said = "no session is listed, so there is none to choose by"
        self._show()

    def ended(self) -> None:
        """Show that nothing more comes: where nothing was counted the list says why."""
        if self._said == COUNTING:
            self._said = "not counted"
        self._show()

    def _show(self) -> None:
        for rows in self.query(FacetList):  # none before it is laid out, and once it was left
            rows.say_empty(((self._said, "dim"),))
            rows.put(self._rows)

    @on(Rows.Chosen)
    def _choose(self, message: Rows.Chosen) -> None:
        message.stop()
        self.dismiss(message.item)

    @on(FacetList.Missing)
    def _say(self, message: FacetList.Missing) -> None:
        message.stop()
        context_of(self).say(message.why)

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)
