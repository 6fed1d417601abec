"""`pktui audit prune`: the oldest events removed by hand, and the file made smaller."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from pktui.cli import backends, output
from pktui.cli.command_guard import BY, guard
from pktui.errors import LedgerError

if TYPE_CHECKING:
    from pktui.ledger.chain.retention import Prune, Retention
    from pktui.ledger.ledger import Ledger
    from pktui.settings import AuditSettings


_DAY_US = 86_400_000_000


class Pruned(msgspec.Struct, frozen=True):
    """What `--json` prints: rows removed (or to be), of which segments, and the bytes after."""

    rows: int
    segments: tuple[int, ...]
    used_bytes: int
    free_bytes: int


def run_prune(
    keep_days: float | None,
    max_megabytes: float | None,
    *,
    dry_run: bool,
    yes: bool,
    json: bool,
) -> None:
    """Prune as the settings say, or as the values given instead; ask before anything goes."""

    if not dry_run:
        guard()

    def asked(audit: AuditSettings) -> AuditSettings:
        days = audit.keep_days if keep_days is None else keep_days
        size = audit.max_megabytes if max_megabytes is None else max_megabytes
        return msgspec.structs.replace(audit, keep_days=days, max_megabytes=size)

    with backends.ledger(write=not dry_run, audit=asked) as ledger:
        due = ledger.retention.due(slack_us=0)
        rows = due.rows if due is not None else 0
        if due is not None and not dry_run:
            _confirm(due, ledger.retention.witness(), yes=yes)
            ledger.retention.believe()
            ledger.retention.announce(slack_us=0, by=BY)
        if not dry_run:
            _remove(ledger.retention)
            _compact(ledger)
        space = ledger.retention.space()
        if uncopied := ledger.retention.uncopied:
            some = "1 segment stays" if uncopied == 1 else f"{uncopied:,} segments stay"
            output.note(f"{some}: the team's ledger does not have all of it yet.")
    if json:
        gone = tuple(one.segment for one in due.segments) if due is not None else ()
        output.json(Pruned(rows, gone, space.used, space.free))
        return
    done = "would be removed" if dry_run else "removed"
    size = f"{(space.used + space.free) / 1_000_000:,.1f} MB"
    output.line(f"{rows:,} rows {done}; the ledger takes {size}.")


def _confirm(due: Prune, leap_us: int, *, yes: bool) -> None:
    """Ask a person; where the clock has leapt, nobody else can tell that it is right."""
    if leap_us and due.why == "age":
        days = f"{leap_us / _DAY_US:,.0f} days ahead of what the record has seen"
        if yes:
            raise LedgerError(
                f"the clock is {days}, so nothing is removed for its age",
                "If it is right, run this again without --yes, in a terminal",
            )
        output.note(f"The clock is {days}: go on only if it is right.")
    output.confirm(f"Remove the {due.rows:,} oldest rows of the record, for good?", yes=yes)


def _remove(retention: Retention) -> None:
    watched = sys.stderr.isatty()
    while retention.step():
        if watched:
            print(".", end="", file=sys.stderr, flush=True)
    if watched:
        print(file=sys.stderr)


def _compact(ledger: Ledger) -> None:
    if not ledger.retention.wasteful():
        return
    if ledger.presence.alive("gateway"):
        output.note("Gateways are running, so the file keeps its size; new rows use what is free.")
        return
    ledger.retention.compact()
