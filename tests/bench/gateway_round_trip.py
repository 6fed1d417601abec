"""What the gateway adds to a tool call: direct, through pktui, and through fastmcp's proxy.

    python -m tests.bench.gateway_round_trip [--calls N]

Each call is decided, charged to one quota and put on record, its outcome too. Prints round trips
in microseconds at p50, p95 and p99, calls a second with 64 in flight, the gateway's processor
time a call, and its resident memory.
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
from dataclasses import dataclass
from pathlib import Path

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
LIMIT = {"counter": "calls", "window": "minute", "max": 100_000_000, "scope": "grant"}
WARM_UP = 200
WINDOW = 64


@dataclass(frozen=True)
class Figures:
    p50: float
    p95: float
    p99: float
    per_second: float
    cpu_us: float
    rss_mb: float


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


def measure(command: Sequence[str], env: dict[str, str], calls: int) -> Figures:
    peer = Peer(command, env)
    shake_hands(peer)
    for number in range(WARM_UP):
        peer.write(call(number))
        peer.read()
    busy = processor_seconds(peer.process.pid)
    times = sorted(one_by_one(peer, calls))
    cpu = (processor_seconds(peer.process.pid) - busy) / calls * 1e6
    rate = in_flight(peer, calls)
    rss = resident_mb(peer.process.pid)
    peer.close()
    at = [times[int(len(times) * share)] * 1e6 for share in (0.5, 0.95, 0.99)]
    return Figures(at[0], at[1], at[2], rate, cpu, rss)


def one_by_one(peer: Peer, calls: int) -> list[float]:
    times = []
    for number in range(calls):
        line = call(1_000_000 + number)
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


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def prepare(home: Path) -> dict[str, str]:
    """Write a server, a proxy and a policy; return the environment to run them in.

    Byte code is kept in the folder, as an installed package has it beside its modules.
    """
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


def main() -> None:
    parser = argparse.ArgumentParser(description="What the gateway adds to a tool call.")
    parser.add_argument("--calls", type=int, default=5000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = prepare(home)
        command = [sys.executable, str(home / "server.py")]
        rows = {"direct": measure(command, env, calls)}
        rows["pktui"] = measure(gateway_command("bench", "--", *command), env, calls)
        if importlib.util.find_spec("fastmcp"):
            proxied = [sys.executable, str(home / "proxy.py"), str(home / "server.py")]
            rows["fastmcp"] = measure(proxied, env, min(calls, 1000))
    direct = rows["direct"].p50
    print(f"{'':8} {'p50':>8} {'p95':>8} {'p99':>8} {'added':>8} {'calls/s':>9} {'cpu/call':>9} MB")
    for name, row in rows.items():
        print(
            f"{name:8} {row.p50:8.0f} {row.p95:8.0f} {row.p99:8.0f} {row.p50 - direct:8.0f}"
            f" {row.per_second:9.0f} {row.cpu_us:9.0f} {row.rss_mb:.1f}"
        )


if __name__ == "__main__":
    main()
