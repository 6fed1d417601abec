"""A relay under fuzzed lines, and what must hold after each of them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from pktui.gateway.enforcement.decision import Decision, Ruling, ToolCall
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.policy_file import ServerPolicy
from pktui.gateway.protocol.jsonrpc import Limits
from pktui.gateway.relay.held_calls import Pace
from pktui.gateway.relay.in_flight import Pending
from pktui.gateway.relay.known_tools import ToolList
from pktui.gateway.relay.relay_session import RelaySession
from pktui.gateway.relay.server_context import SessionContext
from pktui.ledger.arguments.canonical import canonical_json
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Caller
from pktui.settings import ApprovalSettings, Paths, ServerSettings
from pktui.times import now_us
from tests.support.fuzz_lines import client_line, server_line
from tests.support.lax_readers import methods, readings

POLICY = {
    "version": "1",
    "default": "allow",
    "hide": ["secret"],
    "tools": {"danger": {"action": "deny", "reason": "No danger"}},
}
DENIED = {"sampling/createMessage": "deny", "elicitation/create": "deny", "prompts/get": "deny"}
SLOW = 5.0
"""Seconds of the processor that no line may take."""


class Broken(AssertionError):
    """Something that must hold does not; `line` is what broke it."""

    def __init__(self, what: str, line: bytes) -> None:
        super().__init__(f"{what}: {line[:2000]!r}")


class Watched(Enforcer):
    """An Enforcer that remembers which calls it let through."""

    def __init__(self, *args: Any, **members: Any) -> None:
        super().__init__(*args, **members)
        self.allowed: list[ToolCall] = []

    def decide_all(self, calls: Sequence[ToolCall], *, room: int) -> list[Decision]:
        decisions = super().decide_all(calls, room=room)
        for call, decision in zip(calls, decisions, strict=True):
            if decision.ruling is Ruling.FORWARD:
                self.allowed.append(call)
        return decisions


class EveryTool(ToolList):
    """The list of a server that has every tool, so that no call waits for it."""

    def has(self, tool: str) -> bool:
        return True

    @property
    def fresh(self) -> bool:
        return True


class Fuzzed:
    """One client's connection under fuzzed lines; counts what became of them."""

    def __init__(self, enforcer: Watched) -> None:
        self.forwarded: list[bytes] = []
        self.delivered: list[bytes] = []
        self.counts = {"lines": 0, "forwarded": 0, "calls": 0, "from server": 0, "delivered": 0}
        self._enforcer = enforcer
        wiring = SessionContext(
            to_client=lambda *lines: self.delivered.extend(lines),
            to_server=lambda *lines: self.forwarded.extend(lines),
            log=lambda _: None,
            named=lambda _: None,
            call_ids=map("id-{}".format, itertools.count()),
            now_us=now_us,
            ticks=time.monotonic_ns,
        )
        of_its_own = Pending.of(enforcer, Pace(), time.monotonic_ns)
        pending = msgspec.structs.replace(of_its_own, tools=EveryTool(time.monotonic_ns))
        self._in_flight = pending.in_flight
        self._relay = RelaySession(
            enforcer, Caller("fuzz", session="s"), wiring, Limits(65536), pending
        )

    def client(self, line: bytes) -> None:
        """Send a client's line and check what became of it."""
        with self._watched("lines", line):
            self._relay.from_client(line)
        check_forwarded(line, self.forwarded, self._enforcer.allowed)
        self.counts["forwarded"] += len(self.forwarded)
        self.counts["calls"] += len(self._enforcer.allowed)
        for answer in self.delivered:
            json.loads(answer)

    def settle(self) -> None:
        """Let every request that waits be over, so that its id is free again."""
        for request_id in tuple(self._in_flight.waiting):
            self._relay.close(request_id, "lost")

    def server(self, line: bytes) -> None:
        """Send a server's line and check what the client sees of it."""
        with self._watched("from server", line):
            self._relay.from_server(line)
        self.counts["delivered"] += len(self.delivered)
        for seen in self.delivered:
            check_delivered(line, seen)

    def several(self, lines: Sequence[bytes]) -> None:
        """Send client lines that come together; each must still be decided or refused."""
        with self._watched("lines", b"\n".join(lines)):
            self._relay.from_client(*lines)
        self.counts["lines"] += len(lines) - 1
        self.counts["forwarded"] += len(self.forwarded)
        self.counts["calls"] += len(self._enforcer.allowed)
        allowed = [_of_call(call) for call in self._enforcer.allowed]
        for forwarded in self.forwarded:
            if forwarded not in lines:
                raise Broken("a line reached the server that was not sent", forwarded)
            calls = {_of_params(p) for m, p in methods(forwarded) if m == "tools/call"}
            if calls and (len(calls) != 1 or calls.pop() not in allowed):
                raise Broken("a call reached the server undecided", forwarded)

    @contextmanager
    def _watched(self, kind: str, line: bytes) -> Iterator[None]:
        self.forwarded.clear()
        self.delivered.clear()
        self._enforcer.allowed.clear()
        self.counts[kind] += 1
        started = time.thread_time()
        yield
        if time.thread_time() - started > SLOW:
            raise Broken("took too long", line)


def check_forwarded(line: bytes, forwarded: Sequence[bytes], allowed: Sequence[ToolCall]) -> None:
    """Check that a line that went on is itself, and no reader sees a call that was not decided."""
    if not forwarded:
        if allowed:
            raise Broken("an allowed call did not reach the server", line)
        return
    if list(forwarded) != [line]:
        raise Broken("a line was changed on its way", line)
    decided = {_of_call(call) for call in allowed}
    seen = {_of_params(params) for method, params in methods(line) if method == "tools/call"}
    if seen != decided:
        raise Broken(f"decided {decided}, and a reader may see {seen}", line)


def check_delivered(line: bytes, seen: bytes) -> None:
    """Check that the client is asked for nothing that is switched off."""
    with suppress(UnicodeDecodeError):
        seen.decode()
        asked = {method for method, _ in methods(seen)} & DENIED.keys()
        for message in readings(seen):
            for result in (message.get("result"), message.get("params")):
                holder = result if isinstance(result, dict) else {}
                requests = holder.get("inputRequests", holder.get("inputrequests"))
                for request in requests.values() if isinstance(requests, dict) else ():
                    method = request.get("method") if isinstance(request, dict) else None
                    if isinstance(method, str) and method in DENIED:
                        asked.add(method)
        if asked:
            raise Broken(f"the client is asked for {asked}", line)


def _of_call(call: ToolCall) -> tuple[str, bytes]:
    return call.tool, canonical_json(call.arguments)


def _of_params(params: dict[str, Any]) -> tuple[str, bytes]:
    arguments = params.get("arguments", {})
    arguments = {} if arguments is None else arguments  # null is none
    try:
        return str(params.get("name")), canonical_json(arguments)
    except ValueError:
        return str(params.get("name")), repr(arguments).encode()


@contextmanager
def enforcing(paths: Paths) -> Iterator[Watched]:
    """Open an Enforcer over a real ledger and a real policy file."""
    ledger = Ledger.open(paths.ledger_file)
    file = write_policy(paths)
    policy = ServerPolicy("fuzz", file, needed=True, changed=lambda *_: None)
    rules = ServerSettings(methods=dict(DENIED))  # type: ignore[arg-type]
    try:
        yield Watched(
            ledger,
            policy,
            ApprovalSettings(),
            "fuzz",
            clock=now_us,
            log=lambda _: None,
            rules=rules,
        )
        verified = ledger.verify()
        if not verified.ok:
            raise Broken(f"the record is broken: {verified.problem}", b"")
    finally:
        ledger.close()


def write_policy(paths: Paths) -> Path:
    """Write the policy that the fuzzed lines meet."""
    file = paths.policy_file("fuzz")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(POLICY))
    return file


def one_session(enforcer: Watched, random: Random, lines: int) -> dict[str, int]:
    """Fuzz one connection with about so many lines; return what became of them."""
    fuzzed = Fuzzed(enforcer)
    while fuzzed.counts["lines"] + fuzzed.counts["from server"] < lines:
        which = random.randrange(10)
        if random.randrange(4):
            fuzzed.settle()
        if which < 6:
            fuzzed.client(client_line(random))
        elif which < 7:
            fuzzed.several([client_line(random) for _ in range(random.randrange(2, 5))])
        else:
            fuzzed.server(server_line(random))
    return fuzzed.counts
