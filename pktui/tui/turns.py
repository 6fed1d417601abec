"""One piece of background work at a time, and once more if something moved meanwhile."""

from __future__ import annotations

from collections.abc import Callable


class Turns:
    """Starts work when asked; while it runs, further asking leads to one more run after it.

    Lives in the event loop: `start` starts a worker, whose message's handler calls `done`.
    """

    def __init__(self, start: Callable[[], object]) -> None:
        self._start = start
        self._busy = False
        self._again = False

    def ask(self) -> None:
        """Start now, or once more when the present run is done."""
        if self._busy:
            self._again = True
            return
        self._busy = True
        self._start()

    def done(self) -> None:
        """The run ended."""
        self._busy = False
        if self._again:
            self._again = False
            self.ask()
