"""Opening and leaving the console."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.errors import LedgerError, UsageError
from pktui.files import make_private_directory, open_private
from pktui.policy.selection import EVERYTHING, Selection
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.settings import Paths, Settings
    from pktui.tui.console import Console
    from pktui.tui.services import Services

# What one answer of the memory may take; a search on a cold model takes some seconds.
ANSWER_SECONDS = 20.0


def run_console(
    paths: Paths,
    settings: Settings,
    *,
    read_only: bool = False,
    view: str = "",
    at: str = "",
    words: str = "",
    starts: Callable[[str], str] = lambda _server: "",
    selects: Callable[[str], Selection] = lambda _server: EVERYTHING,
) -> int:
    """Show the console until the person leaves it; return the exit status.

    It begins with `view`, its cursor at what `at` names or filtered by `words`; without one where
    there is most to see. `starts` gives the name that what a server's entry starts has by itself,
    `selects` which tools the entry leaves in.

    While it is open the ledger knows that somebody can answer approvals, so gateways hold calls
    for them; a read-only console is not announced. Raises `UsageError` where there is no
    terminal, `LedgerUnavailable` where the ledger cannot be opened.
    """
    _require_terminal()
    from pktui.ledger.ledger import Ledger
    from pktui.memory.client import MemoryClient
    from pktui.memory.records import Identity
    from pktui.times import now_us
    from pktui.tui.console import Console
    from pktui.tui.services import Services

    make_private_directory(paths.data_dir)
    project = str(Path.cwd())
    ledger = Ledger.open(
        paths.ledger_file,
        audit=settings.audit,
        read_only=read_only,
        lasting=True,
        require_pin=settings.approvals.require_pin,
        shared=settings.ledger,
    )
    memory = MemoryClient(
        paths, Identity(agent="console", project=project), timeout=ANSWER_SECONDS, start=False
    )
    presence = _Presence(ledger, project, read_only=read_only)
    services = Services(
        *(paths, settings, ledger, memory, now_us, project, read_only, presence.announce),
        starts=starts,
        selects=selects,
    )
    presence.announce()
    console = Console(services, view=view or _first_view(services), at=at, words=words)
    try:
        _show(console)
    finally:
        presence.leave()
        ledger.close()
        memory.close()
    if console.crash is not None:
        return _tell_crash(paths, console.crash)
    return console.return_code or 0


def _require_terminal() -> None:
    """Raise `UsageError` where one of the three standard streams is no terminal."""
    streams = {"input": sys.stdin, "output": sys.stdout, "error": sys.stderr}
    missing = [name for name, stream in streams.items() if not stream.isatty()]
    if missing:
        raise UsageError(
            f"the console needs a terminal, and standard {missing[0]} is none",
            "Use the commands instead: pktui sessions, approvals, audit, policy (all take --json)",
        )


def _show(console: Console) -> None:
    """Run the console; what it ends with, where it was not told to end, is its `crash`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as it is while pktui is loaded
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        console.run()
    except Exception as error:  # noqa: BLE001  a driver that fails: told as any other crash
        console.crash = console.crash or error


def _first_view(services: Services) -> str:
    """Start at Now while anything lives, and where nothing is configured yet."""
    ledger, paths = services.ledger, services.paths
    alive = ledger.presence.alive("gateway") or ledger.approvals.pending()
    configured = services.settings.servers or any(paths.policies_dir.glob("[!_]*.json"))
    return "now" if alive or not configured else "sessions"


class _Presence:
    """Tells gateways that somebody can answer; a read-only console is not announced."""

    def __init__(self, ledger: Ledger, project: str, *, read_only: bool) -> None:
        self._ledger, self._project, self._read_only = ledger, project, read_only
        self._token = ""

    def announce(self) -> None:
        """Sign on in the ledger that is open now."""
        if not self._read_only:
            self._token = self._ledger.presence.announce("console", project=self._project)

    def leave(self) -> None:
        """Sign off."""
        try:
            if self._token:
                self._ledger.presence.leave(self._token)
        except LedgerError as error:
            sys.stderr.write(f"pktui: the console could not sign off: {error}\n")


def _tell_crash(paths: Paths, error: BaseException) -> int:
    """Keep the traceback, without the values in it, and say where it is."""
    log = paths.logs_dir / "console.log"
    told = "".join(traceback.format_exception(error))
    try:
        make_private_directory(paths.logs_dir)
        kept = open_private(log, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(kept, "a") as file:
            file.write(f"{datetime.now(UTC).isoformat()} the console crashed\n{told}\n")
    except OSError as failure:
        where = f"it could not be written to {log}: {failure.strerror}\n{told}"
    else:
        where = f"what happened is in {log}"
    what = one_line(f"{type(error).__name__}: {error}", 300)
    sys.stderr.write(f"pktui: the console crashed ({what}); {where}\n")
    return 1
