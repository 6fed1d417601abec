"""Bringing sessions in: the agents, how far each import is, and a key that ends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from pktui.tui.background import in_thread
from pktui.tui.context import context_of
from pktui.tui.focus import focus_now
from pktui.tui.importing import AGENTS, Import
from pktui.tui.theme import ink_of
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pktui.errors import PktuiError


class Imports(ModalScreen[None]):
    """One agent a row; an import that runs goes on until it ends or escape is pressed."""

    BINDINGS: ClassVar = [Binding("escape", "leave", "leave")]

    def __init__(self) -> None:
        super().__init__()
        self._said = dict.fromkeys(AGENTS, "")
        self._imports: dict[str, Import] = {}

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        ink = ink_of(self.app)
        with Vertical(id="actions"):
            yield Static(Text("bring an agent's own sessions in", style=ink.bold), markup=False)
            yield Rows(ListSource(list(AGENTS)), self._draw, row_height=2,
                       glyphs=context_of(self).glyphs, id="actions-rows")  # fmt: skip
            foot = Text("enter brings them in   esc ends what runs, then leaves", style=ink.dim)
            yield Static(foot, classes="foot", markup=False)

    def on_mount(self) -> None:
        """Go through the list at once."""
        focus_now(self.query_one(Rows))

    def _draw(self, agent: str, pen: Pen) -> Sequence[Sequence[Run]]:
        ink, running = pen.ink, agent in self._imports
        said = self._said[agent] or "its sessions are read where it keeps them; nothing is changed"
        style = ink.info if running else ink.text if self._said[agent] else ink.faint
        return [[(AGENTS[agent], ink.bold)], [(said, style)]]

    @on(Rows.Chosen)
    def _begin(self, message: Rows.Chosen) -> None:
        message.stop()
        agent: str = message.item
        context = context_of(self)
        if agent in self._imports or context.refuse_read_only():
            return
        run = self._imports[agent] = Import(context.services.paths, agent)
        self._say(agent, "starting…")

        def tell(line: str) -> None:
            self.app.call_from_thread(self._say, agent, line)

        def failed(error: PktuiError) -> None:
            self._end(agent, f"failed: {error}")

        in_thread(
            self, lambda: run.run(tell), lambda said: self._end(agent, said), failed,
            group=f"import-{agent}",
        )  # fmt: skip

    def _end(self, agent: str, said: str) -> None:
        del self._imports[agent]
        self._say(agent, said)

    def _say(self, agent: str, said: str) -> None:
        self._said[agent] = said
        if self.is_mounted:
            self.query_one(Rows).refresh()

    def action_leave(self) -> None:
        """End what runs; leave where nothing does."""
        if not self._imports:
            self.dismiss(None)
        for run in self._imports.values():
            run.cancel()

    def on_unmount(self) -> None:
        """Leave no import behind."""
        for run in self._imports.values():
            run.cancel()
