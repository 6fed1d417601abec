"""Changing sessions in their view: ask, do it in a thread, say what was done."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on, work
from textual.message import Message

from pktui.errors import PktuiError
from pktui.tui.undo import UndoStep
from pktui.tui.views.base import View
from pktui.tui.views.sessions import changes, questions

if TYPE_CHECKING:
    from pktui.memory.records import Session


class _Changed(Message):
    def __init__(self, label: str, done: changes.Done | None, error: PktuiError | None) -> None:
        super().__init__()
        self.label, self.done, self.error = label, done, error


class ChangingView(View):
    """Ends, reopens, deletes and exports the session under the cursor."""

    @property
    @abstractmethod
    def session(self) -> Session | None:
        """The session under the cursor."""

    @abstractmethod
    def read_again(self) -> None:
        """Show what the memory holds after a change."""

    def action_end(self) -> None:
        """Ask for a summary and end the session."""
        session = self._changeable()
        if session is not None:
            memory = self.services.memory
            questions.ask_summary(
                self.app,
                session,
                lambda text: self._change("ending", lambda: changes.end(memory, session, text)),
            )

    def action_reopen(self) -> None:
        """Make the session active again."""
        session = self._changeable()
        if session is not None:
            self._change("reopening", lambda: changes.reopen(self.services.memory, session))

    def action_delete(self) -> None:
        """Delete the session once its title is typed."""
        session = self._changeable()
        if session is not None:
            memory = self.services.memory
            questions.ask_title(
                self.app,
                session,
                lambda: self._change("deleting", lambda: changes.delete(memory, session)),
            )

    def action_export(self) -> None:
        """Ask for a file and write the session to it."""
        session = self.session
        if session is not None:
            memory = self.services.memory
            questions.ask_file(
                self.app,
                session,
                lambda to: self._change("export", lambda: changes.export(memory, session, to)),
            )

    def _changeable(self) -> Session | None:
        session = self.session
        return None if session is None or self.console.refuse_read_only() else session

    def _change(self, label: str, change: Callable[[], changes.Done]) -> None:
        self.console.undo_stack.begin()
        self._run_change(label, change)

    @work(thread=True, group="sessions-change")
    def _run_change(self, label: str, change: Callable[[], changes.Done]) -> None:
        try:
            self.post_message(_Changed(label, change(), None))
        except PktuiError as error:
            self.post_message(_Changed(label, None, error))

    @on(_Changed)
    def _show_change(self, message: _Changed) -> None:
        if message.error is not None:
            self.console.say_error(message.error)
        if message.done is not None:
            self.console.say(message.done.sentence)
            if message.done.undo is not None:
                step = UndoStep(message.label, message.done.undo, self.read_again)
                self.console.undo_stack.push(step)
        self.console.undo_stack.end()
        self.read_again()
