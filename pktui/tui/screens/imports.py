"""Bringing sessions in: the agents, how far and how fast each import is, and keys that end it."""

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
from pktui.tui.progress import Pace
from pktui.tui.theme import ink_of
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pktui.errors import PktuiError
    from pktui.memory.interchange import ImportProgress


def _pace(far: ImportProgress, span_us: int) -> Pace:
    known = f", {far.known:,} known" if far.known else ""
    words = f"{far.taken:,} taken in{known}"
    return Pace(far.done, far.whole, far.taken + far.known, words, span_us)


class Imports(ModalScreen[None]):
    """One agent a row; an import that runs goes on until it ends or escape is pressed."""

    BINDINGS: ClassVar = [Binding("escape", "leave", "leave"), Binding("x", "stop", "stop")]

    def __init__(self) -> None:
        super().__init__()
        self._said = dict.fromkeys(AGENTS, "")
        self._imports: dict[str, Import] = {}
        self._far: dict[str, Pace] = {}

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        ink = ink_of(self.app)
        with Vertical(id="actions"):
            yield Static(Text("bring an agent's own sessions in", style=ink.bold), markup=False)
            yield Rows(ListSource(list(AGENTS)), self._draw, row_height=2,
                       glyphs=context_of(self).glyphs, id="actions-rows")  # fmt: skip
            keys = "enter brings them in   x ends it   esc ends what runs, then leaves"
            foot = Text(keys, style=ink.dim)
            yield Static(foot, classes="foot", markup=False)

    def on_mount(self) -> None:
        """Go through the list at once."""
        focus_now(self.query_one(Rows))

    def _draw(self, agent: str, pen: Pen) -> Sequence[Sequence[Run]]:
        ink, running = pen.ink, agent in self._imports
        if (far := self._far.get(agent)) is not None:
            return [[(AGENTS[agent], ink.bold)], far.draw(pen)]
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

        clock = context.services.clock
        began_us = clock()

        def tell(told: ImportProgress | str) -> None:
            self.app.call_from_thread(self._hear, agent, told, clock() - began_us)

        def failed(error: PktuiError) -> None:
            self._end(agent, f"failed: {error}")

        in_thread(
            self, lambda: run.run(tell), lambda said: self._end(agent, said), failed,
            group=f"import-{agent}",
        )  # fmt: skip

    def _hear(self, agent: str, told: ImportProgress | str, span_us: int) -> None:
        if isinstance(told, str):
            self._say(agent, told)
        else:
            self._far[agent] = _pace(told, span_us)
            self._say(agent, "")

    def _end(self, agent: str, said: str) -> None:
        del self._imports[agent]
        self._far.pop(agent, None)
        self._say(agent, said)

    def _say(self, agent: str, said: str) -> None:
        self._said[agent] = said
        for rows in self.query(Rows):  # none once it was left
            rows.refresh()

    def action_stop(self) -> None:
        """End the import of the agent under the cursor."""
        agent = self.query_one(Rows).current
        run = self._imports.get(agent) if isinstance(agent, str) else None
        if run is None:
            context_of(self).say("nothing is brought in of that agent now")
        else:
            run.cancel()

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
