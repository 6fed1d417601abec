"""Which tools a server has, as one connection knows it, and which of them its client was shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

from pktui.ledger.tool_catalogue import MOST_TOOLS

_SECOND_NS: Final = 1_000_000_000
# How long a list just read, or that there is none to be had, is not asked for again.
FRESH_NS: Final = 2 * _SECOND_NS
_MOST_LISTINGS: Final = 32


class ToolList:
    """The names of the newest whole list; safe from several threads.

    `ticks` is monotonic, in nanoseconds. `connected`: one client alone reads it, so that what it
    was shown is kept.
    """

    def __init__(self, ticks: Callable[[], int], *, connected: bool = True) -> None:
        self._ticks = ticks
        self._connected = connected
        self._lock = threading.Lock()
        # The newest whole list, another object for each; None before the first.
        self.names: frozenset[str] | None = None
        self._pages: dict[str, set[str]] = {}
        """The names so far of listings under way, by the cursor of their next page."""
        self._fresh_until = 0
        # The tools that the client was shown since it connected.
        self.shown: set[str] = set()
        self.failure = ""
        """Why the server could not be asked for its list when it was tried last."""

    def has(self, tool: str) -> bool | None:
        """Tell whether the server lists the tool; None where no whole list was seen here.

        A list longer than what is kept of a server counts as one that holds every name.
        """
        names = self.names
        return None if names is None else tool in names or len(names) >= MOST_TOOLS

    @property
    def fresh(self) -> bool:
        """Tell whether the list need not be asked for again now."""
        return self._ticks() < self._fresh_until

    def page(self, names: Iterable[str], *, cursor: str, next_cursor: str) -> None:
        """Take a page of a list; `cursor` is what it was asked for with, empty for the first."""
        with self._lock:
            known = self._pages.pop(cursor, None) if cursor else set()
            if known is None:
                return
            for name in names:
                if len(known) >= MOST_TOOLS:
                    break
                known.add(name)
            if next_cursor:
                while len(self._pages) >= _MOST_LISTINGS:
                    del self._pages[next(iter(self._pages))]
                self._pages[next_cursor] = known
                return
            self.names = frozenset(known)
            self._fresh_until = self._ticks() + FRESH_NS
            self.failure = ""

    def fail(self, why: str) -> None:
        """Note that the server's list cannot be had now."""
        with self._lock:
            self.failure = why
            self._fresh_until = self._ticks() + FRESH_NS

    def changed(self) -> None:
        """Note that the server says that it has another list."""
        self._fresh_until = 0

    def show(self, names: Iterable[str]) -> None:
        """Note what the client is shown."""
        if self._connected and len(self.shown) < MOST_TOOLS:
            self.shown.update(names)
