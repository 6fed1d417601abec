"""A waiting call with other arguments: a form of its tool's arguments, and what changes by it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.containers import Vertical
from textual.widgets import Static

from pktui.errors import ApprovalError, UsageError
from pktui.ledger.arguments.canonical import json_text
from pktui.policy.argument_edits import Field, drop_value, fields_of, set_value, written
from pktui.policy.values import MISSING
from pktui.text import one_line, visible
from pktui.tui.actions import bindings
from pktui.tui.arguments import argument_lines
from pktui.tui.background import in_thread
from pktui.tui.cells import fit
from pktui.tui.context import context_of
from pktui.tui.document import Line, Tone
from pktui.tui.screens.ask import AskScreen
from pktui.tui.screens.edit import EditScreen
from pktui.tui.theme import ink_of
from pktui.tui.turns import Turns
from pktui.tui.views.approvals.draw import tool_name
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.errors import PktuiError
    from pktui.insight.redeciding import Redeciding
    from pktui.tui.services import Services

_NAME, _KIND = 18, 16
# Rows of the form; more are scrolled to.
_MOST_ROWS = 8


@dataclass(frozen=True, slots=True)
class _Row:
    """An argument in the form; `changed`: it is not as the agent gave it."""

    field: Field
    changed: bool


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is known of arguments: the policy's word, what differs, and whether they may run."""

    arguments: Mapping[str, Any]
    told: Line
    lines: Sequence[Line]
    allowable: bool


class ChangeScreen(EditScreen["Mapping[str, Any] | None"]):
    """Gives the arguments that the call is to be allowed with, `None` at escape.

    They are allowed only as they were shown, with all that differs, and only where the policy,
    asked again, does not refuse them. Enter allows nothing: it opens an argument.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("change")]
    TO_THE_END = True
    FIRST = Rows

    def __init__(self, services: Services, call: Redeciding) -> None:
        keys = ("change.edit", "change.drop", "change.restore", "change.allow", "change.leave")
        about = "The agent reads that you changed it. The record keeps both."
        super().__init__(f"Change {tool_name(call.approval)}, then allow it once", about, keys)
        self._services = services
        self._call = call
        self._arguments: Mapping[str, Any] = self._call.arguments
        self._turns = Turns(self._ask_policy)
        # The arguments that are shown and that the policy does not refuse.
        self._allowable: Mapping[str, Any] | None = None

    def compose(self) -> ComposeResult:
        """Lay out the form over what changes."""
        ink = ink_of(self.app)
        with Vertical(classes="edit"):
            yield Static(Text(self._title, style=ink.bold), classes="title", markup=False)
            yield Static(Text(self._about, style=ink.dim), classes="about", markup=False)
            yield Rows[_Row](
                ListSource(self._rows()), _draw_row, glyphs=context_of(self).glyphs,
                id="change-fields",
            )  # fmt: skip
            yield DocumentView()
            yield Static(classes="foot", id="edit-foot", markup=False)

    def on_mount(self) -> None:
        """Start at the first argument."""
        rows = self.query_one(Rows)
        rows.styles.height = self.rows_above - 2
        self._turns.ask()
        self.quiet_changed()

    @property
    def rows_above(self) -> int:
        """The form, and the rows around it."""
        return min(_MOST_ROWS, max(1, len(self._rows()))) + 2

    def _rows(self) -> tuple[_Row, ...]:
        before = self._call.arguments
        return tuple(
            _Row(field, _text(field.value) != _text(before.get(field.name, MISSING)))
            for field in fields_of({**before, **self._arguments}, self._call.definition)
            for field in (_with(field, self._arguments),)
        )

    def _take(self, arguments: Mapping[str, Any]) -> None:
        rows = self.query_one(Rows)
        self._arguments, self._allowable = arguments, None
        rows.show(ListSource(self._rows()), cursor=rows.cursor)
        self._turns.ask()

    # What changes

    def _ask_policy(self) -> None:
        work = partial(self._look_at, self._arguments)
        in_thread(self, work, self._show, self._failed, group="change")

    def _look_at(self, arguments: Mapping[str, Any]) -> _Looked:
        """Ask the policy and compare. Blocks."""
        services, lines = self._services, tuple(_difference(self._call.arguments, arguments))
        try:
            layers = services.layers_of(self._call.approval.server)
            verdict = self._call.check(
                services.ledger, services.paths, services.settings, layers, arguments
            )
        except ApprovalError as error:
            return _Looked(arguments, Line(one_line(str(error), 600), "warning"), lines, False)
        if not lines:
            said = "nothing is changed yet: enter opens an argument"
            return _Looked(arguments, Line(said, "note"), lines, False)
        said = "would let it run unasked" if verdict.effect == "allow" else "asks, and you answer"
        told = Line(f"the policy {said}: {one_line(verdict.rule, 120)}", "note")
        return _Looked(arguments, told, lines, True)

    def _show(self, looked: _Looked) -> None:
        if looked.arguments is self._arguments:  # else another look is on its way
            self._allowable = self._arguments if looked.allowable else None
            self.show_change((looked.told, *looked.lines), anew=True)
        self._turns.done()

    def _failed(self, error: PktuiError) -> None:
        self.show_change((Line(one_line(str(error), 600), "warning"),), anew=True)
        self._turns.done()

    # Keys

    @on(Rows.Chosen, "#change-fields")
    def _chosen(self, message: Rows.Chosen) -> None:
        message.stop()
        self.action_edit()

    def action_edit(self) -> None:
        """Type another value for the argument under the cursor."""
        row = self.query_one(Rows).current
        if not isinstance(row, _Row):
            context_of(self).say("the tool takes no arguments")
            return
        field = row.field
        escaped = _is_escaped(field.value)

        def changed(text: str) -> Mapping[str, Any]:
            plain = _unescaped(text) if escaped else text
            return set_value(self._arguments, field.path, plain, self._call.definition)

        def check(text: str) -> str:
            try:
                changed(text)
            except UsageError as error:
                return str(error)
            return ""

        def answer(text: str | None) -> None:
            if text is not None:
                self._take(changed(text))

        wants = "text as JSON has it, in quotes" if escaped else field.wants
        about = " ".join(filter(None, (f"{wants}.", one_line(field.description, 200))))
        value = json.dumps(field.value) if escaped else written(field.value)
        title = f"{one_line(field.name, 60)}{' (required)' if field.required else ''}"
        context_of(self).ask(
            AskScreen(title, about, value=value, enter="take", check=check), answer
        )

    def action_drop(self) -> None:
        """Leave the argument under the cursor out."""
        row = self.query_one(Rows).current
        if isinstance(row, _Row):
            try:
                self._take(drop_value(self._arguments, row.field.path, self._call.definition))
            except UsageError as error:
                context_of(self).say(str(error))

    def action_restore(self) -> None:
        """Put back what the agent gave for the argument under the cursor."""
        row = self.query_one(Rows).current
        if isinstance(row, _Row) and row.changed:
            name, before = row.field.name, self._call.arguments
            names = dict.fromkeys((*before, *self._arguments))
            merged = {**self._arguments, **({name: before[name]} if name in before else {})}
            if name not in before:
                del merged[name]
            self._take({one: merged[one] for one in names if one in merged})

    def action_allow(self) -> None:
        """Allow the call as it is shown."""
        if self._allowable is None:
            same = self._arguments == self._call.arguments
            context_of(self).say("nothing is changed: esc, then a allows the call as it is" if same
                                 else "it is not known yet whether the policy lets this run"
                                 )  # fmt: skip
        elif self.is_answered():
            self.dismiss(self._allowable)

    def action_leave(self) -> None:
        """Leave the call undecided."""
        self.dismiss(None)


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Line]:
    tones: dict[str, Tone] = {"+": "added", "-": "removed"}
    diff = difflib.unified_diff(_laid_out(before), _laid_out(after), n=2, lineterm="")
    for line in islice(diff, 2, None):
        if not line.startswith("@@"):
            tone = tones.get(line[:1], "key")
            yield Line(line[1:], tone, f"{line[:1]} ", tone)


def _laid_out(arguments: Mapping[str, Any]) -> list[str]:
    """Return the arguments in lines that are safe to show, texts in lines of their own."""
    return [f"{line.lead}{line.text}" for line in argument_lines(json_text(arguments))]


def _with(field: Field, arguments: Mapping[str, Any]) -> Field:
    return Field(
        field.name, field.kinds, field.required, field.description,
        arguments.get(field.name, MISSING), field.choices,
    )  # fmt: skip


def _text(value: Any) -> str:
    return "" if value is MISSING else f"={written(value)}{type(value).__name__}"


def _is_escaped(value: Any) -> bool:
    """Tell whether a text cannot be typed as it is: it has line breaks, or what is not seen."""
    return isinstance(value, str) and (visible(value) != value or len(value.splitlines()) > 1)


def _unescaped(text: str) -> str:
    """Return the text that a JSON string stands for; anything else stands for itself."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def _draw_row(row: _Row, pen: Pen) -> Sequence[Sequence[Run]]:
    ink, field = pen.ink, row.field
    given = field.value is not MISSING
    text = written(field.value) if given else "left out"
    name = f"{one_line(field.name, 60)}{' *' if field.required else ''}"
    room = max(0, pen.width - _NAME - _KIND - 2)
    value = ink.accent if row.changed else ink.text if given else ink.faint
    return [[
        (fit(name, _NAME), ink.info),
        (f"{fit(one_line(field.wants, 60), _KIND)}  ", ink.dim),
        (fit(one_line(text, 400), room), value),
    ]]  # fmt: skip
