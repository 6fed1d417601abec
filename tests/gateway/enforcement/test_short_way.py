"""The short way decides as the long way does: every call goes both."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.gateway.enforcement.decision import Ruling
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.policy_file import ServerPolicy
from pktui.settings import ApprovalSettings
from tests.gateway.conftest import CALLER, House
from tests.policy.test_properties import ARGUMENTS, DOCUMENTS, NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.gateway.enforcement.decision import Decision, ToolCall
    from pktui.policy.evaluate import Charge, Verdict

SERVERS = itertools.count()
WAYS = ("short", "long")
TYPES = st.sampled_from(["integer", "string", "boolean"])
SCHEMAS = st.dictionaries(st.sampled_from(["x", "y", "X"]), TYPES, max_size=2)
CALLED = st.tuples(st.just("call"), NAMES, ARGUMENTS | st.just({"X": 1, "path": "/denied/x"}))
STEPS = st.lists(
    CALLED
    | CALLED
    | CALLED
    | st.tuples(st.just("list"), NAMES, SCHEMAS)
    | st.tuples(st.just("wait"), st.integers(0, 70), st.none())
    | st.tuples(st.just("stop"), st.booleans(), st.none())
    | st.tuples(st.just("spend"), st.sampled_from(["", "The budget is spent."]), st.none()),
    min_size=4,
    max_size=16,
)
TAKEN: list[str] = []


class Both:
    """Two enforcers with ledgers of their own, by one policy and at one time."""

    def __init__(self, houses: tuple[House, House], document: dict[str, Any]) -> None:
        self.houses = houses
        self.server = f"demo{next(SERVERS)}"
        self.file = houses[0].policy_file.with_name(f"{self.server}.json")
        self.file.write_text(json.dumps(document))
        self.enforcers = [self._enforcer(house) for house in houses]
        self.numbers = itertools.count()
        self.spent = ""

    def _enforcer(self, house: House) -> Enforcer:
        policy = ServerPolicy(self.server, self.file, needed=True, changed=lambda *_: None)
        return Enforcer(
            *(house.ledger, policy, ApprovalSettings(), self.server),
            clock=house.clock,
            log=house.said.append,
            spent=lambda _caller: self.spent,
        )

    def call(self, tool: str, arguments: dict[str, Any]) -> tuple[Decision, Decision]:
        call_id = f"{self.server}-{next(self.numbers)}"
        first, second = self.enforcers
        call = self.houses[0].call(tool, arguments)
        decisions = []
        for way, enforcer in zip(WAYS, (first, second), strict=True):
            enforcer._short_way.find = Watched(enforcer, way)  # type: ignore[method-assign]
            this = type(call)(call_id, tool, arguments, CALLER)
            decisions.append(enforcer.decide(this, hold=False))
        return decisions[0], decisions[1]


class Watched:
    """Notes who went the short way; the long way is the only one where that is wanted."""

    def __init__(self, enforcer: Enforcer, way: str) -> None:
        self._short_way = enforcer._short_way
        self._way = way

    def __call__(self, call: ToolCall, policy: Any) -> tuple[Verdict, tuple[Charge, ...]] | None:
        found = type(self._short_way).find(self._short_way, call, policy)
        if self._way == "long":
            return None
        if found is not None:
            TAKEN.append(call.call_id)
        return found


@pytest.fixture
def houses(house: House, tmp_path: Path) -> Any:
    from pktui.settings import Paths
    from tests.gateway.conftest import open_house

    with open_house(Paths.at(tmp_path / "other-config", tmp_path / "other-data")) as other:
        yield house, other


def test_every_call_is_decided_alike(houses: tuple[House, House]) -> None:
    TAKEN.clear()

    @settings(derandomize=True, max_examples=150, deadline=None)
    @given(DOCUMENTS, STEPS, st.booleans())
    def alike(document: dict[str, Any], steps: list[Any], denied: bool) -> None:
        decide_alike(houses, document, steps, denied)

    alike()
    assert len(TAKEN) > 100


def decide_alike(
    houses: tuple[House, House], document: dict[str, Any], steps: list[Any], denied: bool
) -> None:
    paths = houses[0].policy_file.with_name("_paths.json")
    paths.unlink(missing_ok=True)
    if denied:
        paths.write_text('{"version": "1", "deny": ["/denied/**"]}')
    both = Both(houses, document)
    for kind, what, with_what in steps:
        if kind == "spend":
            both.spent = what
        for house, enforcer in zip(houses, both.enforcers, strict=True):
            if kind == "wait":
                house.clock.pass_seconds(what)
            elif kind == "list":
                members = {name: {"type": of} for name, of in with_what.items()}
                schema = {"type": "object", "properties": members}
                enforcer.saw([{"name": what, "inputSchema": schema}])
            elif kind == "stop":
                approvals = house.console.approvals
                approvals.stop(by="test") if what else approvals.release(by="test")
        if kind == "call":
            short, long = both.call(what, with_what)
            shown = [
                (one.ruling, one.rule, one.reason, one.retry_at_us, one.approval is None)
                for one in (short, long)
            ]
            assert shown[0] == shown[1]
            rows = [house.row(short.call_id) for house in houses]
            told = [
                (row.effect, row.rule, row.reason, row.args_hash, row.arguments, row.detail)
                for row in rows
            ]
            assert told[0] == told[1]
    for house in houses:
        house.console.approvals.release(by="test")


def test_what_holds_for_every_call_holds_on_the_short_way(houses: tuple[House, House]) -> None:
    both = Both(houses, {"version": "1", "default": "allow", "tools": {}})
    assert both.call("a", {})[0].ruling is Ruling.FORWARD
    both.spent = "The budget is spent."
    assert both.call("a", {})[0].rule == "(budget)"
    both.spent = ""
    houses[0].console.approvals.stop(by="test")
    assert both.call("a", {})[0].ruling is Ruling.STOPPED
