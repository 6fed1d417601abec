"""A rule as a sentence with holes, filled from one call; what it would answer is shown first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rich.text import Text
from textual.containers import Vertical
from textual.widgets import Static

from pktui.errors import PinError, PktuiError
from pktui.policy.sentence import Choice, Hole, conditions_of
from pktui.policy.text.jsontext import MAX_DEPTH
from pktui.strict_json import Reader
from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.background import in_thread
from pktui.tui.cells import fit
from pktui.tui.context import Context, context_of
from pktui.tui.document import Line
from pktui.tui.screens.ask import AskScreen
from pktui.tui.screens.edit import EditScreen
from pktui.tui.theme import ink_of
from pktui.tui.turns import Turns
from pktui.tui.undo_history import UndoStep
from pktui.tui.views.policies import rule
from pktui.tui.views.policies.draw import change_lines
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.tui.services import Services
    from pktui.tui.views.base import View
    from pktui.tui.views.policies.rule import Draft, Example, Figured

Reach = Literal["rule", "hour", "connection"]
REACHES: dict[Reach, str] = {
    "rule": "every agent, until I take it back: a rule in the policy",
    "hour": "this agent, for one hour",
    "connection": "this agent, until it disconnects",
}
HOUR_US = 3_600_000_000
_NAME, _WORDS = 14, 13
_NEAR = 200
_MOST_HOLES = 8
_TYPED = Reader(depth=MAX_DEPTH)


@dataclass(frozen=True, slots=True)
class Sentence:
    """What was chosen. `draft` is the rule, where it is one."""

    example: Example
    conditions: str
    reach: Reach
    draft: Draft | None


class SentenceScreen(EditScreen["Sentence | None"]):
    """Gives the sentence to be made true, `None` at escape."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("sentence")]
    FIRST = Rows

    def __init__(self, services: Services, example: Example) -> None:
        tool = f"{one_line(example.server, 40)}.{one_line(example.tool, 80)}"
        keys = ("sentence.next", "sentence.own", "sentence.reach", "sentence.write",
                "sentence.leave")  # fmt: skip
        super().__init__(f"Allow {tool} when", "Other calls of it are asked about as before.", keys)
        self._services, self._example = services, example
        self._holes = example.holes
        self._reach: Reach = "rule"
        self._turns = Turns(self._figure)
        self._figured: Figured | None = None

    def compose(self) -> ComposeResult:
        """Lay out the holes over what they would have answered and the change."""
        ink = ink_of(self.app)
        with Vertical(classes="edit"):
            yield Static(Text(self._title, style=ink.bold), classes="title", markup=False)
            yield Rows[Hole](
                ListSource(self._holes), draw_hole, glyphs=context_of(self).glyphs,
                id="sentence-holes",
            )  # fmt: skip
            yield Static(id="sentence-reach", markup=False)
            yield DocumentView()
            yield Static(classes="foot", id="edit-foot", markup=False)

    def on_mount(self) -> None:
        """Start at the first hole."""
        rows = self.query_one(Rows)
        rows.styles.height = min(_MOST_HOLES, max(1, len(self._holes)))
        self._show_reach()
        self.show_wait("looking at what was asked…")
        self._turns.ask()
        self.quiet_changed()

    @property
    def rows_above(self) -> int:
        """The holes, for whom, and the rows between."""
        holes = min(_MOST_HOLES, max(1, len(self._holes)))
        return holes + (0 if self.short else 2)

    def _show_reach(self) -> None:
        ink, reach = ink_of(self.app), Text()
        reach.append("for ".rjust(6), style=ink.dim)
        reach.append(REACHES[self._reach], style=ink.text)
        self.query_one("#sentence-reach", Static).update(reach)

    def _figure(self) -> None:
        conditions = conditions_of(self._holes)
        work = partial(rule.figure, self._services, self._example, conditions)
        in_thread(self, work, partial(self._take, conditions), self._failed, group="sentence")

    def _take(self, conditions: str, figured: Figured) -> None:
        if conditions == conditions_of(self._holes):  # else another answer is on its way
            self._figured = figured
            self.show_change(tuple(self._told(figured)))
        self._turns.done()

    def _failed(self, error: PktuiError) -> None:
        self._figured = None
        self.show_wait(str(error))
        self._turns.done()

    def _told(self, figured: Figured) -> Iterator[Line]:
        found, glyphs = figured.answered, context_of(self).glyphs
        asked = f"{found.count:,} of the last {found.of:,} asks"
        yield Line(f"would have answered {asked}" if found.of else "nobody was asked yet", "strong")
        for example in found.examples:
            text = one_line(json.dumps(example, ensure_ascii=False), _NEAR)
            yield Line(text, "key", f"{glyphs.allowed} ", "good")
        if found.near:
            near = f"next to it, still asked: {one_line(found.near, _NEAR)} ({found.why})"
            yield Line(near, "key", f"{glyphs.waiting} ", "number")
        yield Line("")
        if self._reach != "rule":
            yield Line("an answer that stands; s in Approvals lists it, x takes it back", "note")
        elif figured.problem:
            yield Line(one_line(figured.problem, 600), "warning")
        elif figured.draft is not None and figured.draft.edit.changed:
            yield from change_lines(figured.draft.edit)
        else:
            yield Line("the policy says so already", "note")

    # Keys

    def _change(self, hole: Hole) -> None:
        rows = self.query_one(Rows)
        at = rows.cursor
        self._holes = (*self._holes[:at], hole, *self._holes[at + 1 :])
        self._figured = None
        rows.show(ListSource(self._holes), cursor=at)
        self._turns.ask()

    def action_next(self) -> None:
        """Let another thing stand in the hole under the cursor."""
        hole = self.query_one(Rows).current
        if isinstance(hole, Hole):
            self._change(hole.choose(hole.chosen + 1))

    def action_before(self) -> None:
        """Go back to what stood in the hole before."""
        hole = self.query_one(Rows).current
        if isinstance(hole, Hole):
            self._change(hole.choose(hole.chosen - 1))

    def action_own(self) -> None:
        """Write the value of the hole under the cursor."""
        hole = self.query_one(Rows).current
        if not isinstance(hole, Hole) or not hole.choice.op:
            context_of(self).say("anything may stand there; space chooses something narrower")
            return

        def answer(text: str | None) -> None:
            if text is not None:
                self._change(hole.put(with_value(hole.choice, text)))

        title = f"{one_line(hole.name, 60)} {hole.choice.words}"
        about = "What may stand there. Lists and numbers as JSON."
        context_of(self).ask(
            AskScreen(title, about, value=one_line(hole.choice.shown, 2_000), enter="take"), answer
        )

    def action_reach(self) -> None:
        """Choose for whom and until when."""
        if self._example.approval is None:
            context_of(self).say("it is a rule for every agent: only a call that waits can be "
                                 "answered for its agent alone")  # fmt: skip
            return
        names = tuple(REACHES)
        self._reach = names[(names.index(self._reach) + 1) % len(names)]
        self._show_reach()
        if self._figured is not None:
            self.show_change(tuple(self._told(self._figured)))

    def action_write(self) -> None:
        """Make it true."""
        figured = self._figured
        if figured is None or (self._reach == "rule" and figured.draft is None):
            context_of(self).say("there is nothing to write yet: no such rule can be made")
        elif self.is_answered():
            conditions = conditions_of(self._holes)
            self.dismiss(Sentence(self._example, conditions, self._reach, figured.draft))

    def action_leave(self) -> None:
        """Make nothing."""
        self.dismiss(None)


def draw_hole(hole: Hole, pen: Pen) -> Sequence[Sequence[Run]]:
    """Draw a part of the sentence: `command  starts with  pytest *`."""
    ink, choice = pen.ink, hole.choice
    room = max(0, pen.width - _NAME - _WORDS - 2)
    style = ink.dim if not choice.op else ink.text
    return [[
        (fit(one_line(hole.name, 60), _NAME), ink.info),
        (fit(choice.words, _WORDS), ink.accent if choice.op else ink.dim),
        (fit(one_line(choice.shown, 400), room), style),
        (f" {pen.glyphs.more}" if len(hole.choices) > 1 else "", ink.faint),
    ]]  # fmt: skip


def with_value(choice: Choice, text: str) -> Choice:
    """Return the choice with what was typed: a list's members, a number, or the text itself."""
    if choice.op in ("in", "within"):
        read = _read(text)
        return replace(choice, value=read if isinstance(read, list) else [read])
    if isinstance(choice.value, (int, float)) and not isinstance(choice.value, bool):
        return replace(choice, value=_read(text))
    return replace(choice, value=text)


def _read(text: str) -> Any:
    """Return what JSON stands for, else the text itself."""
    try:
        return _TYPED.read(text)
    except ValueError:
        return text


class Rules:
    """Makes rules from calls that are over; `written` is called once one stands."""

    def __init__(self, view: View) -> None:
        self._view = view

    @cached_property
    def _console(self) -> Context:
        return self._view.console

    def make(self, example: Example) -> None:
        """Show the sentence, and write what was made of it."""

        def answer(sentence: Sentence | None) -> None:
            if sentence is not None and sentence.draft is not None:
                self._console.undo_stack.begin()
                self._write(sentence.draft)

        if not self._console.refuse_read_only():
            self._console.ask(SentenceScreen(self._view.services, example), answer)

    def _write(self, draft: Draft, pin: str = "") -> None:
        self._view.in_thread(
            lambda: rule.write(self._view.services, draft, pin),
            lambda _: self._written(draft), partial(self._failed, draft), group="rule",
        )  # fmt: skip

    def _written(self, draft: Draft) -> None:
        services, tool = self._view.services, one_line(draft.example.tool, 80)
        if draft.edit.changed:
            step = UndoStep(
                f"the rule for {tool}", lambda: rule.take_back(services, draft), self._console.beat
            )
            self._console.undo_stack.push(step)
        self._console.undo_stack.end()
        self._console.say(f"written: {one_line(draft.edit.summary, 200)}; u takes it back")

    def _failed(self, draft: Draft, error: PktuiError) -> None:
        if not isinstance(error, PinError):
            self._console.undo_stack.end()
            self._console.say_error(error)
            return

        def answer(pin: str | None) -> None:
            if pin is None:
                self._console.undo_stack.end()
            else:
                self._write(draft, pin)

        title = f"PIN to let agents do more on {one_line(draft.example.server, 60)}"
        self._console.ask(AskScreen(title, str(error), enter="write", password=True), answer)
