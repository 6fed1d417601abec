"""What every question over the views shares: no answer was typed before it was on the screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.screen import ModalScreen

from pktui.tui.context import context_of
from pktui.tui.guard import QUIET_SECONDS, Guard

if TYPE_CHECKING:
    from textual import events


T = TypeVar("T")
# Rows of a screen under which questions leave out the space around them (`-short` in styles).
SHORT = 30


class Question(ModalScreen[T]):
    """A screen whose answers count once it was there to be read."""

    # Seconds after its first paint in which an answer still counts as typed ahead.
    QUIET: ClassVar[float] = QUIET_SECONDS

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._guard = Guard(self.QUIET)

    @property
    def quiet(self) -> bool:
        """Whether an answer would not count yet."""
        return not self._guard.approval_id or self._guard.waiting(self._clock()) > 0

    def counts(self) -> bool:
        """Tell whether the key or click in hand was meant as an answer to this question."""
        typed = self._clock() - context_of(self).keyboard.age()
        return self._guard.press(typed, allow=True) is None

    def quiet_changed(self) -> None:
        """Show whether answers count; called as the quiet time begins and ends."""

    def on_screen_resume(self, _event: events.ScreenResume) -> None:
        """It comes to the front: the quiet time runs from the moment it is painted."""
        self._guard.focus("", self._clock())
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._guard.focus("question", self._clock())
        self._guard.saw_last("question")
        self.wait_out()

    def wait_out(self) -> None:
        """Tell now, and when the quiet time is over, that it changed."""
        self.quiet_changed()
        if self.QUIET:
            self.set_timer(self.QUIET + 0.01, self.quiet_changed)
