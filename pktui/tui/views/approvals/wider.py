"""How much further than one call an answer is to reach: the dialog that asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.cells import cell_len
from rich.text import Text
from textual.containers import Vertical
from textual.reactive import reactive
from textual.widgets import Static

from pktui.policy.globs import is_pattern
from pktui.tui.actions import BY_ID, bindings
from pktui.tui.cells import fit
from pktui.tui.context import context_of
from pktui.tui.screens.question import Question
from pktui.tui.theme import ink_of
from pktui.tui.views.approvals.draw import agent_name, client_name, tool_name
from pktui.tui.widgets.bar import GAP, Bar, Part

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.ledger.records import Approval

Kind = Literal["connection", "time", "rule"]
MINUTES = 30
STEPS = (5, 15, 30, 60, 120, 240, 480, 1440)
MOST = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Choice:
    """What the person chose; `minutes` counts for a time, `exact` for all but a rule."""

    kind: Kind
    minutes: int
    exact: bool


class Option(Bar):
    """One answer with its key; it can be clicked and goes the same guarded way."""

    def __init__(self, action_id: str, words: Callable[[], str], note: str = "") -> None:
        super().__init__(classes="option")
        self._action, self._words, self._note = BY_ID[action_id], words, note

    def left(self) -> Sequence[Part]:
        """Return the key and what it allows."""
        ink, keys = ink_of(self.app), context_of(self).keymap.shown(self._action)
        run = f"screen.{self._action.command}"
        room = self.size.width - GAP - cell_len(keys) - 2
        return (
            Part(f"{keys}  ", ink.accent, run),
            Part(fit(self._words(), room).rstrip(), ink.text, run),
            Part(f"  {self._note}", ink.dim),
        )


class WiderScreen(Question[Choice | None]):
    """Gives the choice, `None` at escape. Enter chooses nothing, and no key in the first moment."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("wider")]

    minutes: reactive[int] = reactive(MINUTES)
    exact: reactive[bool] = reactive(False)

    def __init__(self, approval: Approval, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._approval = approval
        self._typing = False

    def compose(self) -> ComposeResult:
        """Lay out the answers, each with its key."""
        ink, approval = ink_of(self.app), self._approval
        agent = agent_name(approval)
        about = f"For {client_name(approval)}. A rule that denies still denies."
        with Vertical(id="wider"):
            title = f"Allow {tool_name(approval)} for longer"
            yield Static(Text(title, style=ink.bold), classes="title", markup=False)
            yield Static(Text(about, style=ink.dim), classes="about", markup=False)
            yield Option("wider.connection", lambda: f"until {agent} disconnects, a day at most")
            yield Option("wider.time", self._time_words, "digits or + - change it")
            if not is_pattern(approval.tool):
                yield Option("wider.rule", lambda: "as a rule, for all who call", "shows it first")
            yield Option("wider.exact", self._exact_words, "counts for the first two")
            yield Static(classes="foot", id="wider-foot", markup=False)

    def on_mount(self) -> None:
        """Say that keys do nothing yet."""
        self.quiet_changed()

    def watch_minutes(self) -> None:
        """Draw the time anew."""
        self._redraw()

    def watch_exact(self) -> None:
        """Draw the mark anew."""
        self._redraw()

    def on_key(self, event: events.Key) -> None:
        """Take digits for the minutes."""
        digit = event.character or ""
        if digit.isdecimal() and digit.isascii():
            event.stop()
            typed = f"{self.minutes}{digit}" if self._typing else digit
            self._typing = True
            self.minutes = max(1, min(MOST, int(typed)))

    def action_connection(self) -> None:
        """Allow until the client disconnects."""
        self._choose("connection")

    def action_time(self) -> None:
        """Allow for the minutes shown."""
        self._choose("time")

    def action_rule(self) -> None:
        """Go on to the rule, which is shown before it is written."""
        if is_pattern(self._approval.tool):
            context_of(self).say("this name would make it a rule for other tools as well")
            return
        self._choose("rule")

    def action_exact(self) -> None:
        """Switch between any arguments and exactly these."""
        self.exact = not self.exact

    def action_longer(self) -> None:
        """Take the next longer time."""
        self._typing = False
        self.minutes = next((step for step in STEPS if step > self.minutes), self.minutes)

    def action_shorter(self) -> None:
        """Take the next shorter time."""
        self._typing = False
        self.minutes = next((step for step in STEPS[::-1] if step < self.minutes), self.minutes)

    def action_leave(self) -> None:
        """Leave it undecided."""
        self.dismiss(None)

    def _choose(self, kind: Kind) -> None:
        if not self.counts():
            self.wait_out()
            return
        self.dismiss(Choice(kind, self.minutes, self.exact))

    def _exact_words(self) -> str:
        sign = context_of(self).glyphs.allowed
        return f"{sign} arguments: exactly these" if self.exact else "arguments: any"

    def _time_words(self) -> str:
        return f"for {self.minutes} minute{'' if self.minutes == 1 else 's'}"

    def _redraw(self) -> None:
        for option in self.query(Option):
            option.refresh()

    def quiet_changed(self) -> None:
        """Say whether keys count."""
        ink, foot = ink_of(self.app), Text()
        if self.quiet:
            foot.append("a moment, read first   ", style=ink.wait)
        keys = context_of(self).keymap.shown(BY_ID["wider.leave"])
        foot.append(f"{keys} ", style=ink.accent).append("leave", style=ink.dim)
        self.query_one("#wider-foot", Static).update(foot)
