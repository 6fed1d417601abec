"""What the gateway adds to a tool call: direct, through pktui, and through others beside it.

    python -m tests.bench.gateway_round_trip [--calls N] [--gap MS] [--old TREE] [--fastmcp PYTHON]

Each call is decided, charged to one quota and put on record, its outcome too. Beside pktui: the
server alone, a bare relay (what Python, SQLite and a hash cost at least), pktui with
`audit.fsync`, another build (`--old`, a checkout whose dependencies this interpreter has), and
fastmcp's proxy, run by an interpreter that has it. All are measured in turns of a few calls, so
that whatever else the machine does hits all alike; `--gap` is a pause before each call, as agents
make. Prints round trips in microseconds, calls a second with 64 in flight, the processor time of a
call one by one and in flight, what a call writes besides the messages (bytes, writes; the index's
share is in it), resident memory, how busy the machine was, and the ratios.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tests.support.gateway import environment, gateway_command

SERVER = """
import sys
out = sys.stdout.buffer
for line in sys.stdin.buffer:
    if b'"initialize"' in line:
        body = b'{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},'
        body += b'"serverInfo":{"name":"e","version":"1"}}'
    elif b'"tools/list"' in line:
        body = b'{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}'
    else:
        body = b'{"content":[{"type":"text","text":"ok"}],"isError":false}'
    start = line.find(b'"id":')
    if start >= 0:
        end = min(at for at in (line.find(b',', start), line.find(b'}', start)) if at >= 0)
        head = b'{"jsonrpc":"2.0","id":' + line[start + 5 : end]
        out.write(head + b',"result":' + body + b'}\\n')
        out.flush()
"""
PROXY = """
import sys
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.server import create_proxy
create_proxy(Client(StdioTransport(sys.executable, [sys.argv[1]]))).run(show_banner=False)
"""
WRITTEN = ("bytes", "writes")
FSYNC = "[audit]\nfsync = true\n"
LIMIT = {"counter": "calls", "window": "minute", "max": 100_000_000, "scope": "grant"}
WARM_UP = 200
WINDOW = 64
TURN = 200
"""Calls of one peer before it is the next one's turn."""
PAUSE = 1.2
"""Seconds in which the index takes in what was written."""


class Peer:
    """A server, or what stands before it, spoken to in lines."""

    def __init__(self, command: Sequence[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=env,
        )  # fmt: skip

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def read(self) -> bytes:
        assert self.process.stdout is not None
        while b'"id"' not in (line := self.process.stdout.readline()):
            assert line, "the process ended"
        return line

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def call(number: int) -> bytes:
    arguments = {"path": "/tmp/notes.txt", "text": "hello world", "line": number}
    params = {"name": "echo", "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def shake_hands(peer: Peer) -> None:
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    }
    hello = {"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": params}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    peer.write(json.dumps(hello).encode() + b"\n")
    peer.read()
    peer.write(json.dumps(ready).encode() + b"\n")


class Run:
    """One peer and what was measured of it."""

    def __init__(
        self, name: str, command: Sequence[str], env: dict[str, str], turn: int, gap: float = 0.0
    ) -> None:
        self.name = name
        self._turn = turn
        self._gap = gap
        self._peer = Peer(command, env)
        self._times: list[float] = []
        self._rates: list[float] = []
        self._alone: list[float] = []
        self._together: list[float] = []
        shake_hands(self._peer)
        one_by_one(self._peer, min(WARM_UP, 2 * turn))

    def take_turn(self) -> None:
        pid = self._peer.process.pid
        before = processor_us(pid)
        self._times += one_by_one(self._peer, self._turn, self._gap)
        between = processor_us(pid)
        self._rates.append(in_flight(self._peer, 2 * self._turn))
        self._alone.append((between - before) / self._turn)
        self._together.append((processor_us(pid) - between) / (2 * self._turn))

    def writes(self, calls: int = 200) -> tuple[float, float]:
        """Return the bytes and the writes of a call besides its two messages, one by one."""
        pid = self._peer.process.pid
        time.sleep(PAUSE)
        size, count = written(pid)
        passed = 0
        for number in range(calls):
            self._peer.write(line := call(3_000_000 + number))
            passed += len(line) + len(self._peer.read())
        time.sleep(PAUSE)
        later, more = written(pid)
        return (later - size - passed) / calls, (more - count) / calls - 2

    def at(self, share: float) -> float:
        return sorted(self._times)[int(len(self._times) * share)] * 1e6

    def row(self, direct: float) -> str:
        figures = (self.at(0.5), self.at(0.95), self.at(0.99), self.at(0.5) - direct)
        rest = (self.rate, self.alone, median(self._together), *self.writes())
        text = " ".join(f"{figure:9.0f}" for figure in (*figures, *rest))
        return f"{self.name:12}{text} {resident_mb(self._peer.process.pid):6.1f}"

    @property
    def rate(self) -> float:
        return median(self._rates)

    @property
    def alone(self) -> float:
        return median(self._alone)

    def close(self) -> None:
        self._peer.close()


def one_by_one(peer: Peer, calls: int, gap: float = 0.0) -> list[float]:
    times = []
    for number in range(calls):
        line = call(1_000_000 + number)
        if gap:
            time.sleep(gap)
        before = time.perf_counter()
        peer.write(line)
        answer = peer.read()
        times.append(time.perf_counter() - before)
        assert b'"ok"' in answer, answer
    return times


def in_flight(peer: Peer, calls: int) -> float:
    """Return the calls a second with a window of them under way."""
    before = time.perf_counter()
    sent = 0
    for done in range(calls):
        room = min(WINDOW - (sent - done), calls - sent)
        if room > WINDOW // 2 or sent == done:
            peer.write(b"".join(call(2_000_000 + sent + more) for more in range(room)))
            sent += room
        peer.read()
    return calls / (time.perf_counter() - before)


def processor_us(pid: int) -> float:
    """Return the processor time that all threads of a process have used, microseconds."""
    times = (task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(text.split()[0]) for text in times) / 1000


def written(pid: int) -> tuple[int, int]:
    """Return the bytes that a process has written, and in how many writes."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    told = dict(line.split(": ") for line in lines)
    return int(told["wchar"]), int(told["syscw"])


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def prepare(home: Path) -> dict[str, str]:
    """Write a server, a proxy and a policy; return the environment to run them in.

    Byte code is kept in the folder, as an installed package has it beside its modules.
    """
    home.mkdir(exist_ok=True)
    (home / "server.py").write_text(SERVER)
    (home / "proxy.py").write_text(PROXY)
    policies = home / "config" / "policies"
    policies.mkdir(parents=True)
    rules = {"version": "1", "default": "deny", "tools": {"echo": {"limits": [LIMIT]}}}
    (policies / "bench.json").write_text(json.dumps(rules))
    env = {
        **environment(),
        "PKTUI_CONFIG_DIR": str(home / "config"),
        "PKTUI_DATA_DIR": str(home / "data"),
        "PYTHONPYCACHEPREFIX": str(home / "bytecode"),
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def start(home: Path, gap: float, old: str, fastmcp: str) -> list[Run]:
    env = prepare(home)
    server = [sys.executable, str(home / "server.py")]
    bare = [sys.executable, "-m", "tests.bench.bare_relay", str(home / "bare.db"), *server]
    gateway = gateway_command("bench", "--", *server)
    safe = prepare(home / "fsync")
    (home / "fsync" / "config" / "settings.toml").write_text(FSYNC)
    runs = [
        Run("direct", server, env, TURN, gap),
        Run("bare relay", bare, env, TURN, gap),
        Run("pktui", gateway, env, TURN, gap),
        Run("pktui fsync", gateway, safe, TURN // 4, gap),
    ]
    if old:
        other = prepare(home / "old") | {"PYTHONPATH": old}
        runs.append(Run("old", ["env", "-C", old, *gateway], other, TURN, gap))
    if fastmcp:
        proxied = [fastmcp, str(home / "proxy.py"), server[1]]
        runs.append(Run("fastmcp", proxied, env, TURN // 10, gap))
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description="What the gateway adds to a tool call.")
    parser.add_argument("--calls", type=int, default=5000)
    here = sys.executable if importlib.util.find_spec("fastmcp") else ""
    parser.add_argument("--gap", type=float, default=0.0, metavar="MS")
    parser.add_argument("--old", default="", metavar="TREE", help="a checkout of another build")
    parser.add_argument("--fastmcp", default=here, metavar="PYTHON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = start(Path(folder), asked.gap / 1000, asked.old, asked.fastmcp)
        for _ in range(max(1, asked.calls // TURN)):
            for run in runs:
                run.take_turn()
        names = ("p50", "p95", "p99", "added", "calls/s", "cpu alone", "in flight", *WRITTEN)
        print(" " * 12 + " ".join(f"{name:>9}" for name in names) + "     MB")
        direct = runs[0].at(0.5)
        for run in runs:
            print(run.row(direct))
            run.close()
    compare({run.name: run for run in runs}, direct)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def compare(runs: dict[str, Run], direct: float) -> None:
    """Print what pktui takes of what the others take."""
    own = runs["pktui"]
    for name in ("bare relay", "old", "fastmcp"):
        if name in runs:
            other = runs[name]
            added = (own.at(0.5) - direct) / (other.at(0.5) - direct)
            rate, cost = own.rate / other.rate, own.alone / other.alone
            print(
                f"against {name}: added {added:.2f}, calls a second {rate:.2f},"
                f" processor time a call {cost:.2f}"
            )


if __name__ == "__main__":
    main()
