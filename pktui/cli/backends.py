"""What commands reach: the memory through its service, started where need be, and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.cli import output
from pktui.settings import Paths

if TYPE_CHECKING:
    from pktui.insight.spending import Purse
    from pktui.ledger.ledger import Ledger
    from pktui.memory.client import MemoryClient
    from pktui.settings import AuditSettings

# Long work says after each so many seconds how much is left.
_TELL_SECONDS = 1.0


@contextmanager
def memory(*, start: bool = True) -> Iterator[MemoryClient]:
    """Give a client of the memory for as long as the block runs."""
    from pktui.memory.client import MemoryClient
    from pktui.memory.records import Identity

    identity = Identity(agent="pktui", project=str(Path.cwd()))
    client = MemoryClient(Paths.from_environment(), identity, start=start)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def ledger(
    *, write: bool = False, audit: Callable[[AuditSettings], AuditSettings] | None = None
) -> Iterator[Ledger]:
    """Give the ledger for as long as the block runs; without `write` it is opened to be read.

    `audit` may change what the settings say for this once. Raises `LedgerUnavailable`, also
    where there is none yet.
    """
    from pktui.ledger.ledger import Ledger
    from pktui.settings import load_settings

    paths = Paths.from_environment()
    settings = load_settings(paths)
    opened = Ledger.open(
        paths.ledger_file,
        audit=audit(settings.audit) if audit is not None else settings.audit,
        read_only=not write,
        require_pin=settings.approvals.require_pin,
        shared=settings.ledger,
    )
    try:
        yield opened
    finally:
        opened.close()


def count_all(ledger: Ledger) -> None:
    """Bring the sums up to date; says how much is left where that takes a while."""
    while behind := ledger.rollup.catch_up(seconds=_TELL_SECONDS):
        output.note(f"Counting the record, once: {behind:,} rows left")


def used_before() -> bool:
    """Return whether there is a ledger yet."""
    return Paths.from_environment().ledger_file.exists()


def purse() -> Purse:
    """Return prices and budgets as they are set; raises `SettingsError`."""
    from pktui.insight.spending import Purse
    from pktui.prices import load_prices
    from pktui.settings import load_settings

    paths = Paths.from_environment()
    return Purse(load_prices(paths), load_settings(paths).budget)
