"""Changes sessions: asks, does it in a thread, says what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pktui.tui.screens.working import with_bar
from pktui.tui.tmux import open_window
from pktui.tui.undo_history import UndoStep
from pktui.tui.views.sessions import changes, questions
from pktui.tui.views.sessions.draw import session_title

if TYPE_CHECKING:
    from pktui.errors import PktuiError
    from pktui.memory.records import Session
    from pktui.tui.views.base import View


class SessionChanges:
    """Ends, reopens, deletes and exports a session; `changed` shows what the memory then holds."""

    def __init__(self, view: View, changed: Callable[[], None]) -> None:
        self._view, self._changed = view, changed
        self._memory = view.services.memory

    def end(self, session: Session) -> None:
        """Ask for a summary and end it."""
        memory = self._memory
        questions.ask_summary(
            self._view.app,
            session,
            lambda text: self._change("ending", lambda: changes.end(memory, session, text)),
        )

    def reopen(self, session: Session) -> None:
        """Make it active again."""
        self._change("reopening", lambda: changes.reopen(self._memory, session))

    def delete(self, session: Session) -> None:
        """Delete it once the beginning of its title is typed."""
        memory = self._memory
        questions.ask_title(
            self._view.app,
            session,
            lambda: self._change("deleting", lambda: changes.delete(memory, session)),
        )

    def export(self, session: Session) -> None:
        """Ask for a file and write it there."""
        memory, console = self._memory, self._view.console

        def write(to: str) -> None:
            with_bar(
                self._view,
                f"Exporting “{session_title(session)}”",
                "messages",
                lambda progress: changes.export(memory, session, to, progress),
                lambda done: console.say(done.sentence),
                console.say_error,
                group="sessions-export",
            )

        questions.ask_file(self._view.app, session, write)

    def resume(self, session: Session) -> None:
        """Go on with it in its own agent: in a new window of tmux, else by a copied command."""
        from pktui.agents.resuming import resumption

        def go_on() -> tuple[str, bool]:
            way = resumption(session.source, session.source_id, session.project)
            line = way.shell_line()
            return line, open_window(way.directory, way.command)

        def done(gone: tuple[str, bool]) -> None:
            line, opened = gone
            if opened:
                self._view.console.say(f"in a new window: {line}")
            else:
                self._view.console.say(f"run it in another terminal: {line}", seconds=15)
                self._view.console.copy(line)

        self._view.in_thread(
            go_on,
            done,
            self._view.console.say_error,
            group="sessions-resume",
            saying="looking for the agent",
        )

    def _change(self, label: str, change: Callable[[], changes.Done]) -> None:
        console, saying = self._view.console, f"{label} the session"

        def done(done: changes.Done) -> None:
            console.say(done.sentence)
            if done.undo is not None:
                console.undo_stack.push(UndoStep(label, done.undo, self._changed))
            ended()

        def failed(error: PktuiError) -> None:
            console.say_error(error)
            ended()

        def ended() -> None:
            console.undo_stack.end()
            self._changed()

        console.undo_stack.begin()
        self._view.in_thread(change, done, failed, group="sessions-change", saying=saying)
