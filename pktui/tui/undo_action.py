"""`u`: takes back the last change, and asks for the PIN that stands before that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.errors import PinError, PktuiError
from pktui.tui.background import in_thread
from pktui.tui.context import context_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

    from pktui.tui.undo_history import UndoStep


class Undoing:
    """Takes steps off the console's undo stack."""

    def __init__(self, app: App[int]) -> None:
        self._app, self._console = app, context_of(app)

    def take_back(self) -> None:
        """Take back the last change; one that is under way is waited for."""
        if not self._console.refuse_a_run():
            self._console.undo_stack.when_settled(self._take_back)

    def _take_back(self) -> None:
        step = self._console.undo_stack.pop()
        if step is None:
            self._console.say("nothing to undo")
            return
        self._console.undo_stack.begin()
        self._run(step, step.revert)

    def _run(self, step: UndoStep, revert: Callable[[], str]) -> None:
        in_thread(
            self._app, revert, lambda said: self._done(step, said),
            lambda error: self._failed(step, error), group="undo", saying=f"undoing {step.label}",
        )  # fmt: skip

    def _done(self, step: UndoStep, sentence: str) -> None:
        self._console.undo_stack.end()
        self._console.say(sentence)
        step.done()

    def _failed(self, step: UndoStep, error: PktuiError) -> None:
        if isinstance(error, PinError) and step.with_pin is not None:
            self._ask_pin(step, step.with_pin, str(error))
            return
        self._console.undo_stack.end()
        self._console.say(f"{step.label} could not be undone: {error}", severity="error")

    def _ask_pin(self, step: UndoStep, with_pin: Callable[[str], str], about: str) -> None:
        from pktui.tui.screens.ask import AskScreen

        def answer(pin: str | None) -> None:
            if pin is not None:
                self._run(step, lambda: with_pin(pin))
                return
            self._console.undo_stack.end()
            self._console.undo_stack.push(step)

        title = f"PIN to undo {step.label}"
        self._console.ask(AskScreen(title, about, enter="undo", password=True), answer)
