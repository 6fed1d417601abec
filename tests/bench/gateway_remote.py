"""What the gateway adds on the way from stdio to a URL: to the start, and to each call.

    python -m tests.bench.gateway_remote [--old TREE] [--turns N] [--calls N]

The server answers with JSON and does nothing else. Prints the milliseconds from starting the
gateway to the first answered `initialize`, and round trips in microseconds at p50, p95 and p99,
straight to the server over one kept connection, through pktui, and through another build of it
(`--old`, a checkout), in turns in one run, with the gateway's processor time a call.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.gateway_http import processor
from tests.bench.gateway_round_trip import Peer, prepare, shake_hands
from tests.support.gateway import gateway_command

SERVER = """
import asyncio, json, re
async def serve(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
        except asyncio.IncompleteReadError:
            break
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 405 No\\r\\nContent-Length: 0\\r\\n\\r\\n")
            continue
        size = re.search(rb"content-length: (\\d+)", head, re.I)
        message = json.loads(await reader.readexactly(int(size[1])) if size else b"{}")
        body = b""
        if message.get("method") == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                      "serverInfo": {"name": "e", "version": "1"}}
        elif message.get("method") == "tools/list":
            result = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
        else:
            result = {"content": [{"type": "text", "text": "ok"}], "isError": False}
        if "id" in message:
            body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        status = b"200 OK" if body else b"202 Accepted"
        writer.write(b"HTTP/1.1 %b\\r\\nContent-Type: application/json\\r\\nMcp-Session-Id: s\\r\\n"
                     b"Content-Length: %d\\r\\n\\r\\n%b" % (status, len(body), body))
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
CALL = (
    b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"n":%d}}}'
)


def direct(port: int) -> Callable[[int], None]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}

    def ask(number: int) -> None:
        connection.request("POST", "/mcp", CALL % (number, number), headers)
        assert json.loads(connection.getresponse().read())["id"] == number

    return ask


def through(peer: Peer) -> Callable[[int], None]:
    def ask(number: int) -> None:
        peer.write(CALL % (number, number) + b"\n")
        assert json.loads(peer.read())["id"] == number

    return ask


class Build:
    """One build of the gateway in front of the server."""

    def __init__(self, folder: Path, port: int, tree: str) -> None:
        self.env = prepare(folder) | ({"PYTHONPATH": tree} if tree else {})
        command = gateway_command("bench", "--url", f"http://127.0.0.1:{port}/mcp")
        self.command = ["env", "-C", tree, *command] if tree else command
        self.starts: list[float] = []
        self.cpu: list[float] = []
        self.peer = self.start()

    def start(self) -> Peer:
        before = time.perf_counter()
        peer = Peer(self.command, self.env)
        shake_hands(peer)
        self.starts.append((time.perf_counter() - before) * 1000)
        return peer


def in_turns(
    asks: dict[str, Callable[[int], None]], builds: dict[str, Build], turns: int, calls: int
) -> dict[str, list[float]]:
    """Return the microseconds of each call; the first turn warms up."""
    took: dict[str, list[float]] = {name: [] for name in asks}
    number = 0
    for turn in range(turns + 1):
        for name, ask in asks.items():
            build = builds.get(name)
            before = processor(build.peer.process.pid) if build is not None else 0.0
            for _ in range(calls):
                number += 1
                began = time.perf_counter()
                ask(number)
                if turn:
                    took[name].append((time.perf_counter() - began) * 1e6)
            if build is not None and turn:
                build.cpu.append((processor(build.peer.process.pid) - before) / calls)
        for build in builds.values():
            build.start().close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description="What the gateway adds before a URL.")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--old", metavar="TREE", help="a checkout of another build")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        builds: dict[str, Build] = {}
        try:
            for name, tree in (("pktui", ""), ("old", asked.old)):
                if tree is not None:
                    home = Path(folder) / name
                    home.mkdir()
                    builds[name] = Build(home, port, tree)
            asks = {"direct": direct(port)}
            asks |= {name: through(build.peer) for name, build in builds.items()}
            took = in_turns(asks, builds, asked.turns, asked.calls)
            for build in builds.values():
                build.peer.close()
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
    base = statistics.median(took["direct"])
    for name, times in took.items():
        at = statistics.quantiles(times, n=100)
        print(f"{name:8} p50 {at[49]:7.0f}  p95 {at[94]:7.0f}  p99 {at[98]:7.0f} µs", end="")
        if name in builds:
            one = builds[name]
            print(
                f"  added {at[49] - base:6.0f}  processor {statistics.median(one.cpu):6.0f} µs"
                f"  start to first answer {statistics.median(one.starts):5.0f} ms",
                end="",
            )
        print()
    if "old" in builds:
        new, old = (statistics.median(took[name]) - base for name in ("pktui", "old"))
        cpu = statistics.median(builds["pktui"].cpu) / statistics.median(builds["old"].cpu)
        print(f"against the other build: added {new / old:.2f}, processor time a call {cpu:.2f}")


if __name__ == "__main__":
    main()
