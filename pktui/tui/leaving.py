"""`q` and `ctrl+c`: leave the console, and ask first where drafts would be lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.widgets import Input

from pktui.text import one_line
from pktui.tui.context import context_of

if TYPE_CHECKING:
    from textual.app import App

SECOND_PRESS_SECONDS = 2.0


class Leaving:
    """Ends the app, when it is meant."""

    def __init__(self, app: App[int]) -> None:
        self._app, self._console = app, context_of(app)
        self._pressed_at = float("-inf")

    def leave(self) -> None:
        """Leave; drafts that would be lost are asked about first."""
        if self._console.keyboard.in_a_run():
            self._console.say("q came with other keys, as a paste does; press it alone to leave")
            return
        if not self._console.drafts.total:
            self._app.exit(0)
            return
        from pktui.tui.screens.confirm import ConfirmScreen

        def answer(yes: bool | None) -> None:
            if yes:
                self._app.exit(0)

        title = f"Leave, and lose {self._unwritten()}?"
        about = f"They are in no file: w in Policies writes them. {self._drafted()}"
        self._console.ask(ConfirmScreen(title, about, yes="Leave"), answer)

    def interrupt(self) -> None:
        """Copy what is selected; else leave at the second press."""
        focused = self._app.focused
        selected = focused.selected_text if isinstance(focused, Input) else None
        selected = selected or self._app.screen.get_selected_text()
        if selected:
            self._app.copy_to_clipboard(selected)
            return
        now = time.monotonic()
        if now - self._pressed_at <= SECOND_PRESS_SECONDS:
            self._app.exit(0)
            return
        self._pressed_at = now
        lost = f"; {self._unwritten()} would be lost" if self._console.drafts.total else ""
        self._console.say(f"press ctrl+c once more to leave{lost}", seconds=SECOND_PRESS_SECONDS)

    def _unwritten(self) -> str:
        total = self._console.drafts.total
        return f"{total} {'draft' if total == 1 else 'drafts'}"

    def _drafted(self) -> str:
        drafts = self._console.drafts
        summaries = (
            f"{one_line(server, 40)}.{one_line(draft.summary, 60)}"
            for server in drafts.servers
            for draft in drafts.of(server)
        )
        return "; ".join(summaries)
