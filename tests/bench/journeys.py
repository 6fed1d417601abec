"""How many files, function calls and changes of file one call passes through.

    python -m tests.bench.journeys [--repeats N] [--files] [--calls] [JOURNEY…]

Real gateways and a real memory service run with every function of pktui that they enter counted
(`tests.support.counting`). Of each journey the repeat with the fewest calls is printed, so that
what runs by the clock does not count, beside the first edition's figures. `--files` names the
files.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pktui.ledger.ledger import Ledger
from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from pktui.settings import Paths
from tests.bench.gateway_round_trip import Peer, call, prepare, shake_hands

# Of the first edition: files, function calls, changes of file.
FIRST = {
    "a call over stdio": (32, 175, 108),
    "a call over HTTP": (52, 354, 210),
    "log_message, both halves": (62, 371, 215),
}
PATIENCE = 60.0
WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Count:
    """What one journey passed through."""

    files: frozenset[str]
    calls: int
    changes: int
    # The calls one after the other: thread, depth, file, function.
    sequence: tuple[tuple[int, int, str, str], ...]


class Counted:
    """A program whose functions are counted."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / f"{name}.counts"
        self.command = (sys.executable, "-m", "tests.support.counting", str(self.file), "pktui")
        self.pid = 0
        self._reads = 0

    def read(self) -> Count:
        """Return what was counted since it was read last."""
        os.kill(self.pid, signal.SIGUSR1)
        self._reads += 1
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = self.file.read_text().splitlines() if self.file.exists() else []
            if len(lines) >= self._reads:
                found = json.loads(lines[self._reads - 1])
                sequence = tuple(map(tuple, found["sequence"]))
                return Count(frozenset(found["files"]), found["calls"], found["changes"], sequence)
            assert time.monotonic() < deadline, "the program does not write what it counted"
            time.sleep(0.01)


def fewest(programs: Sequence[Counted], once: Callable[[int], None], repeats: int) -> Count:
    """Return the counts of all programs together, of the repeat with the fewest calls."""
    for number in range(WARM_UP):
        once(number)
    found = []
    for number in range(repeats):
        time.sleep(0.3)  # what follows a call, in other threads, is over by then
        for program in programs:
            program.read()
        once(1000 + number)
        time.sleep(0.3)
        counts = [program.read() for program in programs]
        files = frozenset().union(*(count.files for count in counts))
        calls, changes = sum(one.calls for one in counts), sum(one.changes for one in counts)
        sequence = tuple(step for count in counts for step in count.sequence)
        found.append(Count(files, calls, changes, sequence))
    return min(found, key=lambda count: count.calls)


def over_stdio(home: Path, repeats: int) -> Count:
    env = prepare(home)
    gateway = Counted(home, "stdio")
    server = (sys.executable, str(home / "server.py"))
    peer = Peer((*gateway.command, "gateway", "bench", "--", *server), env)
    gateway.pid = peer.process.pid
    shake_hands(peer)
    try:
        return fewest([gateway], lambda number: ask(peer, call(number)), repeats)
    finally:
        peer.close()


def ask(peer: Peer, line: bytes) -> None:
    peer.write(line)
    answer = peer.read()
    assert b'"isError":false' in answer or b'"isError": false' in answer, answer


def over_http(home: Path, repeats: int) -> Count:
    env = prepare(home)
    paths = Paths.at(home / "config", home / "data")
    entry = {"command": sys.executable, "args": [str(home / "server.py")]}
    paths.servers_file.write_text(json.dumps({"mcpServers": {"bench": entry}}))
    ledger = Ledger.open(paths.ledger_file)
    token = ledger.grants.create("bench", ["bench"])[1]
    ledger.close()
    gateway = Counted(home, "http")
    with listening(gateway, env) as url:
        session = Http(f"{url}/mcp/bench", token)
        return fewest([gateway], session.call, repeats)


@contextmanager
def listening(gateway: Counted, env: dict[str, str]) -> Iterator[str]:
    process = subprocess.Popen(
        (*gateway.command, "gateway", "--listen", "127.0.0.1:0"),
        stderr=subprocess.PIPE,
        env=env,
        text=True,
    )
    gateway.pid = process.pid
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found.group(0)
                break
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stderr.close()


class Http:
    """A client of one server over HTTP, with a session."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        client = {"name": "bench", "version": "1"}
        version = "2025-11-25"
        self._post(
            {
                "jsonrpc": "2.0",
                "id": "i",
                "method": "initialize",
                "params": {
                    "protocolVersion": version,
                    "capabilities": {},
                    "clientInfo": client,
                },
            }
        )
        self._headers["Mcp-Protocol-Version"] = version
        self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, number: int) -> None:
        answer = self._post(json.loads(call(number)))
        assert b'"isError":false' in answer, answer

    def _post(self, message: dict[str, Any]) -> bytes:
        body = json.dumps(message).encode()
        request = urllib.request.Request(self._url, body, self._headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            if session := answer.headers.get("Mcp-Session-Id"):
                self._headers["Mcp-Session-Id"] = session
            found: bytes = answer.read()
            return found


def of_a_message(home: Path, repeats: int) -> Count:
    env = prepare(home)
    paths = Paths.at(home / "config", home / "data")
    allow = {"version": "1", "default": "allow", "tools": {}}
    (paths.policies_dir / "memory.json").write_text(json.dumps(allow))
    service, gateway = Counted(home, "service"), Counted(home, "gateway")
    process = subprocess.Popen((*service.command, "memory", "serve"), env=env)
    service.pid = process.pid
    client = MemoryClient(paths, Identity("bench", "one"), start=False)
    try:
        await_service(client)
        peer = Peer((*gateway.command, "gateway", "memory"), env)
        gateway.pid = peer.process.pid
        shake_hands(peer)
        ask(peer, tool("i1", "start_logging_session", {"name": "bench"}))
        log = {"role": "user", "content": "a message"}
        count = fewest(
            [gateway, service], lambda number: ask(peer, tool(number, "log_message", log)), repeats
        )
        peer.close()
        return count
    finally:
        client.close()
        process.terminate()
        process.wait(PATIENCE)


def await_service(client: MemoryClient) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client.status()
        except Exception:  # noqa: BLE001  it is not there yet, whatever it says
            assert time.monotonic() < deadline, "the memory service does not come"
            time.sleep(0.2)
        else:
            return


def tool(number: object, name: str, arguments: dict[str, str]) -> bytes:
    params = {"name": name, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    return json.dumps(message).encode() + b"\n"


JOURNEYS: dict[str, Callable[[Path, int], Count]] = {
    "a call over stdio": over_stdio,
    "a call over HTTP": over_http,
    "log_message, both halves": of_a_message,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="What one call passes through.")
    parser.add_argument("journey", nargs="*", help="a part of its name; all of them without one")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--files", action="store_true", help="name the files")
    parser.add_argument("--calls", action="store_true", help="name the calls")
    options = parser.parse_args()
    print(f"{'':28}{'first edition':>20}{'now':>20}")
    print(f"{'':28}{'files calls changes':>20}{'files calls changes':>20}")
    for name, journey in JOURNEYS.items():
        if options.journey and not any(part in name for part in options.journey):
            continue
        with tempfile.TemporaryDirectory() as folder:
            now = journey(Path(folder), options.repeats)
        first = " ".join(f"{figure:>6}" for figure in FIRST[name])
        figures = (len(now.files), now.calls, now.changes)
        print(f"{name:28}{first:>20}{' '.join(f'{one:>6}' for one in figures):>20}")
        if options.files:
            print(*(f"    {file}" for file in sorted(now.files)), sep="\n")
        if options.calls:
            for thread, depth, file, function in now.sequence:
                print(f"{thread % 10_000:>8} {'  ' * depth}{file}:{function}")


if __name__ == "__main__":
    main()
