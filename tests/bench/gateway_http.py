"""What the gateway adds over HTTP: direct, through pktui, another build of it, fastmcp's proxy.

    python -m tests.bench.gateway_http [--command] [--old TREE] [--fastmcp PYTHON] [--turns N]

The upstream is a small HTTP server that answers at once, or with `--command` a small process on
stdio; each call is decided, charged to one quota and put on record, its outcome too. `--old` is a
checkout of another build, whose dependencies this interpreter has. All are measured in turns
(ABAB…) in one run. Prints round trips of one client in microseconds, calls a second with 50 clients
at once, and the processor time that a call takes the gateway, alone and with 50 clients.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pktui.ledger.ledger import Ledger
from pktui.settings import Paths
from tests.bench.gateway_round_trip import SERVER as COMMAND
from tests.support.gateway import environment, gateway_command

SERVER = """
import asyncio, itertools, json, sys
SESSIONS = itertools.count()
RESULTS = {
    "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                   "serverInfo": {"name": "e", "version": "1"}},
    "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
    "tools/call": {"content": [{"type": "text", "text": "ok"}], "isError": False},
}
async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
            if not head.startswith(b"post"):
                writer.write(b"HTTP/1.1 405 No\\r\\ncontent-length: 0\\r\\n\\r\\n")
                continue
            size = int(head.split(b"content-length:")[1].split(b"\\r\\n")[0])
            message = json.loads(await reader.readexactly(size))
            if "id" not in message:
                writer.write(b"HTTP/1.1 202 OK\\r\\ncontent-length: 0\\r\\n\\r\\n")
                continue
            result = RESULTS.get(message["method"], {})
            body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
            begun = message["method"] == "initialize"
            session = b"mcp-session-id: s%d\\r\\n" % next(SESSIONS) if begun else b""
            writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\n" + session
                         + b"content-length: %d\\r\\n\\r\\n" % len(body) + body)
    except asyncio.IncompleteReadError:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
PROXY = """
import sys
from fastmcp.server import create_proxy
proxy = create_proxy(sys.argv[1])
proxy.run("http", host="127.0.0.1", port=int(sys.argv[2]), show_banner=False, log_level="ERROR")
"""
LIMIT = {"counter": "calls", "window": "minute", "max": 100_000_000, "scope": "grant"}
WARM_UP = 100
CLIENTS = 50
VERSION = "2025-11-25"
INITIALIZE = {
    "protocolVersion": VERSION,
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
CALL = {"name": "echo", "arguments": {"n": 1}}


class Visitor:
    """One client on one connection, as cheap as a client can be."""

    def __init__(self, port: int, path: str, token: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        )
        self._number = 0
        found = re.search(rb"mcp-session-id: (\S+)", self.ask("initialize", INITIALIZE))
        if found:
            self._head += f"Mcp-Session-Id: {found[1].decode()}\r\n"
        self._head += f"MCP-Protocol-Version: {VERSION}\r\n"
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.receive()
        self.ask("tools/list", {})

    def begin(self) -> None:
        """Send a call."""
        self._number += 1
        members = {"jsonrpc": "2.0", "id": self._number, "method": "tools/call", "params": CALL}
        self._send(members)

    def receive(self) -> bytes:
        """Return the head of an answer that came whole."""
        came = b""
        while b"\r\n\r\n" not in came:
            came += self._more()
        head, _, body = came.partition(b"\r\n\r\n")
        head = head.lower()
        assert b" 20" in head[:15], came
        if b"transfer-encoding: chunked" in head:
            while not body.endswith(b"0\r\n\r\n"):
                body += self._more()
        elif length := re.search(rb"content-length: (\d+)", head):
            while len(body) < int(length[1]):
                body += self._more()
        return head

    def ask(self, method: str, params: object) -> bytes:
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return self.receive()

    def _send(self, message: object) -> None:
        body = json.dumps(message, separators=(",", ":")).encode()
        self.socket.sendall(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def _more(self) -> bytes:
        part = self.socket.recv(65536)
        assert part, "the connection was closed"
        return part


@dataclass
class Peer:
    """One of those that are compared."""

    port: int
    path: str
    token: str
    pid: int
    one: Visitor = field(init=False)
    many: list[Visitor] = field(init=False)
    took: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    crowded: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.one, *self.many = (
            Visitor(self.port, self.path, self.token) for _ in range(CLIENTS + 1)
        )
        for _ in range(WARM_UP):
            self.call()

    def call(self) -> float:
        began = time.perf_counter()
        self.one.begin()
        self.one.receive()
        return (time.perf_counter() - began) * 1e6

    def turn(self, calls: int) -> None:
        """Measure one client, then many."""
        before = processor(self.pid)
        self.took += [self.call() for _ in range(calls)]
        between = processor(self.pid)
        self.rates.append(self.crowd(calls))
        self.alone.append((between - before) / calls)
        self.crowded.append((processor(self.pid) - between) / calls)

    def crowd(self, calls: int) -> float:
        """Return the calls a second that all clients together make."""
        with selectors.DefaultSelector() as ready:
            for visitor in self.many:
                ready.register(visitor.socket, selectors.EVENT_READ, visitor)
            began, begun, ended = time.perf_counter(), len(self.many), 0
            for visitor in self.many:
                visitor.begin()
            while ended < begun:
                for key, _ in ready.select():
                    key.data.receive()
                    ended += 1
                    if begun < calls:
                        begun += 1
                        key.data.begin()
            return ended / (time.perf_counter() - began)


def processor(pid: int) -> float:
    """Return the processor time of a process in microseconds."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in stats) / 1000


@contextmanager
def running(
    command: list[str], wanted: str, env: dict[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """Run a process; yield what it says that is wanted, on stdout or stderr, and its id."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if found := re.search(wanted, line):
                    yield found[1], process.pid
                    break
        finally:
            process.terminate()


@contextmanager
def pktui(home: Path, entry: dict[str, object], tree: str) -> Iterator[Peer]:
    """Run a gateway in front of the upstream; another build makes its own ledger and grant."""
    paths = Paths.at(home / "config", home / "data")
    paths.policies_dir.mkdir(parents=True)
    paths.servers_file.write_text(json.dumps({"mcpServers": {"bench": entry}}))
    document = {"version": "1", "default": "allow", "tools": {"echo": {"limits": [LIMIT]}}}
    paths.policy_file("bench").write_text(json.dumps(document))
    env = environment() | {
        "PKTUI_CONFIG_DIR": str(paths.config_dir),
        "PKTUI_DATA_DIR": str(paths.data_dir),
    }
    if tree:
        env["PYTHONPATH"] = tree
        made = [sys.executable, "-m", "pktui", "grants", "create", "bench", "--server", "bench"]
        said = subprocess.run(
            [*made, "--json"], env=env, cwd=tree, capture_output=True, text=True, check=True
        )
        token = str(json.loads(said.stdout)["token"])
    else:
        ledger = Ledger.open(paths.ledger_file)
        _, token = ledger.grants.create("bench", ("*",))
        ledger.close()
    command = gateway_command("--listen", "127.0.0.1:0")
    if tree:
        command = ["env", "-C", tree, *command]
    with running(command, r"127\.0\.0\.1:(\d+)/mcp", env) as (port, pid):
        yield Peer(int(port), "/mcp/bench", token, pid)


@contextmanager
def fastmcp_at(python: str, home: Path, upstream: str) -> Iterator[Peer]:
    (home / "proxy.py").write_text(PROXY)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([python, str(home / "proxy.py"), upstream, str(port)]) as process:
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield Peer(port, "/mcp", "x", process.pid)
        finally:
            process.terminate()


def shown(rows: dict[str, Peer], added: Callable[[Peer], float]) -> None:
    print(
        f"{'':8} {'p50':>7} {'p95':>7} {'p99':>7} {'added':>7} {'cpu':>6} {'calls/s':>9} {'cpu':>6}"
    )
    for name, row in rows.items():
        took = sorted(row.took)
        at = [took[int(len(took) * share)] for share in (0.5, 0.95, 0.99)]
        print(
            f"{name:8} {at[0]:7.0f} {at[1]:7.0f} {at[2]:7.0f} {added(row):7.0f}"
            f" {statistics.median(row.alone):6.0f} {statistics.median(row.rates):9.0f}"
            f" {statistics.median(row.crowded):6.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=500, help="of each kind in a turn")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--command", action="store_true", help="the upstream is a process")
    parser.add_argument("--old", metavar="TREE", help="a checkout of another build")
    parser.add_argument("--fastmcp", metavar="PYTHON", help="an interpreter that has fastmcp")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        home = Path(place)
        (home / "server.py").write_text(SERVER)
        (home / "command.py").write_text(COMMAND)
        port, pid = stack.enter_context(
            running([sys.executable, str(home / "server.py")], r"^(\d+)$")
        )
        upstream = f"http://127.0.0.1:{port}/mcp"
        entry: dict[str, object] = {"url": upstream}
        if asked.command:
            entry = {"command": sys.executable, "args": [str(home / "command.py")]}
        rows = {"direct": Peer(int(port), "/mcp", "x", pid)}
        rows["pktui"] = stack.enter_context(pktui(home / "new", entry, ""))
        if asked.old:
            rows["old"] = stack.enter_context(pktui(home / "old", entry, asked.old))
        if asked.fastmcp:
            rows["fastmcp"] = stack.enter_context(fastmcp_at(asked.fastmcp, home, upstream))
        for _ in range(asked.turns):
            for row in rows.values():
                row.turn(asked.calls)
        direct = statistics.median(rows["direct"].took)

        def added(row: Peer) -> float:
            return statistics.median(row.took) - direct

        print(f"{os.cpu_count()} cores, {asked.turns} turns of {asked.calls} calls; microseconds")
        shown(rows, added)
        if asked.old:
            new, old = rows["pktui"], rows["old"]
            rate = statistics.median(new.rates) / statistics.median(old.rates)
            cpu = statistics.median(new.crowded) / statistics.median(old.crowded)
            print(
                f"against the other build: added {added(new) / added(old):.2f}, "
                f"calls a second {rate:.1f}, processor time a call {cpu:.2f}"
            )


if __name__ == "__main__":
    main()
