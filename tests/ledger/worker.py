"""What a second process does to the ledger: `python -m tests.ledger.worker VERB FILE COUNT`."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

from pktui.ledger import Ledger
from tests.ledger.conftest import CLAUDE, MINUTE, Limit
from tests.support.charging import take

LIMIT = Limit(max=Decimal(200), window_us=60 * MINUTE)


def append(ledger: Ledger, count: int) -> None:
    """Append events and print the `seq` of each once it is committed."""
    for number in range(count):
        seq = ledger.events.append("decision", caller=CLAUDE, call_id=f"c{number}", effect="allow")
        print(seq, flush=True)


def reserve(ledger: Ledger, count: int) -> None:
    """Take from one limit as often as it gives; print how often that was."""
    taken = 0
    for number in range(count):
        taken += take(ledger, [LIMIT], f"c{number}") is None
    print(taken, flush=True)


def decide(ledger: Ledger, count: int) -> None:
    """Decide every pending approval; print how many this process decided."""
    from pktui.errors import ApprovalError

    decided = 0
    for approval in ledger.approvals.recent(count):
        try:
            ledger.approvals.decide(approval.id, True, by="worker", args_hash=approval.args_hash)
        except ApprovalError:
            continue
        decided += ledger.approvals.spend(approval.id)
    print(decided, flush=True)


def open_only(ledger: Ledger, count: int) -> None:
    """Say that the file could be opened, and used."""
    print(ledger.events.append("start", detail={"count": count}), flush=True)


if __name__ == "__main__":
    verb, file, count = sys.argv[1:]
    verbs = {"append": append, "reserve": reserve, "decide": decide, "open": open_only}
    verbs[verb](Ledger.open(Path(file)), int(count))
