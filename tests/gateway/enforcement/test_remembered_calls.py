"""Calls of the ledger reach the memory's session of who made them, each once."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest

from pktui.errors import MemoryUnavailable, NotFound
from pktui.gateway.enforcement.remembered_calls import RememberedCalls
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pktui.memory.client import MemoryClient
    from pktui.memory.records import Identity, NewCall
    from pktui.settings import Paths

ADA = Caller(agent="claude", project="/shop")
BEN = Caller(agent="codex", project="/shop")


class Memory:
    """What stands for the memory: the calls it was told of, by agent."""

    def __init__(self) -> None:
        self.calls: dict[str, list[NewCall]] = defaultdict(list)
        self.failure: Exception | None = None
        self.without_session: set[str] = set()

    def connect(self, who: Identity) -> MemoryClient:
        return cast("Any", _Client(self, who.agent))  # type: ignore[no-any-return]


class _Client:
    def __init__(self, memory: Memory, agent: str) -> None:
        self._memory, self._agent = memory, agent

    def log_calls(self, calls: Sequence[NewCall]) -> None:
        if self._memory.failure is not None:
            raise self._memory.failure
        if self._agent in self._memory.without_session:
            raise NotFound("there is no current session")
        self._memory.calls[self._agent] += calls

    def close(self) -> None:
        pass


@pytest.fixture
def ledger(paths: Paths) -> Iterator[Ledger]:
    paths.memory_dir.mkdir(parents=True)
    with closing(Ledger.open(paths.ledger_file)) as opened:
        yield opened


def decide(ledger: Ledger, call_id: str, caller: Caller = ADA, **more: Any) -> None:
    told = {"server": "files", "tool": "read", "effect": "allow"} | more
    arguments = {"path": "/shop/cart.py"}
    ledger.events.append("decision", caller=caller, call_id=call_id, arguments=arguments, **told)


def settle(ledger: Ledger, call_id: str, outcome: str) -> None:
    ledger.events.append("outcome", caller=ADA, call_id=call_id, outcome=outcome)


def test_settled_calls_are_told_once_with_their_outcome(paths: Paths, ledger: Ledger) -> None:
    memory = Memory()
    remembered = RememberedCalls(paths, memory.connect)
    decide(ledger, "before")
    settle(ledger, "before", "ok")
    remembered.tell(ledger, 0)
    decide(ledger, "a")
    settle(ledger, "a", "tool_error")
    decide(ledger, "b", effect="deny", reason="not at night")
    decide(ledger, "c", BEN)
    decide(ledger, "own", server="memory", tool="log_message", effect="deny")
    now = ledger.events.newest(1)[0].at_us
    remembered.tell(ledger, now)
    first, second = memory.calls["claude"]
    assert (first.tool, first.outcome) == ("mcp__files__read", "error")
    assert "/shop/cart.py" in first.arguments
    assert (second.outcome, second.result) == ("denied", "not at night")
    assert memory.calls["codex"] == []
    settle(ledger, "c", "ok")
    for _ in range(2):
        remembered.tell(ledger, now)
    assert [call.outcome for call in memory.calls["codex"]] == ["ok"]
    assert len(memory.calls["claude"]) == 2
    assert len({call.call_id for its in memory.calls.values() for call in its}) == 3


def test_what_cannot_be_told_now_is_told_later(paths: Paths, ledger: Ledger) -> None:
    memory = Memory()
    remembered = RememberedCalls(paths, memory.connect)
    remembered.tell(ledger, 0)
    decide(ledger, "a", effect="deny")
    memory.failure = MemoryUnavailable("it does not run")
    remembered.tell(ledger, 0)
    memory.failure = None
    remembered.tell(ledger, 0)
    assert len(memory.calls["claude"]) == 1


def test_a_caller_without_a_session_holds_nobody_up(paths: Paths, ledger: Ledger) -> None:
    memory = Memory()
    memory.without_session = {"claude"}
    remembered = RememberedCalls(paths, memory.connect)
    remembered.tell(ledger, 0)
    decide(ledger, "a", effect="deny")
    decide(ledger, "b", BEN, effect="deny")
    remembered.tell(ledger, 0)
    assert len(memory.calls["codex"]) == 1


def test_a_call_without_an_outcome_is_told_after_ten_minutes(paths: Paths, ledger: Ledger) -> None:
    memory = Memory()
    remembered = RememberedCalls(paths, memory.connect)
    remembered.tell(ledger, 0)
    decide(ledger, "a")
    then = ledger.events.newest(1)[0].at_us
    remembered.tell(ledger, then + 599_000_000)
    assert memory.calls["claude"] == []
    remembered.tell(ledger, then + 600_000_000)
    assert [call.outcome for call in memory.calls["claude"]] == ["no result"]
