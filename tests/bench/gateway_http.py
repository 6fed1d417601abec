"""What the gateway adds over HTTP: direct, through pktui, and through fastmcp's proxy.

    python -m tests.bench.gateway_http [--calls N] [--fastmcp PYTHON]

The upstream is a small HTTP server that answers at once; each call is decided, charged to one
quota and put on record, its outcome too. Prints round trips of one client in milliseconds at p50,
p95 and p99, and calls a second and p50 with 50 clients at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pktui.ledger.ledger import Ledger
from pktui.settings import Paths
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


@dataclass(frozen=True)
class Figures:
    """Of one client in milliseconds, then of many at once."""

    p50: float
    p95: float
    p99: float
    many_per_second: float
    many_p50: float


class Visitor:
    """One client on one connection, as cheap as a client can be."""

    def __init__(self, port: int, path: str, token: str) -> None:
        self._port = port
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        )
        self._number = 0

    async def begin(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = await self.ask("initialize", INITIALIZE)
        found = re.search(rb"mcp-session-id: (\S+)", head)
        if found:
            self._head += f"Mcp-Session-Id: {found[1].decode()}\r\n"
        self._head += f"MCP-Protocol-Version: {VERSION}\r\n"
        await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await self.ask("tools/list", {})

    async def call(self) -> float:
        """Call the tool and return how long it took, in seconds."""
        began = time.perf_counter()
        await self.ask("tools/call", {"name": "echo", "arguments": {"n": 1}})
        return time.perf_counter() - began

    async def ask(self, method: str, params: object) -> bytes:
        self._number += 1
        return await self._send(
            {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        )

    async def _send(self, message: object) -> bytes:
        body = json.dumps(message).encode()
        self._writer.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        assert b" 20" in head[:15], head
        if b"transfer-encoding: chunked" in head:
            await self._reader.readuntil(b"0\r\n\r\n")
        elif length := re.search(rb"content-length: (\d+)", head):
            await self._reader.readexactly(int(length[1]))
        return head

    def end(self) -> None:
        self._writer.close()


async def measure(port: int, path: str, token: str, calls: int) -> Figures:
    one = Visitor(port, path, token)
    await one.begin()
    for _ in range(WARM_UP):
        await one.call()
    took = sorted([await one.call() for _ in range(calls)])
    many = [Visitor(port, path, token) for _ in range(CLIENTS)]
    for visitor in many:
        await visitor.begin()

    async def visit(visitor: Visitor) -> list[float]:
        return [await visitor.call() for _ in range(max(5, calls // CLIENTS))]

    began = time.perf_counter()
    each = [second for found in await asyncio.gather(*map(visit, many)) for second in found]
    seconds = time.perf_counter() - began
    for visitor in (one, *many):
        visitor.end()
    at = [took[int(len(took) * share)] * 1000 for share in (0.5, 0.95, 0.99)]
    return Figures(at[0], at[1], at[2], len(each) / seconds, statistics.median(each) * 1000)


@contextmanager
def running(command: list[str], wanted: str, env: dict[str, str] | None = None) -> Iterator[str]:
    """Run a process and yield what it says that is wanted, on stdout or stderr."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if found := re.search(wanted, line):
                    yield found[1]
                    break
        finally:
            process.terminate()


@contextmanager
def pktui(home: Path, upstream: str) -> Iterator[tuple[int, str]]:
    """Run a gateway in front of the upstream; yield its port and a token."""
    paths = Paths.at(home / "config", home / "data")
    paths.policies_dir.mkdir(parents=True)
    paths.servers_file.write_text(json.dumps({"mcpServers": {"bench": {"url": upstream}}}))
    document = {"version": "1", "default": "allow", "tools": {"echo": {"limits": [LIMIT]}}}
    paths.policy_file("bench").write_text(json.dumps(document))
    ledger = Ledger.open(paths.ledger_file)
    _, token = ledger.grants.create("bench", ("*",))
    ledger.close()
    env = environment() | {
        "PKTUI_CONFIG_DIR": str(paths.config_dir),
        "PKTUI_DATA_DIR": str(paths.data_dir),
    }
    command = gateway_command("--listen", "127.0.0.1:0")
    with running(command, r"127\.0\.0\.1:(\d+)/mcp", env) as port:
        yield int(port), token


def fastmcp_at(python: str, home: Path, upstream: str, calls: int) -> Figures:
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
            return asyncio.run(measure(port, "/mcp", "x", calls))
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--fastmcp", metavar="PYTHON", help="an interpreter that has fastmcp")
    asked = parser.parse_args()
    calls: int = asked.calls
    rows: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        (home / "server.py").write_text(SERVER)
        with running([sys.executable, str(home / "server.py")], r"^(\d+)$") as upstream_port:
            upstream = f"http://127.0.0.1:{upstream_port}/mcp"
            rows["direct"] = asyncio.run(measure(int(upstream_port), "/mcp", "x", calls))
            with pktui(home, upstream) as (port, token):
                rows["pktui"] = asyncio.run(measure(port, "/mcp/bench", token, calls))
            if asked.fastmcp:
                rows["fastmcp"] = fastmcp_at(asked.fastmcp, home, upstream, min(calls, 500))
    direct = rows["direct"]
    print(f"{os.cpu_count()} cores, {calls} calls; milliseconds; {CLIENTS} clients at once")
    print(f"{'':8} {'p50':>8} {'p95':>8} {'p99':>8} {'added p50':>10} {'calls/s':>9} {'p50':>8}")
    for name, row in rows.items():
        print(
            f"{name:8} {row.p50:8.2f} {row.p95:8.2f} {row.p99:8.2f} {row.p50 - direct.p50:10.2f}"
            f" {row.many_per_second:9.0f} {row.many_p50:8.1f}"
        )


if __name__ == "__main__":
    main()
