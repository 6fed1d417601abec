"""Opening and leaving the console."""

from __future__ import annotations

import sys
from pathlib import Path

from pktui.errors import LedgerError, UsageError
from pktui.settings import Paths, Settings, make_private_directory

ANSWER_SECONDS = 20.0
"""What one answer of the memory may take; a search on a cold model takes some seconds."""


def run_console(paths: Paths, settings: Settings, *, read_only: bool = False) -> int:
    """Show the console until the person leaves it; return the exit status.

    While it is open the ledger knows that somebody can answer approvals, so gateways hold calls
    for them; a read-only console is not announced. Raises `UsageError` where there is no
    terminal, `LedgerUnavailable` where the ledger cannot be opened.
    """
    streams = {"input": sys.stdin, "output": sys.stdout, "error": sys.stderr}
    missing = [name for name, stream in streams.items() if not stream.isatty()]
    if missing:
        raise UsageError(
            f"the console needs a terminal, and standard {missing[0]} is none",
            "Use the commands instead: pktui sessions, approvals, audit, policy (all take --json)",
        )
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import now_us
    from pktui.memory.client import MemoryClient
    from pktui.memory.records import Identity
    from pktui.tui.console import Console
    from pktui.tui.services import Services

    make_private_directory(paths.data_dir)
    project = str(Path.cwd())
    ledger = Ledger.open(
        paths.ledger_file,
        audit=settings.audit,
        read_only=read_only,
        require_pin=settings.approvals.require_pin,
    )
    memory = MemoryClient(
        paths, Identity(agent="console", project=project), timeout=ANSWER_SECONDS, start=False
    )
    services = Services(paths, settings, ledger, memory, now_us, project, read_only)
    token = "" if read_only else ledger.presence.announce("console", project=project)
    try:
        return Console(services).run() or 0
    finally:
        try:
            if token:
                ledger.presence.leave(token)
        except LedgerError as error:
            sys.stderr.write(f"pktui: the console could not sign off: {error}\n")
        ledger.close()
        memory.close()
