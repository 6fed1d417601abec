"""What a tool may do, chosen on its row: one letter each, and only while the choice is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.containers import Vertical
from textual.geometry import Offset, Region
from textual.screen import ModalScreen

from pktui.text import one_line
from pktui.tui.actions import BY_ID, bindings
from pktui.tui.cells import fit
from pktui.tui.context import context_of
from pktui.tui.theme import ink_of
from pktui.tui.views.policies.draw import MEANING, WORDS, sign_of
from pktui.tui.widgets.bar import GAP, Bar, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.insight.overview import ToolState
    from pktui.policy.effective import EffectiveAction

CHOICES: dict[EffectiveAction, str] = {
    "allow": "chooser.allow",
    "approve": "chooser.ask",
    "deny": "chooser.deny",
    "hide": "chooser.hide",
}
# Cells and rows of the choice with its border.
WIDTH, HEIGHT = 60, 6


class ChoiceLine(Bar):
    """One thing a tool may do, with its key; it can be clicked."""

    def __init__(self, action: EffectiveAction, mark: str) -> None:
        super().__init__(classes="choice")
        self._action: EffectiveAction = action
        self._mark = mark

    def left(self) -> Sequence[Part]:
        """Return the key, the state and what it means."""
        ink, console = ink_of(self.app), context_of(self)
        choice = BY_ID[CHOICES[self._action]]
        sign, style = sign_of(self._action, console.glyphs, ink)
        run = f"screen.{choice.command}"
        key, state = f" {console.keymap.shown(choice)}  ", f"{sign} {fit(WORDS[self._action], 6)}"
        words = f"{self._mark}: " * bool(self._mark) + MEANING[self._action]
        room = self.size.width - GAP - cell_len(key) - cell_len(state)
        return (
            Part(key, ink.accent, run),
            Part(state, style, run),
            Part(fit(words, room), ink.text if self._mark else ink.dim, run),
        )


class ChooserScreen(ModalScreen["EffectiveAction | None"]):
    """Gives what was chosen, `None` at escape. It drafts, so it needs no time to be read."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("chooser")]

    def __init__(self, tool: ToolState, drafted: EffectiveAction | None, row: Region) -> None:
        """`row` is where on the screen the tool is."""
        super().__init__()
        self._tool = tool
        self._drafted = drafted
        self._row = row

    def compose(self) -> ComposeResult:
        """Lay out the states, the present one marked."""
        with Vertical(id="chooser") as box:
            box.border_title = one_line(self._tool.name, WIDTH - 8).replace("[", "(")
            box.styles.offset = self._place()
            for action in CHOICES:
                yield ChoiceLine(action, self._mark(action))

    def _mark(self, action: EffectiveAction) -> str:
        marks = ("now" if action == self._tool.ruled else "", "draft" * (action == self._drafted))
        return ", ".join(filter(None, marks))

    def _place(self) -> Offset:
        """Return where it goes: under the row, above it where there is no room, never outside."""
        width, height = self.app.size
        below = self._row.bottom
        y = below if below + HEIGHT <= height else max(0, self._row.y - HEIGHT)
        return Offset(max(0, min(self._row.x + 2, width - WIDTH)), y)

    def action_allow(self) -> None:
        """Let its calls run."""
        self.dismiss("allow")

    def action_ask(self) -> None:
        """Let a person decide each call."""
        self.dismiss("approve")

    def action_deny(self) -> None:
        """Refuse its calls."""
        self.dismiss("deny")

    def action_hide(self) -> None:
        """Leave it out of lists."""
        self.dismiss("hide")

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)
