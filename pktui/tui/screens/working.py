"""Work that takes long, over the view: its bar, its rate, and the key that ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

from rich.text import Text
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from pktui.text import visible
from pktui.tui.background import in_thread
from pktui.tui.context import context_of
from pktui.tui.progress import Cancelled, Pace, Progress
from pktui.tui.theme import ink_of
from pktui.tui.widgets.rows import Pen

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from pktui.errors import PktuiError

T = TypeVar("T")
# What ends sooner shows no screen, and how often the bar is drawn.
MOMENT_SECONDS = 0.3
DRAW_SECONDS = 0.2
_WIDTH = 60


class Working(ModalScreen[None]):
    """Shows how far it is until it ends or escape is pressed."""

    BINDINGS: ClassVar = [Binding("escape,ctrl+c", "cancel", "cancel")]

    def __init__(self, title: str, things: str, progress: Progress, began_us: int) -> None:
        super().__init__()
        self._title, self._things, self._progress = visible(title), things, progress
        self._began_us = began_us
        self._shown_at = 0.0
        self._over = False

    def compose(self) -> ComposeResult:
        """Lay out the bar between what is done and the key."""
        ink = ink_of(self.app)
        with Vertical(id="confirm"):
            yield Static(Text(self._title, style=ink.bold), classes="title", markup=False)
            yield Static(classes="about", id="working-bar", markup=False)
            yield Static(Text("esc cancels it", style=ink.dim), classes="foot", markup=False)

    def on_mount(self) -> None:
        """Draw, and go on drawing."""
        self._shown_at = time.monotonic()
        self.set_interval(DRAW_SECONDS, self._draw)
        self._draw()

    def _draw(self) -> None:
        far, console = self._progress, context_of(self)
        span_us = console.services.clock() - self._began_us
        pace = Pace(far.done, far.whole, far.done, f"{far.done:,} {self._things}", span_us)
        pen = Pen(_WIDTH, ink_of(self.app), console.glyphs, under_cursor=False)
        self.query_one("#working-bar", Static).update(Text.assemble(*pace.draw(pen)))

    def action_cancel(self) -> None:
        """End it; a key that was typed before this screen was there meant another thing."""
        if time.monotonic() - context_of(self).keyboard.age() >= self._shown_at:
            self._progress.cancel()

    def end(self) -> None:
        """Leave, now or as soon as nothing is over it."""
        self._over = True
        if self.is_active:
            self.dismiss(None)

    def on_screen_resume(self) -> None:
        """Leave where the work ended meanwhile."""
        if self._over:
            self.dismiss(None)

    def on_unmount(self) -> None:
        """Leave nothing running behind."""
        self._progress.cancel()


def with_bar(
    view: Widget,
    title: str,
    things: str,
    work: Callable[[Progress], T],
    done: Callable[[T], object],
    failed: Callable[[PktuiError], object],
    *,
    group: str,
) -> None:
    """Run `work` in a thread, its bar over the view once it takes longer than a moment.

    `things` is what it counts. That it was cancelled is said.
    """
    progress, app = Progress(), view.app
    screen = Working(title, things, progress, context_of(view).services.clock())

    def show() -> None:
        if view.is_on_screen and not app.screen.is_modal:  # else the last line says it
            app.push_screen(screen)

    shown = view.set_timer(MOMENT_SECONDS, show)

    def ended() -> None:
        shown.stop()
        if screen in app.screen_stack:
            screen.end()

    def succeed(result: T) -> None:
        ended()
        done(result)

    def fail(error: PktuiError) -> None:
        ended()
        if isinstance(error, Cancelled):
            context_of(view).say(str(error))
        else:
            failed(error)

    in_thread(view, lambda: work(progress), succeed, fail, group=group, saying=title)
