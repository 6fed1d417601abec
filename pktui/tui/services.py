"""What the views work with, passed in so that tests can pass their own.

Everything here may block: call it from thread workers only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from pktui.errors import PktuiError
from pktui.policy.selection import EVERYTHING, Selection

if TYPE_CHECKING:
    from pktui.insight.in_force import Layers
    from pktui.ledger.ledger import Ledger
    from pktui.memory.records import (
        Call,
        Entry,
        Facets,
        GroupedAnswer,
        Message,
        Mode,
        Outline,
        Page,
        SearchAnswer,
        Session,
        SessionChange,
        SessionSort,
        SessionStatus,
        Status,
        UsageSum,
    )
    from pktui.settings import Paths, Settings


class Memory(Protocol):
    """The part of `pktui.memory.client.MemoryClient` that the console uses."""

    def ensure(self) -> None:
        """Start the service where it does not run, and wait until it answers."""

    def status(self) -> Status:
        """Return the state of the service."""

    def wait_until_gone(self, seconds: float) -> None:
        """Return when the service that answered last ends, else after this long."""

    def sessions(
        self,
        query: str = "",
        *,
        status: SessionStatus | None = None,
        project: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        sort: SessionSort | None = None,
    ) -> Page[Session]:
        """Return sessions, the latest first, or what `sort` puts first."""

    def facets(
        self,
        query: str = "",
        mode: Mode | Literal[""] = "",
        *,
        project: str | None = None,
        edges_us: Sequence[int] = (),
        wait: bool = True,
    ) -> Facets:
        """Count the sessions of a list, or with a mode those a search finds."""

    def usage(self, since: str = "") -> Sequence[UsageSum]:
        """Return the tokens that agents used from a local day on."""

    def session(self, session_id: int) -> Session:
        """Return one session."""

    def messages(
        self,
        session_id: int,
        *,
        before: int | None = None,
        after: int | None = None,
        limit: int = 200,
    ) -> Page[Message]:
        """Return the newest messages, or those next to a sequence number; oldest first."""

    def outline(
        self,
        session_id: int,
        *,
        after: int = 0,
        calls_after: int = 0,
        calls_last: int | None = None,
    ) -> Outline:
        """Return when each message and call of a session was; of those after these `seq`."""

    def calls(self, session_id: int, *, after: int = 0, limit: int = 200) -> Page[Call]:
        """Return calls of a session, those after the `seq`."""

    def search(
        self,
        query: str,
        mode: Mode = "hybrid",
        *,
        limit: int = 20,
        project: str | None = None,
        wait: bool = True,
    ) -> SearchAnswer:
        """Return the messages and calls that match best."""

    def search_sessions(
        self,
        query: str,
        mode: Mode = "hybrid",
        *,
        limit: int = 20,
        hits: int = 3,
        cursor: str = "",
        project: str | None = None,
        wait: bool = True,
        bands: bool = False,
        sort: SessionSort | None = None,
    ) -> GroupedAnswer:
        """Return the sessions that match best; with `wait` by meaning where words find none."""

    def get_entry(self, entry_id: int) -> Entry:
        """Return one knowledge entry."""

    def end_session(self, session_id: int, summary: str | None = None) -> SessionChange:
        """End a session."""

    def reopen_session(self, session_id: int) -> SessionChange:
        """Make an ended session active again."""

    def delete_session(self, session_id: int) -> None:
        """Delete a session and its messages for good."""


@dataclass(frozen=True, slots=True)
class Services:
    """The rooms behind the console. `clock` gives microseconds since the epoch, UTC."""

    paths: Paths
    settings: Settings
    ledger: Ledger
    memory: Memory
    clock: Callable[[], int]
    project: str = ""
    """The directory the console was opened in: what "this project" means."""
    read_only: bool = False
    reopened: Callable[[], object] = lambda: None
    """Called, in a thread, once the ledger is another file than it was: the console signs on."""
    starts: Callable[[str], str] = lambda _server: ""
    """Gives the name that what a server's entry starts has by itself."""
    selects: Callable[[str], Selection] = lambda _server: EVERYTHING
    """Gives which tools a server's entry leaves in."""
    background: bool = True
    """False: nothing runs by itself; a test calls `Console.beat` and waits for the workers."""

    def refresh_usage(self) -> None:
        """Have the newest sums of tokens at hand; while the memory is away the last ones stay."""
        usage, now = self.ledger.usage, self.clock()
        if not self.read_only and self.paths.usage_file.exists() and usage.is_old(now):
            with suppress(PktuiError, OSError):
                usage.refresh(now, self.memory.usage)

    def layers_of(self, server: str) -> Layers:
        """Return what a gateway of this server goes by besides its document. Blocks."""
        from pktui.insight.in_force import layers_of

        return layers_of(
            *(server, self.paths, self.settings, self.ledger, partial(self.starts, server)),
            self.selects(server),
        )


# How the record names a person at this console.
BY = "console"
Part = Literal["memory", "ledger"]
