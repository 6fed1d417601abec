"""A console that can be killed: it is there, and allows what waits when it is told to."""

from __future__ import annotations

import sys

from pktui.ledger.ledger import Ledger
from pktui.settings import Paths


def main() -> None:
    ledger = Ledger.open(Paths.from_environment().ledger_file)
    ledger.presence.announce("console")
    print("open", flush=True)
    for _ in sys.stdin:
        [asked] = ledger.approvals.pending()
        ledger.approvals.decide(asked.id, True, by="console", args_hash=asked.args_hash)
        print("decided", flush=True)


if __name__ == "__main__":
    main()
