"""What looking after the ledger costs: `python -m tests.bench.ledger_upkeep [CALLS]`.

Default 360,000 calls, an hour at 100 a second. Prints the memory that writing them took, the size
of the file, the speed of verifying, exporting, pruning and compacting, how long a decision takes
while a prune goes on beside it, and how long the calls of a gateway that died take to find.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pktui.ledger import Ledger
from pktui.ledger.chain.export import verify_lines
from pktui.settings import AuditSettings
from tests.bench.ledger import decision, fill, timed
from tests.ledger.conftest import START_US, Clock

DAY = 24 * 60 * 60
PAUSE_SECONDS = 0.02
"""What a gateway leaves between two pieces of a prune."""


@contextmanager
def measured(name: str, rows: int) -> Iterator[None]:
    started = time.perf_counter()
    yield
    took = time.perf_counter() - started
    print(f"{name:<44} {took:>8.2f} s   {rows / took:>10,.0f} rows/s", flush=True)


def memory() -> str:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{peak / (1024 if sys.platform == 'linux' else 1024 * 1024):.0f} MB"


def size(file: Path) -> str:
    parts = [Path(f"{file}{part}") for part in ("", "-wal")]
    return " + ".join(f"{part.stat().st_size / 1e6:.1f} MB" for part in parts if part.exists())


def prune_beside(ledger: Ledger, calls: int) -> None:
    """Time decisions while another thread prunes, as it does in a gateway."""
    other = Ledger.open(ledger.path, audit=AuditSettings(keep_days=1), clock=ledger._clock)
    other.retention.announce()
    done = threading.Event()

    def prune() -> None:
        while other.retention.step() and not done.wait(PAUSE_SECONDS):
            pass

    thread = threading.Thread(target=prune)
    thread.start()
    timed("decision transaction, prune beside it", lambda n: decision(ledger, calls + n), 5000)
    done.set()
    thread.join()
    other.close()


def settle(ledger: Ledger, calls: int) -> None:
    """Time how long it takes to find what a gateway of so many calls left, and to end that."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    token = ledger.presence.announce("gateway", pid=ended.pid)
    open_calls = 50
    with ledger.transaction():
        for number in range(calls):
            call = f"{token}{number:010x}"
            seq = ledger.events.append("decision", call_id=call, effect="allow")
            if number >= open_calls:
                ledger.events.append("outcome", call_id=call, outcome="ok", ref_seq=seq)
    with measured(f"end {open_calls} of a dead gateway's {calls:,} calls", calls):
        assert ledger.settle_lost() == open_calls


def main(calls: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "a" / "l.db"
        anchors = str(Path(directory) / "anchors")
        clock = Clock(START_US)
        ledger = Ledger.open(file, clock=clock, audit=AuditSettings(anchor=anchors))
        print(f"memory before: {memory()}")
        fill(ledger, clock, calls)
        rows = ledger.events.last_seq()
        print(f"memory after: {memory()}; file and log: {size(file)}")
        timed("anchor written", lambda _: _anchor(ledger), 200)
        with measured("verify", rows):
            found = ledger.verify()
            assert found.ok, found.problem
        with measured("export", rows):
            for _ in ledger.framed():
                pass
        with measured("export and verify it", rows):
            assert verify_lines(ledger.framed()).ok
        print(f"memory after verifying and exporting: {memory()}")
        settle(ledger, calls // 10)
        clock.forward(3 * DAY)
        timed("decision transaction, nothing beside it", lambda n: decision(ledger, n), 2000)
        prune_beside(ledger, calls)
        pruning = Ledger.open(file, clock=clock, audit=AuditSettings(keep_days=1))
        base = (pruning._database.row("SELECT base_seq FROM chain") or (0,))[0]
        with measured("prune without a pause", rows - base):
            while pruning.retention.step():
                pass
        print(f"space: {pruning.retention.space()}")
        with measured("compact", 1):
            pruning.retention.compact()
        print(f"file and log: {size(file)}; memory: {memory()}")
        pruning.close()
        ledger.close()


def _anchor(ledger: Ledger) -> None:
    ledger.events.append("note")
    ledger.anchors.write()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 360_000)
