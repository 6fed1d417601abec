"""A real ledger, a real policy file and an Enforcer between them, with a clock in the hand."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pktui.errors import MemoryUnavailable
from pktui.gateway.enforcement.decision import Decision, ToolCall
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.policy_file import ServerPolicy
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Caller, CallRow
from pktui.memory.client import MemoryClient
from pktui.settings import ApprovalSettings, Paths
from tests.support.gateway import environment

START_US = 1_800_000_000_000_000
CALLER = Caller(agent="agent", session="s1", project="/work")


@dataclass
class Clock:
    """Microseconds since the epoch, moved by hand."""

    now: int = START_US

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


@dataclass
class House:
    """One server's Enforcer with its ledger, its policy file, and the console's view of both."""

    ledger: Ledger
    console: Ledger
    policy_file: Path
    clock: Clock
    enforcer: Enforcer
    said: list[str] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def policy(self, **document: Any) -> None:
        text = json.dumps({"version": "1", "default": "allow", "tools": {}, **document})
        self.policy_file.write_text(text)

    def call(
        self,
        tool: str = "echo",
        arguments: Mapping[str, Any] | None = None,
        *,
        caller: Caller = CALLER,
        continues: str = "",
    ) -> ToolCall:
        return ToolCall(f"call-{next(self.ids)}", tool, arguments or {}, caller, continues)

    def decide(self, tool: str = "echo", **arguments: Any) -> Decision:
        return self.enforcer.decide(self.call(tool, arguments))

    def attend(self) -> None:
        """Open a console: this test's process stands for it."""
        self.console.presence.announce("console")

    def answer(
        self, *, allow: bool, words: str = "", changed: Mapping[str, Any] | None = None
    ) -> None:
        """Decide what waits, as the console does."""
        [approval] = self.console.approvals.pending()
        self.console.approvals.decide(
            *(approval.id, allow),
            by="console",
            words=words,
            args_hash=approval.args_hash,
            changed=changed,
        )

    def row(self, call_id: str) -> CallRow:
        row = self.console.feed.call(call_id)
        assert row is not None
        return row


def enforcer_of(
    ledger: Ledger,
    policy_file: Path,
    clock: Clock,
    said: list[str],
    *,
    carries_changes: bool = True,
) -> Enforcer:
    policy = ServerPolicy("demo", policy_file, needed=False, changed=lambda _digest, _problem: None)
    return Enforcer(
        *(ledger, policy, ApprovalSettings(), "demo"),
        clock=clock,
        log=said.append,
        carries_changes=carries_changes,
    )


@contextmanager
def open_house(paths: Paths) -> Iterator[House]:
    clock = Clock()
    ledger = Ledger.open(paths.ledger_file, clock=clock)
    console = Ledger.open(paths.ledger_file, clock=clock)
    policy_file = paths.policy_file("demo")
    policy_file.parent.mkdir(parents=True)
    said: list[str] = []
    enforcer = enforcer_of(ledger, policy_file, clock, said)
    yield House(ledger, console, policy_file, clock, enforcer, said)
    ledger.close()
    console.close()


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    with open_house(paths) as opened:
        yield opened


@pytest.fixture
def memory(paths: Paths) -> Iterator[MemoryClient]:
    """A memory service with a small model, before anything starts one with the real one."""
    from tests.gateway.http.served import eventually

    client = MemoryClient(paths, start=False)

    def up() -> bool:
        try:
            return bool(client.status())
        except MemoryUnavailable:
            return False

    command = [sys.executable, "-m", "tests.support.small_service"]
    with subprocess.Popen(command, env=environment()) as service:
        try:
            assert eventually(up)
            yield client
        finally:
            client.close()
            service.terminate()
