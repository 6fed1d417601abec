"""Looks now and then for what a person should be told of, and tells it."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from pktui import lasting
from pktui.daemon_pool import DaemonPool
from pktui.errors import PktuiError
from pktui.insight.now import NowReader
from pktui.tui.background import in_thread
from pktui.tui.notices import Edges, Notice, Outside, terminal_sequence

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

    from pktui.insight.now import Odd
    from pktui.tui.services import Services

# Between looks while the event loop waits.
ALONE_SECONDS = 5.0
# Notices that other programs are being given at once.
_MOST = 4


class Telling:
    """Reads only where the ledger moved or something waits; `say` shows what went wrong, once."""

    def __init__(
        self, app: App[int], services: Services, say: Callable[[str], object],
        write: Callable[[str], object], keep: Callable[[str], object],
    ) -> None:  # fmt: skip
        """`write` sends a sequence to the terminal, `keep` has what was told read again."""
        self._app, self._services = app, services
        self._say, self._write, self._keep = say, write, keep
        self._settings = services.settings.console.notices
        self._edges = Edges(self._settings.quiet)
        self._reader = NowReader(services.ledger, services.clock)
        self._version: object = None
        self._odd: tuple[Odd, ...] = ()
        self._waits = self._busy = False
        self._failed = False
        # A program that hangs holds up neither the next notice nor the end of the console.
        self._pool, self._outside = DaemonPool("notice"), Outside(self._settings)
        self._under_way = 0
        # One look at a time, whoever looks.
        self._looking = threading.Lock()
        self._back = threading.Event()

    def look(self) -> None:
        """Look, unless a look is under way."""
        if not self._busy:
            self._busy = True
            in_thread(self._app, self.find, self._tell, self._cannot, group="notices")

    def end(self) -> None:
        """The console is left: end the programs that still run."""
        self._back.set()
        self._outside.end()

    def step_aside(self) -> None:
        """The event loop waits while an editor has the terminal: look in a thread until it is back.

        What goes to the terminal is told then; it would disturb the editor's screen.
        """
        self._back.clear()
        if self._settings.by != "terminal":
            lasting.start("notices-alone", self._look_alone, log=self._note)

    def come_back(self) -> None:
        """The event loop runs again."""
        self._back.set()

    def _note(self, why: str) -> None:
        self._keep(why)

    def _look_alone(self) -> None:
        while not self._back.wait(ALONE_SECONDS):
            with suppress(PktuiError):  # the views say it once they are there again
                for notice in self.find():
                    self._keep(notice.text)
                    self._pool.do(partial(self._outside.tell, notice))

    def find(self) -> list[Notice]:
        """Return what to tell. Blocks."""
        with self._looking:
            return self._find()

    def _find(self) -> list[Notice]:
        ledger = self._services.ledger
        version = ledger.state()
        if version == self._version and not self._waits:
            return []
        waiting = ledger.approvals.pending()
        if version != self._version:
            self._odd = self._reader.read().odd
        self._version, self._waits = version, bool(waiting)
        return self._edges.look(self._services.clock(), waiting, self._odd)

    def _tell(self, notices: list[Notice]) -> None:
        self._busy = False
        for notice in notices:
            self._keep(notice.text)
            if self._settings.by == "terminal":
                self._write(terminal_sequence(notice.text, os.environ))
            elif self._under_way < _MOST:
                self._under_way += 1
                self._pool.do(partial(self._tell_outside, notice))
            else:
                self._tell_end("programs that were given others still run")

    def _tell_outside(self, notice: Notice) -> None:
        why = self._outside.tell(notice)
        self._app.call_later(self._ended, why)

    def _ended(self, why: str) -> None:
        self._under_way -= 1
        self._tell_end(why)

    def _tell_end(self, why: str) -> None:
        """Say why a notice could not be given, once until the next that could."""
        if why and not self._failed:
            self._say(f"a notice could not be given: {why}")
        self._failed = bool(why)

    def _cannot(self, _error: PktuiError) -> None:
        """The views say that the ledger cannot be read."""
        self._busy = False
