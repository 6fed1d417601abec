"""Gateways killed in the middle of bursts: nothing lost, the chain whole, the counters exact.

    python -m tests.bench.gateway_kills [--gateways N] [--kills N]

Several gateways share one data directory, and each client keeps a window of calls under way; one
gateway after the other is killed (SIGKILL) while its calls are, and started again. Checked: each
call that reached the server has its decision on record, each that was answered its end;
`audit verify` finds nothing; the counter holds what the journal says was taken and not given back,
before and after the file of counters is made anew. Prints how many calls that were.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.ledger.ledger import Ledger
from tests.bench.gateway_round_trip import LIMIT, Peer, call, prepare, shake_hands
from tests.support.gateway import gateway_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pktui.ledger.records import Event

SERVER = """
import json, os, sys
reached = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
out = sys.stdout.buffer
for line in sys.stdin.buffer:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    result = {"content": [{"type": "text", "text": "ok"}], "isError": False}
    if asked["method"] == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
        result["serverInfo"] = {"name": "e", "version": "1"}
    elif asked["method"] == "tools/list":
        result = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
    else:
        os.write(reached, b"%d\\n" % asked["params"]["arguments"]["line"])
    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
    out.write(json.dumps(answer, separators=(",", ":")).encode() + b"\\n")
    out.flush()
"""
WINDOW = 64
# So that no two gateways' calls have one number.
NUMBERS = 10_000_000
PAGE = 10_000


class Client:
    """One agent, and the gateway it starts as often as that is killed."""

    def __init__(self, number: int, command: Sequence[str], env: dict[str, str]) -> None:
        self.answered: set[int] = set()
        self._command = command
        self._env = env
        self._next = number * NUMBERS
        self._ending = threading.Event()
        self.peer = self._started()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _started(self) -> Peer:
        peer = Peer(self._command, self._env)
        shake_hands(peer)
        return peer

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._burst()
            except (AssertionError, BrokenPipeError, ValueError):
                self.peer.process.wait()
                self.peer = self._started()

    def _burst(self) -> None:
        sent = range(self._next, self._next + WINDOW)
        self._next += WINDOW
        self.peer.write(b"".join(map(call, sent)))
        for _ in sent:
            self.answered.add(int(json.loads(self.peer.read())["id"]))

    def end(self) -> None:
        self._ending.set()
        self._thread.join()
        self.peer.close()


def events_of(ledger: Ledger) -> Iterator[Event]:
    after = 0
    while page := ledger.events.tail(after, PAGE):
        yield from page
        after = page[-1].seq


def main() -> None:
    parser = argparse.ArgumentParser(description="Gateways killed in the middle of bursts.")
    parser.add_argument("--gateways", type=int, default=8)
    parser.add_argument("--kills", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = prepare(home)
        rules = {"tools": {"echo": {"limits": [{**LIMIT, "window": "day"}]}}}
        policy = json.dumps({"version": "1", "default": "deny", **rules})
        (home / "config" / "policies" / "bench.json").write_text(policy)
        (home / "server.py").write_text(SERVER)
        server = [sys.executable, str(home / "server.py"), str(home / "reached")]
        command = gateway_command("bench", "--", *server)
        clients = [Client(number, command, env) for number in range(asked.gateways)]
        drawn = random.Random(11)
        for _ in range(asked.kills):
            victim = drawn.choice(clients)
            before = len(victim.answered)
            while len(victim.answered) < before + drawn.randrange(2, 6 * WINDOW):
                threading.Event().wait(0.001)
            victim.peer.process.kill()
        for client in clients:
            client.end()
        answered = set().union(*(client.answered for client in clients))
        check(home, asked.kills, answered)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def check(home: Path, kills: int, answered: set[int]) -> None:
    reached = {int(line) for line in (home / "reached").read_text().split()}
    ledger = Ledger.open(home / "data" / "ledger.db", own=True)
    ledger.settle_lost()
    decided: dict[str, int] = {}
    ended: dict[str, str] = {}
    charged = 0
    for event in events_of(ledger):
        if event.kind == "decision":
            decided[event.call_id] = int(json.loads(event.arguments)["line"])
        elif event.kind == "outcome":
            assert event.call_id not in ended, f"{event.call_id} ended twice"
            ended[event.call_id] = event.outcome
        charged += sum(amount for _, amount, _ in json.loads(event.charges or "[]"))
    lines = set(decided.values())
    assert len(lines) == len(decided), "a call was decided twice"
    assert reached <= lines, f"{len(reached - lines)} calls went out without a decision on record"
    ok = {decided[call_id] for call_id, outcome in ended.items() if outcome == "ok"}
    assert answered <= ok, f"{len(answered - ok)} calls were answered without an end on record"
    assert set(decided) == set(ended), f"{len(set(decided) - set(ended))} calls have no end"
    found = ledger.verify()
    assert found.ok, found.problem
    assert in_use(ledger) == charged, "the counter does not say what the journal does"
    ledger.close()
    (home / "data" / "counters").unlink()
    ledger = Ledger.open(home / "data" / "ledger.db", own=True)
    assert in_use(ledger) == charged, "counted anew it is another number"
    ledger.close()
    lost = sum(outcome == "lost" for outcome in ended.values())
    print(
        f"{kills} kills: {len(decided):,} calls decided, {len(reached):,} reached the server,"
        f" {len(answered):,} answered, {lost} lost their gateway; {found.rows:,} rows hold,"
        f" the counter is {charged // 1_000_000:,}"
    )


def in_use(ledger: Ledger) -> int:
    return sum(int(one.used.scaleb(6)) for one in ledger.counters.in_use("bench"))


if __name__ == "__main__":
    main()
