"""How many files, function calls and changes of file one call passes through.

    python -m tests.bench.journeys [--repeats N] [--files] [--calls] [JOURNEY…]

Real gateways, a real memory service and a real console run with every function of pktui that they
enter counted (`tests.support.counting`). Of each journey the repeat with the fewest calls is
printed, so that what runs by the clock does not count, beside the first edition's figures.
`--files` names the files, `--calls` the calls one after the other, each below its caller.

A decision is counted from the key's action in the console until its row is flipped, and in the
gateway from where that is seen until the client has its answer. A toggle (a tool is denied: space,
d, w, w) is counted from the key's action until the file is written, and in the gateway while it
refuses the next call; in the first edition one key wrote the file, without showing the change.
Drawing is left out of both.
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

# Of the first edition: files, function calls, changes of file. The first two as they were counted
# then, with what runs by the clock; the others without it, as now.
FIRST = {
    "a call over stdio": (32, 175, 108),
    "a call over HTTP": (52, 354, 210),
    "log_message, both halves": (63, 331, 190),
    "a decision in the console": (38, 233, 163),
    "a toggle in the console": (42, 541, 155),
}
PATIENCE = 60.0
WARM_UP = 20
# Seconds after which the console takes a key for an answer to what it shows.
QUIET = 2
# The functions that counting begins and ends with. In the gateway: a held call is decided again,
# until its answer is sent; a call comes. In the console: a key's action, until it is carried out.
RELEASE = ("Enforcer.resume", "RelaySession.from_server")
REFUSAL = ("RelaySession.from_client", "RelaySession.from_client")
DECISION = ("ApprovalsView.action_allow", "Approvals.decide")
TOGGLE = ("PoliciesView.action_change", "Edits.write")
# The keys that draft that a tool is denied, and those that write it.
DENY, WRITE = ("space", "d", "w"), ("w",)


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

    def __init__(
        self, folder: Path, name: str, module: str = "pktui", between: Sequence[str] = ()
    ) -> None:
        """`between`: the functions that counting begins and ends with, if not all is counted."""
        self.file = folder / f"{name}.counts"
        counting = (sys.executable, "-m", "tests.support.counting", str(self.file))
        self.command = (*counting, *(("--between", *between) if between else ()), module)
        self.pid = 0
        self._reads = 0

    def read(self) -> Count:
        """Return what was counted since it was read last."""
        os.kill(self.pid, signal.SIGUSR1)
        self._reads += 1
        deadline = time.monotonic() + PATIENCE
        while True:
            lines = self.file.read_text().split("\n")[:-1] if self.file.exists() else []
            if len(lines) >= self._reads:
                found = json.loads(lines[self._reads - 1])
                sequence = tuple(map(tuple, found["sequence"]))
                return Count(frozenset(found["files"]), found["calls"], found["changes"], sequence)
            assert time.monotonic() < deadline, "the program does not write what it counted"
            time.sleep(0.01)


def fewest(
    programs: Sequence[Counted],
    once: Callable[[int], None],
    repeats: int,
    *,
    before: Callable[[int], None] | None = None,
) -> Count:
    """Return the counts of all programs together, of the repeat with the fewest calls.

    `before` makes ready for what is counted.
    """
    for number in range(WARM_UP if before is None else 1):
        if before is not None:
            before(number)
        once(number)
    found = []
    for number in range(repeats):
        if before is not None:
            before(1000 + number)
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


def of_a_decision(home: Path, repeats: int) -> Count:
    """A call waits for a person; the key that allows it, until the client has its answer."""
    env = prepare(home)
    write_policy(home, "approve")
    paths = Paths.at(home / "config", home / "data")
    gateway = Counted(home, "gateway", between=RELEASE)
    peer = Peer((*gateway.command, "gateway", "bench", "--", *server_of(home)), env)
    gateway.pid = peer.process.pid
    shake_hands(peer)
    ledger = Ledger.open(paths.ledger_file)
    with piloted(home, env, "approvals", DECISION) as (console, do):

        def wait_for_it(number: int) -> None:
            peer.write(call(number))
            until(lambda: len(ledger.approvals.pending()) == 1)
            do("beat", "press home", f"wait {QUIET}")

        def decide(_number: int) -> None:
            do("press a")
            answer = peer.read()
            assert b'"isError":false' in answer, answer

        try:
            return fewest([console, gateway], decide, repeats, before=wait_for_it)
        finally:
            peer.close()
            ledger.close()


def of_a_toggle(home: Path, repeats: int) -> Count:
    """A tool is denied in the console; from the key until the next call was refused by it."""
    env = prepare(home)
    paths = Paths.at(home / "config", home / "data")
    entry = {"command": server_of(home)[0], "args": server_of(home)[1:]}
    paths.servers_file.write_text(json.dumps({"mcpServers": {"bench": entry}}))
    gateway = Counted(home, "gateway", between=REFUSAL)
    peer = Peer((*gateway.command, "gateway", "bench"), env)
    gateway.pid = peer.process.pid
    shake_hands(peer)
    peer.write(b'{"jsonrpc":"2.0","id":"l","method":"tools/list"}\n')
    peer.read()
    with piloted(home, env, "policies", TOGGLE) as (console, do):
        # To the server, which is listed after the memory, and its only tool.
        do("press left", "press end", f"wait {QUIET}", "press right")

        def allow(number: int) -> None:
            write_policy(home, "allow")
            ask(peer, call(number))
            do("press 4", "press 3", f"wait {QUIET}")  # it reads what is in the file now

        def deny(number: int) -> None:
            do(
                *(f"press {key}" for key in DENY),
                f"wait {QUIET}",
                *(f"press {key}" for key in WRITE),
            )
            peer.write(call(number))
            answer = peer.read()
            assert b'"isError":true' in answer, answer

        try:
            return fewest([console, gateway], deny, repeats, before=allow)
        finally:
            peer.close()


def write_policy(home: Path, action: str) -> None:
    rules = {"version": "1", "default": "allow", "tools": {"echo": {"action": action}}}
    paths = Paths.at(home / "config", home / "data")
    (paths.policies_dir / "bench.json").write_text(json.dumps(rules, indent=2))


def server_of(home: Path) -> tuple[str, str]:
    return sys.executable, str(home / "server.py")


@contextmanager
def piloted(
    home: Path, env: dict[str, str], view: str, between: tuple[str, str]
) -> Iterator[tuple[Counted, Callable[..., None]]]:
    """Run a console without a terminal; yields it and what gives it commands."""
    console = Counted(home, "console", "tests.support.piloted_console", between)
    process = subprocess.Popen(
        (*console.command, view), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    console.pid = process.pid
    assert process.stdin is not None
    assert process.stdout is not None
    answers, commands = process.stdout, process.stdin
    assert answers.readline() == "done\n"

    def do(*lines: str) -> None:
        for line in lines:
            commands.write(f"{line}\n")
            commands.flush()
            assert answers.readline() == "done\n"

    try:
        yield console, do
    finally:
        commands.close()
        process.wait(PATIENCE)
        answers.close()


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


JOURNEYS: dict[str, Callable[[Path, int], Count]] = {
    "a call over stdio": over_stdio,
    "a call over HTTP": over_http,
    "log_message, both halves": of_a_message,
    "a decision in the console": of_a_decision,
    "a toggle in the console": of_a_toggle,
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
