"""What a team's ledger costs: `python -m tests.bench.team [SECONDS]` (default 5).

Against a PostgreSQL on this machine that syncs to the disk: a decision with a limit beside the same
on this machine's own ledger, in turns; decisions a second of 20 gateways on 4 machines, with a
limit for each machine and with one for all; whether a limit that is always reached was kept in
every window, by the rows of all journals; and how soon an answer that is given on one machine lets
the call go on that waits on another. Beside each stands the load of the machine.
"""

from __future__ import annotations

import bisect
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from pktui.gateway.enforcement.decision import Decision, Ruling, ToolCall
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.policy_file import ServerPolicy
from pktui.gateway.protocol.jsonrpc import Message
from pktui.gateway.relay.held_calls import Held, Holder, Pace
from pktui.ledger import Caller, Ledger
from pktui.ledger.journal.journal import charges_of
from pktui.settings import ApprovalSettings, LedgerSettings
from tests.support.postgres import Server, query

CALLER = Caller("claude-code", "", "s1", "/home/ada/shop")
MACHINES, GATEWAYS, SCARCE = 4, 20, 40
POLICY = {
    "version": "1",
    "default": "allow",
    "tools": {
        "read": {
            "action": "allow",
            "limits": [{"counter": "reads", "window": "minute", "max": 10**9, "scope": "server"}],
        },
        "scarce": {
            "action": "allow",
            "limits": [{"counter": "few", "window": "second", "max": SCARCE, "scope": "server"}],
        },
        "write": {"action": "approve"},
    },
}


class Gateway:
    """The Enforcer of a gateway on a machine."""

    def __init__(self, root: Path, uri: str, machine: str, server: str) -> None:
        directory = root / machine
        self.ledger = Ledger.open(
            directory / "ledger.db", own=True, shared=LedgerSettings(uri, machine)
        )
        file = directory / f"{server}-{os.getpid()}.json"
        file.write_text(json.dumps(POLICY))
        self.enforcer = Enforcer(
            *(self.ledger, ServerPolicy(server, file, needed=True, changed=lambda *_: None)),
            *(ApprovalSettings(), server),
            clock=self.ledger.clock,
            log=print,
        )
        self.enforcer.saw([{"name": "read"}, {"name": "scarce"}, {"name": "write"}])
        self.numbers = itertools.count()
        self.prefix = os.urandom(4).hex()

    def call(self, tool: str = "read", **arguments: object) -> ToolCall:
        return ToolCall(f"{self.prefix}{next(self.numbers)}", tool, arguments, CALLER)

    def decide(self, tool: str = "read") -> bool:
        """Decide a call and end it; tell whether it went out."""
        call = self.call(tool, path="/home/ada/shop/app.py")
        decision = self.enforcer.decide(call)
        if decision.ruling is not Ruling.FORWARD:
            assert tool == "scarce", decision
            return False
        self.enforcer.settle(call, "ok", 1500, seq=decision.seq)
        return True


def side_by_side(root: Path, uri: str) -> None:
    own, team = Gateway(root, "", "own", "files"), Gateway(root, uri, "one", "files")
    took: dict[str, list[float]] = {"own": [], "team": []}
    for _ in range(1500):
        for name, gateway in (("own", own), ("team", team)):
            begun = time.perf_counter()
            gateway.decide()
            took[name].append((time.perf_counter() - begun) * 1e6)
    alone, shared = (statistics.median(took[name]) for name in ("own", "team"))
    print(f"decision and end, p50: own {alone:,.0f} us, team {shared:,.0f} us, added"
          f" {shared - alone:,.0f} us; p99 {sorted(took['team'])[1485]:,.0f} us"
          f" (load {os.getloadavg()[0]:.0f})")  # fmt: skip
    commit = []
    query(uri, "CREATE TABLE plain (n integer)")
    import psycopg

    with psycopg.connect(uri, autocommit=True, options="-c search_path=pktui") as connection:
        for n in range(500):
            begun = time.perf_counter()
            connection.execute("INSERT INTO plain VALUES (%s)", (n,))
            commit.append((time.perf_counter() - begun) * 1e6)
    print(f"one plain commit of this database, p50: {statistics.median(commit):,.0f} us")
    own.ledger.close()
    team.ledger.close()


def work(
    root: str,
    uri: str,
    machine: str,
    server: str,
    tool: str,
    gates: tuple[object, object],
    done: object,
) -> None:
    gateway = Gateway(Path(root), uri, machine, server)
    ready, end = gates
    ready.wait()  # type: ignore[attr-defined]
    count = 0
    while not end.is_set():  # type: ignore[attr-defined]
        count += gateway.decide(tool)
    done.put(count)  # type: ignore[attr-defined]
    gateway.ledger.close()


def together(root: Path, uri: str, seconds: float, *, shared: bool, tool: str = "read") -> None:
    context = multiprocessing.get_context("spawn")
    ready, end, done = context.Barrier(GATEWAYS + 1), context.Event(), context.Queue()
    processes = []
    for n in range(GATEWAYS):
        machine = f"machine-{n % MACHINES}"
        server = "all" if shared else machine
        (root / machine).mkdir(exist_ok=True)
        processes.append(
            context.Process(
                target=work, args=(str(root), uri, machine, server, tool, (ready, end), done)
            )
        )
    for process in processes:
        process.start()
    ready.wait()
    begun = time.perf_counter()
    time.sleep(seconds)
    end.set()
    total = sum(done.get() for _ in processes)
    took = time.perf_counter() - begun
    for process in processes:
        process.join()
    load = os.getloadavg()[0]
    if tool == "scarce":
        print(
            f"{GATEWAYS} gateways, {total / took:,.1f} of {SCARCE} calls a second (load {load:.0f})"
        )
        kept(root)
        return
    kind = "one counter for all" if shared else "a counter a machine"
    print(f"{GATEWAYS} gateways on {MACHINES} machines, {kind}: {total / took:,.0f} decisions/s"
          f" (load {load:.0f})")  # fmt: skip
    key = "all" if shared else "machine-%"
    (held,) = query(
        uri, "SELECT coalesce(sum(amount), 0) / 1000000 FROM charges JOIN counters"
        " ON n = counter WHERE key LIKE %s", f'["{key}"%')  # fmt: skip
    print(f"  calls let through {total:,}, counted {held[0]:,}")


def kept(root: Path) -> None:
    """Look whether the limit held in every window, by what the journals say was taken."""
    taken = Counter[int]()
    for n in range(MACHINES):
        for one in charges_of(root / f"machine-{n}" / "journal", time.monotonic_ns):
            if '"few"' in one.key:
                taken[one.at_us] += 1 if one.amount > 0 else -1
    times = sorted(taken.elements())
    most = max(
        bisect.bisect_right(times, at_us) - bisect.bisect_right(times, at_us - 1_000_000)
        for at_us in times
    )
    print(f"  of {len(times):,} calls at most {most} in a second of any begin: limit {SCARCE}")
    assert most <= SCARCE


def answers(root: Path, uri: str, repeats: int = 60) -> None:
    here, there = Gateway(root, uri, "asks", "files"), Gateway(root, uri, "answers", "files")
    there.ledger.presence.announce("console")
    while not here.ledger.presence.alive("console"):
        time.sleep(0.05)
    holder = Holder(here.enforcer, Pace(), time.monotonic)
    took = []
    for n in range(repeats):
        call = here.call("write", n=n)
        decision = here.enforcer.decide(call)
        assert decision.ruling is Ruling.HOLD, decision
        released = threading.Event()

        def release(_held: Held, answer: Decision, released: threading.Event = released) -> None:
            assert answer.ruling is Ruling.FORWARD, answer
            released.set()

        holder.hold(
            Held(
                ("", n),
                Message(b"", "request", "tools/call", n, {}, {}),
                call,
                decision,
                release,
                lambda _held: None,
                lambda _held, _decision: None,
            )
        )
        (asked,) = there.ledger.approvals.pending()
        there.ledger.approvals.decide(asked.id, True, by="bob", args_hash=asked.args_hash)
        decided = time.perf_counter()
        assert released.wait(10)
        took.append((time.perf_counter() - decided) * 1e3)
    took.sort()
    print(f"an answer given elsewhere lets the call go on: p50 {took[len(took) // 2]:.0f} ms,"
          f" p95 {took[len(took) * 95 // 100]:.0f} ms")  # fmt: skip
    here.ledger.close()
    there.ledger.close()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    server = Server(f"bench-{os.getpid()}", sync=True)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name in ("own", "one", "asks", "answers"):
            (root / name).mkdir()
        uri = server.database()
        side_by_side(root, uri)
        together(root, uri, seconds, shared=False)
        together(root, uri, seconds, shared=True)
        together(root, uri, seconds, shared=True, tool="scarce")
        answers(root, server.database())


if __name__ == "__main__":
    main()
