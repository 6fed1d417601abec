"""The console as a command: `pktui` alone starts it without the command-line library."""

from __future__ import annotations

import os
import sys
from threading import Lock
from typing import TYPE_CHECKING

from pktui.errors import ApprovalError, PktuiError
from pktui.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.gateway.servers.watch import LiveServers
    from pktui.policy.selection import Selection
    from pktui.settings import Paths


def main() -> int:
    """Open the console for `pktui` without arguments; return its exit status."""
    try:
        return open_console(read_only=False)
    except PktuiError as error:
        print(f"pktui: {one_line(str(error), 2_000)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def open_console(*, read_only: bool, view: str = "", at: str = "", words: str = "") -> int:
    """Open the console on the person's own data; return its exit status.

    It begins with `view`, its cursor at what `at` names or filtered by `words`.

    Raises `PktuiError` where there is no terminal to draw on, the settings cannot be used, or an
    agent started it; with `read_only` it may.
    """
    require_terminal()
    if not read_only:
        _require_person()
    from pktui.settings import Paths, load_settings
    from pktui.tui.app import run_console

    paths = Paths.from_environment()
    settings = load_settings(paths)

    def starts(server: str) -> str:
        from pktui.gateway.servers.naming import started_name  # asked where something is managed

        return started_name(paths, server)

    return run_console(
        *(paths, settings), read_only=read_only, view=view, at=at, words=words, starts=starts,
        selects=_selecting(paths),
    )  # fmt: skip


def _selecting(paths: Paths) -> Callable[[str], Selection]:
    """Return what gives the tools that a server's entry leaves in now; for any thread."""
    lock = Lock()
    live: LiveServers | None = None

    def selects(server: str) -> Selection:
        from pktui.gateway.servers.entries import load_servers
        from pktui.gateway.servers.watch import LiveServers
        from pktui.policy.selection import EVERYTHING

        nonlocal live
        with lock:
            live = live or LiveServers(paths, load_servers(paths), lambda _fault: None)
            entry = live.current().get(server)
        return EVERYTHING if entry is None else entry.tools

    return selects


def can_open() -> bool:
    """Return whether standard input and output are a terminal that the console can draw on."""
    try:
        require_terminal()
    except PktuiError:
        return False
    return True


def _require_person() -> None:
    """Raise `ApprovalError` where an agent started the console: it can press keys as well."""
    from pktui.person import check_person

    try:
        check_person()
    except ApprovalError as error:
        raise ApprovalError(
            error.what,
            "Open it in a terminal of your own; to look without deciding: pktui --read-only",
        ) from error


def require_terminal() -> None:
    """Raise `PktuiError` unless a person can see and type here."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise PktuiError(
            "the console needs a terminal, and standard input or output is not one",
            "Run it in a terminal, or use the commands that `pktui --help` lists",
        )
    if os.environ.get("TERM", "dumb") == "dumb":
        raise PktuiError(
            "the console needs a terminal that can draw, and TERM says this one cannot",
            "Set TERM to what it is, for example xterm-256color",
        )
