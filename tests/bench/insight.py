"""Now, Insight and the policies over a long record: `python -m tests.bench.insight [CALLS]`.

Prints what the first look costs, which counts everything, and what a look costs while calls come
in: the budget is 100 ms over 1,000,000 calls. Processor time beside wall time.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pktui.files import make_private_directory
from pktui.insight.activity import Activity
from pktui.insight.now import NowReader
from pktui.insight.overview import PolicyOverview
from pktui.ledger import Ledger
from pktui.settings import Paths, Settings
from tests.bench.ledger import append, fill, outcome
from tests.ledger.conftest import Clock

BUDGET_MS = 100
LOOKS, NEW = 20, 50


def main(calls: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        paths = Paths.at(Path(directory, "config"), Path(directory, "data"))
        make_private_directory(paths.data_dir)
        make_private_directory(paths.policies_dir)
        clock = Clock()
        ledger = Ledger.open(paths.ledger_file, clock=clock)
        fill(ledger, clock, calls)
        wall, cpu = spent(lambda: ledger.rollup.catch_up())
        print(f"first count of {calls:,} calls: {wall:,.0f} ms, {cpu:,.0f} ms of processor")
        activity, now = Activity(ledger, clock), NowReader(ledger, clock)
        policies = PolicyOverview(paths, Settings(), ledger, clock, tuple)
        looks: dict[str, Callable[[], object]] = {
            "now": now.read,
            "insight": activity.read,
            "policies": lambda: policies.shown("files"),
        }
        for name, look in looks.items():
            costs = sorted(new_look(ledger, clock, look, calls) for _ in range(LOOKS))
            wall, cpu = costs[LOOKS // 2]
            print(f"{name:<10} p50 {wall:6.1f} ms, {cpu:6.1f} of processor (at most {BUDGET_MS})")
        ledger.close()


def new_look(
    ledger: Ledger, clock: Clock, look: Callable[[], object], calls: int
) -> tuple[float, float]:
    """Let calls come in, then look; return the milliseconds that took."""
    with ledger.transaction():
        for number in range(NEW):
            clock.forward(0.02)
            outcome(ledger, calls + number, append(ledger, calls + number))
    return spent(look)


def spent(work: Callable[[], object]) -> tuple[float, float]:
    began, used = time.perf_counter(), time.thread_time()
    work()
    return (time.perf_counter() - began) * 1000, (time.thread_time() - used) * 1000


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
