"""Looks every few seconds for what a person should be told of, and tells it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pktui.insight.now import NowReader
from pktui.tui.background import in_thread
from pktui.tui.notices import Edges, Notice, run_outside, terminal_sequence

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

    from pktui.errors import PktuiError
    from pktui.insight.now import Odd
    from pktui.tui.services import Services

LOOK_SECONDS = 5.0


class Telling:
    """Reads only where the ledger moved or something waits; `say` shows what went wrong, once."""

    def __init__(
        self, app: App[int], services: Services, say: Callable[[str], object],
        write: Callable[[str], object],
    ) -> None:  # fmt: skip
        """`write` sends a sequence to the terminal."""
        self._app, self._services = app, services
        self._say, self._write = say, write
        self._settings = services.settings.console.notices
        self._edges = Edges(self._settings.quiet)
        self._reader = NowReader(services.ledger, services.clock)
        self._version: object = None
        self._odd: tuple[Odd, ...] = ()
        self._waits = self._busy = False
        self._failed = False

    def look(self) -> None:
        """Look, unless a look is under way."""
        if not self._busy:
            self._busy = True
            in_thread(self._app, self.find, self._tell, self._cannot, group="notices")

    def find(self) -> list[Notice]:
        """Return what to tell, told already where that takes another program. Blocks."""
        ledger = self._services.ledger
        version = ledger.state()
        if version == self._version and not self._waits:
            return []
        waiting = ledger.approvals.pending()
        if version != self._version:
            self._odd = self._reader.read().odd
        self._version, self._waits = version, bool(waiting)
        notices = self._edges.look(self._services.clock(), waiting, self._odd)
        if self._settings.by != "terminal":
            for notice in notices:
                if why := run_outside(notice, self._settings):
                    self._app.call_later(self._tell_failure, why)
        return notices

    def _tell(self, notices: list[Notice]) -> None:
        self._busy = False
        if self._settings.by == "terminal":
            for notice in notices:
                self._write(terminal_sequence(notice.text, os.environ))

    def _tell_failure(self, why: str) -> None:
        if not self._failed:
            self._failed = True
            self._say(f"a notice could not be given: {why}")

    def _cannot(self, _error: PktuiError) -> None:
        """The views say that the ledger cannot be read."""
        self._busy = False
