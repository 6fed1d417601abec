"""What the ledger costs: `python -m tests.bench.ledger [CALLS]` (default 1,000,000).

Prints the median and the 99th percentile of each figure. The decision transaction is what a call
waits for: one limit reserved, the decision appended, all of it committed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from pktui.ledger import Caller, FeedFilter, Ledger, args_hash
from pktui.settings import AuditSettings
from tests.ledger.conftest import MINUTE, START_US, Clock, Limit
from tests.support.charging import take

AGENTS = ("claude-code", "opencode", "codex")
TOOLS = tuple(f"{verb}_{noun}" for verb in ("read", "write", "list") for noun in "abcdefgh")
ARGUMENTS = {"path": "/home/ada/shop/app.py", "content": "print('hello world')\n" * 5}
LIMIT = Limit(max=Decimal(10**9), window_us=60 * MINUTE)


def timed(name: str, work: Callable[[int], object], repeats: int) -> None:
    costs = []
    for number in range(repeats):
        started = time.perf_counter()
        work(number)
        costs.append(time.perf_counter() - started)
    costs.sort()
    p50, p99 = costs[repeats // 2], costs[repeats * 99 // 100]
    print(f"{name:<44} p50 {p50 * 1e6:>10,.0f} us   p99 {p99 * 1e6:>10,.0f} us", flush=True)


def decision(ledger: Ledger, number: int) -> int:
    call_id = f"c{number:09x}"
    with ledger.transaction():
        take(ledger, [LIMIT], call_id)
        return append(ledger, number)


def append(ledger: Ledger, number: int) -> int:
    rare = number % 5000 == 0
    return ledger.events.append(
        "decision",
        caller=Caller(AGENTS[number % 3], "", f"s{number // 500}", f"/home/ada/p{number % 7}"),
        call_id=f"c{number:09x}",
        server="files",
        tool="delete_all" if rare else TOOLS[number % len(TOOLS)],
        effect="deny" if rare else "allow",
        rule="/tools/read_a",
        args_hash="ab" * 32,
        arguments=ARGUMENTS,
    )


def outcome(ledger: Ledger, number: int, ref_seq: int) -> None:
    ledger.events.append(
        "outcome",
        call_id=f"c{number:09x}",
        server="files",
        tool="read_a",
        outcome="error" if number % 4999 == 0 else "ok",
        duration_us=1500,
        ref_seq=ref_seq,
    )


def fill(ledger: Ledger, clock: Clock, calls: int) -> None:
    started = time.perf_counter()
    for first in range(0, calls, 1000):
        with ledger.transaction():
            for number in range(first, min(first + 1000, calls)):
                clock.now += 600_000
                outcome(ledger, number, append(ledger, number))
    took = time.perf_counter() - started
    print(f"{calls:,} calls written in {took:,.0f} s ({2 * calls / took:,.0f} rows/s)", flush=True)


def pages(ledger: Ledger, clock: Clock) -> None:
    for text in (
        "",
        "tool:delete_all",
        "tool:write_* effect:denied",
        "effect:denied",
        "outcome:error",
        "since:1d before:12h agent:codex",
        "session:s3",
        "nothing-like-this",
    ):
        wanted = FeedFilter.parse(text, now_us=clock.now)[0]
        repeats = 5 if text.startswith(("nothing", "session")) else 50
        timed(f"page of 100: {text or '(all)'}", lambda _, w=wanted: ledger.feed.page(w), repeats)  # type: ignore[misc]
    middle = ledger.events.last_seq() // 2
    timed("page in the middle", lambda _: ledger.feed.page(before_seq=middle), 50)
    timed("count, all", lambda _: ledger.feed.count(cap=10**9), 5)
    timed("count, capped at 100,000", lambda _: ledger.feed.count(), 5)
    timed("calls of 60 minutes", lambda _: ledger.feed.per_minute(), 50)


def main(calls: int) -> None:
    timed("hash of arguments", lambda _: args_hash(ARGUMENTS), 5000)
    for fsync in (False, True):
        with tempfile.TemporaryDirectory() as directory:
            ledger = Ledger.open(Path(directory) / "a" / "l.db", audit=AuditSettings(fsync=fsync))
            work = lambda number, of=ledger: decision(of, number)  # noqa: E731
            timed(f"decision transaction, fsync {fsync}", work, 500 if fsync else 5000)
            ledger.close()
    with tempfile.TemporaryDirectory() as directory:
        clock = Clock(START_US)
        path = Path(directory) / "a" / "l.db"
        ledger = Ledger.open(path, clock=clock)
        fill(ledger, clock, calls)
        timed("decision transaction, on top of it", lambda n: decision(ledger, calls + n), 5000)
        pages(ledger, clock)
        started = time.perf_counter()
        found = ledger.verify()
        took = time.perf_counter() - started
        print(f"verified {found.rows:,} rows in {took:.1f} s ({found.rows / took:,.0f} rows/s)")
        timed("open", lambda _: Ledger.open(path).close(), 50)
        ledger.close()
        print(f"size: {path.stat().st_size / calls:,.0f} bytes a call")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
