"""What the gateway adds on the way from stdio to a URL: to the start, and to each call.

    python -m tests.bench.gateway_remote [--runs N] [--calls N]

The server answers with JSON and does nothing else. Prints the milliseconds from starting the
gateway to the first answered `initialize`, and round trips in microseconds at p50, p95 and p99,
straight to the server over one kept connection and through pktui, each call decided and on record.
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


def measure(ask: Callable[[int], None], calls: int) -> list[float]:
    times = []
    for number in range(1, calls + 201):
        before = time.perf_counter()
        ask(number)
        times.append((time.perf_counter() - before) * 1e6)
    return statistics.quantiles(times[200:], n=100)


def main() -> None:
    parser = argparse.ArgumentParser(description="What the gateway adds before a URL.")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--calls", type=int, default=2000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        env = prepare(Path(folder))
        server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        command = gateway_command("bench", "--url", f"http://127.0.0.1:{port}/mcp")
        try:
            starts = []
            for _ in range(asked.runs + 1):
                before = time.perf_counter()
                peer = Peer(command, env)
                shake_hands(peer)
                starts.append((time.perf_counter() - before) * 1000)
                peer.close()
            print(f"start to first answer  {statistics.median(starts[1:]):7.0f} ms")
            peer = Peer(command, env)
            shake_hands(peer)
            rows = {"direct": measure(direct(port), asked.calls)}
            rows["pktui"] = measure(through(peer), asked.calls)
            peer.close()
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
    for name, times in rows.items():
        print(f"{name:8} p50 {times[49]:7.0f}  p95 {times[94]:7.0f}  p99 {times[98]:7.0f} µs")


if __name__ == "__main__":
    main()
