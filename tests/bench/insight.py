"""Now, Insight and the policies over a long record: `python -m tests.bench.insight [--calls N]`.

Prints what the first look costs and what a look costs while calls come in: the budget is 100 ms
over 1,000,000 calls, for Insight of a week; that of a month and a day are told beside it. Processor
time beside wall time. `--at DIR` keeps the record there for the next run (`long_ledger`).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from pktui.insight.activity import Activity
from pktui.insight.now import NowReader
from pktui.insight.overview import PolicyOverview
from pktui.ledger import Ledger
from pktui.settings import Settings
from pktui.times import now_us
from tests.bench.long_ledger import AUDIT, append, long_ledger, paths_at
from tests.ledger.conftest import Clock

BUDGET_MS = 100
LOOKS, NEW = 20, 50


def main(directory: Path, calls: int) -> None:
    paths, clock, numbers = paths_at(directory), Clock(now_us()), count(10 * calls)
    long_ledger(paths, calls)
    ledger = Ledger.open(paths.ledger_file, audit=AUDIT, clock=clock)
    activity, now = Activity(ledger, clock), NowReader(ledger, clock)
    policies = PolicyOverview(paths, Settings(), ledger, clock, tuple)
    looks: dict[str, Callable[[], object]] = {
        "now": now.read,
        "insight, a week": activity.read,
        "insight, a day": lambda: activity.read(1),
        "insight, a month": lambda: activity.read(30),
        "policies": lambda: policies.shown("files"),
    }
    for name, look in looks.items():
        first = new_look(ledger, clock, look, numbers)
        costs = sorted(new_look(ledger, clock, look, numbers) for _ in range(LOOKS))
        wall, cpu = costs[LOOKS // 2]
        print(
            f"{name:<18} p50 {wall:6.1f} ms, {cpu:6.1f} of processor (at most {BUDGET_MS});"
            f" the first {first[0]:6.1f} ms, {first[1]:6.1f}"
        )
    ledger.close()


def new_look(
    ledger: Ledger, clock: Clock, look: Callable[[], object], numbers: count[int]
) -> tuple[float, float]:
    """Let calls come in, then look; return the milliseconds that took."""
    with ledger.transaction():
        for _ in range(NEW):
            clock.forward(0.02)
            append(ledger, next(numbers))
    return spent(look)


def spent(work: Callable[[], object]) -> tuple[float, float]:
    began, used = time.perf_counter(), time.thread_time()
    work()
    return (time.perf_counter() - began) * 1000, (time.thread_time() - used) * 1000


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--calls", type=int, default=1_000_000)
    options.add_argument("--at", type=Path)
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="pktui-bench-") as temporary:
        main(wanted.at or Path(temporary), wanted.calls)
