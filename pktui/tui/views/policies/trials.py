"""Policies tried on what was recorded: a draft call by call, and the ready-made ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from rich.text import Text
from textual import on
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from pktui.insight.trial import PresetTrial, Trial, recorded, try_policy, try_presets
from pktui.ledger.records import CallRow
from pktui.policy.document.policy import parse_policy
from pktui.policy.lint import Review
from pktui.policy.trial import Tried
from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.arguments import argument_lines, summary
from pktui.tui.background import in_thread
from pktui.tui.context import context_of
from pktui.tui.document import Line
from pktui.tui.focus import focus_now
from pktui.tui.moments import DAY, clock_time
from pktui.tui.theme import ink_of
from pktui.tui.views.policies.draw import WORDS
from pktui.tui.views.policies.marked import marked
from pktui.tui.widgets.columns import Column, Table, draw_heads
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.heads import Heads
from pktui.tui.widgets.key_line import keys_of
from pktui.tui.widgets.rows import Groups, ListSource, Pen, Rows, Run, days

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.errors import PktuiError
    from pktui.tui.services import Services

T = TypeVar("T")
DAYS = 7
# Rows of a screen that are neither list nor detail: border, padding, titles, keys.
_AROUND = 12
_TRIED = (
    Column("at", order=2, most=8, head="at"),
    Column("was", most=10, head="was"),
    Column("now", most=10, head="would be"),
    Column("tool", most=28, head="tool"),
    Column("arguments", stretch=True, least=8),
)
_PRESETS = (
    Column("name", most=16, head="policy"),
    Column("run", right=True, head="run"),
    Column("ask", right=True, head="ask"),
    Column("denied", right=True, head="denied"),
    Column("what", stretch=True, least=8, order=1, head="about"),
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a draft would have made of the calls of some days."""

    trial: Trial
    calls: int


def replay(services: Services, server: str, document: bytes) -> Replayed:
    """Try a policy on the calls of the last days. Blocks; raises `PktuiError`."""
    calls = recorded(services.ledger, server, services.clock() - DAYS * DAY)
    trial = try_policy(parse_policy(document), calls, services.layers_of(server))
    return Replayed(trial, len(calls))


def presets(services: Services, server: str) -> tuple[PresetTrial, ...]:
    """Try the ready-made policies on the calls of the last days. Blocks; raises `PktuiError`."""
    calls = recorded(services.ledger, server, services.clock() - DAYS * DAY)
    return tuple(try_presets(calls, services.layers_of(server)))


class _ListScreen(ModalScreen["T | None"], Generic[T]):
    """A list that is read in a thread, over a detail of the row under the cursor."""

    KEYS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self.table = Table((), ())

    def compose(self) -> ComposeResult:
        """Lay out the list between its title and its keys."""
        ink, glyphs = ink_of(self.app), context_of(self).glyphs
        with Vertical(classes="edit"):
            yield Static(Text(self._title, style=ink.bold), classes="title", markup=False)
            yield Static(classes="about", id="trial-about", markup=False)
            yield Heads(lambda: self.query_one(Rows), glyphs, self._draw_heads)
            yield Rows(
                ListSource(), self.draw, glyphs=glyphs, groups=self.groups(), id="trial-rows"
            )
            yield DocumentView()
            yield Static(keys_of(self, self.KEYS), classes="foot", markup=False)

    def on_mount(self) -> None:
        """Read what is to be shown."""
        focus_now(self.query_one(Rows))
        self.say("looking at what was recorded…")
        self.read()

    def read(self) -> None:
        """Start to read."""

    def groups(self) -> Groups[T] | None:
        """Return what the rows are grouped by; `None`: by nothing."""
        return None

    def _draw_heads(self, pen: Pen) -> Sequence[Run]:
        table = self.table
        return draw_heads(table.columns, table.widths(pen.width), pen.ink.faint)

    def draw(self, row: T, pen: Pen) -> Sequence[Sequence[Run]]:
        """Draw a row."""
        return []

    def say(self, words: str) -> None:
        """Say what the list is."""
        self.query_one("#trial-about", Static).update(Text(words, style=ink_of(self.app).dim))

    def fill(self, rows: Sequence[T]) -> None:
        """Show the rows."""
        listed = self.query_one(Rows)
        groups = listed.groups
        heads = {groups.group(row) for row in rows} if groups is not None else ()
        height = min(max(1, len(rows) + len(heads)), max(3, self.size.height // 2 - 6))
        self.query_one(Heads).refresh()
        listed.styles.height = height
        listed.show(ListSource(rows))
        self.call_after_refresh(listed.scroll_to, y=0, animate=False)  # to the first day's head
        room = self.size.height - height - _AROUND
        self.query_one(DocumentView).styles.max_height = max(1, room)

    def failed(self, error: PktuiError) -> None:
        """Say why there is nothing to show."""
        self.say(str(error))

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)


class ReplayScreen(_ListScreen[Tried]):
    """Shows the calls that a draft would decide otherwise; gives one to make a rule from."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("replay")]
    KEYS = ("replay.rule", "replay.leave")

    def __init__(
        self, services: Services, server: str, make: Callable[[], bytes], drafted: int
    ) -> None:
        """`make` gives the document to be tried; it blocks."""
        what = "as it is" if not drafted else "with its draft" + "s" * (drafted > 1)
        super().__init__(f"{one_line(server, 60)} {what}, on the last {DAYS} days")
        self._services, self._server, self._make = services, server, make
        self.table = Table(_TRIED, ())
        self._places: dict[int, int] = {}

    def read(self) -> None:
        """Try it."""
        in_thread(
            self, lambda: replay(self._services, self._server, self._make()), self._take,
            self.failed, group="trial",
        )  # fmt: skip

    def groups(self) -> Groups[Tried] | None:
        """By day."""
        return days(lambda one: one.call.at_us, self._services.clock)

    def _take(self, found: Replayed) -> None:
        figures, changed = found.trial.figures, found.trial.changed
        words = f"{figures.words} · {figures.differ:,} differ"
        if figures.partial:
            words += f" · {figures.partial:,} with arguments that are not on record as a whole"
        self.say(words if found.calls else "no call of it is on record")
        self._places = {id(one): at for at, one in enumerate(changed)}
        self.table = Table(_TRIED, [_tried_texts(one) for one in changed])
        self.fill(changed)
        self.query_one(Heads).display = bool(changed)
        if found.calls and not changed:
            told = "Each would be decided as it was. Draft a change and try again."
            self.query_one(DocumentView).show("none", (Line(told, "note"),))

    def draw(self, row: Tried, pen: Pen) -> Sequence[Sequence[Run]]:
        """Draw a call with what was and what would be decided."""
        ink = pen.ink
        styles = {"at": ink.dim, "was": ink.dim, "now": ink.bold, "tool": ink.text,
                  "arguments": ink.dim}  # fmt: skip
        return [self.table.draw(self._places[id(row)], pen.width, styles)]

    @on(Rows.Moved)
    def _show(self, message: Rows.Moved) -> None:
        message.stop()
        row = message.rows.current
        if isinstance(row, Tried):
            reason = one_line(row.now.reason or "", 600)
            lines = (
                Line(one_line(row.now.rule or "none", 300), "text", "rule     "),
                *((Line(reason, "text", "because  "),) if reason else ()),
                *argument_lines(row.call.arguments or "{}"),
            )
            self.query_one(DocumentView).show(str(id(row)), lines)

    def action_rule(self) -> None:
        """Make a rule from the call under the cursor."""
        row = self.query_one(Rows).current
        if isinstance(row, Tried):
            self.dismiss(row)


class PresetScreen(_ListScreen[PresetTrial]):
    """Shows the ready-made policies with their figures; gives the one that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("presets")]
    KEYS = ("presets.take", "presets.leave")

    def __init__(self, services: Services, server: str) -> None:
        super().__init__(f"A ready-made policy for {one_line(server, 60)}")
        self._services, self._server = services, server
        self.table = Table(_PRESETS, ())
        self._names: tuple[str, ...] = ()

    def read(self) -> None:
        """Try them all."""
        in_thread(
            self, lambda: presets(self._services, self._server), self._take, self.failed,
            group="trial",
        )  # fmt: skip

    def _take(self, found: tuple[PresetTrial, ...]) -> None:
        calls = found[0].figures.calls if found else 0
        tried = f"of {calls:,} calls in {DAYS} days" if calls else "no call of it is on record yet"
        self.say(f"{tried}; the diff is shown before anything is written")
        self._names = tuple(one.name for one in found)
        self.table = Table(_PRESETS, [_preset_texts(one) for one in found])
        self.fill(found)

    def draw(self, row: PresetTrial, pen: Pen) -> Sequence[Sequence[Run]]:
        """Draw a policy with its figures."""
        ink = pen.ink
        styles = {"name": ink.bold, "run": ink.ok, "ask": ink.info, "denied": ink.quiet,
                  "what": ink.dim}  # fmt: skip
        return [self.table.draw(self._names.index(row.name), pen.width, styles)]

    @on(Rows.Moved)
    def _show(self, message: Rows.Moved) -> None:
        message.stop()
        row = message.rows.current
        if isinstance(row, PresetTrial):
            text, glyphs = row.document.decode(), context_of(self).glyphs
            self.query_one(DocumentView).show(row.name, marked(text, Review(None), glyphs).lines)

    @on(Rows.Chosen)
    def _chosen(self, message: Rows.Chosen) -> None:
        message.stop()
        self.action_take()

    def action_take(self) -> None:
        """Take the one under the cursor; nothing is written yet."""
        row = self.query_one(Rows).current
        if isinstance(row, PresetTrial):
            self.dismiss(row)


def call_of(tried: Tried) -> CallRow | None:
    """Return the recorded call that was tried."""
    return tried.call if isinstance(tried.call, CallRow) else None


def _tried_texts(one: Tried) -> tuple[str, ...]:
    was = WORDS.get(one.was, one.was)  # type: ignore[call-overload]
    now = WORDS.get(one.now.decision.value, one.now.decision.value)
    return (
        clock_time(one.call.at_us), str(was), str(now), one_line(one.call.tool, 80),
        summary(one.call.arguments, 200),
    )  # fmt: skip


def _preset_texts(one: PresetTrial) -> tuple[str, ...]:
    figures = one.figures
    return (
        one.name, f"{figures.run:,}", f"{figures.ask:,}", f"{figures.denied:,}",
        one_line(one.description.partition(": ")[2] or one.description, 200),
    )  # fmt: skip
