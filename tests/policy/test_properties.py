"""What holds for any policy and any call."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.gateway.enforcement.decision import Ruling, ToolCall
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.policy_file import ServerPolicy
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Caller
from pktui.policy.call_place import NOWHERE
from pktui.policy.document.policy import parse_policy
from pktui.policy.evaluate import Charge, Effect, evaluate
from pktui.policy.memory_quota import MemoryQuota
from pktui.policy.replay import PastCall, Replayer
from pktui.policy.text.jsontext import decode
from pktui.policy.text.layout import write_document
from pktui.policy.values import every
from pktui.settings import ApprovalSettings
from tests.policy.build import Clock, call
from tests.policy.test_memory_quota import MINUTE_US, charge
from tests.support.charging import give_back, take

NAMES = st.sampled_from(["a", "ab", "b", "db_x", "unlisted"])
VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", 0.5, [1], {}])
ARGUMENTS = st.dictionaries(st.sampled_from(["x", "y"]), VALUES, max_size=2)


def condition(op: str, value: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda path: {"path": path, "op": op, "value": value}, st.sampled_from(["args.x", "args.y"])
    )


CONDITIONS = st.one_of(
    condition("eq", 1), condition("neq", "a"), condition("in", [1, "a"]), condition("lt", 2),
    condition("gte", 0), condition("exists", True), condition("contains", 1),
    condition("not_in", ["b"]), condition("exists", False),
)  # fmt: skip


def predicates(least: int = 0) -> st.SearchStrategy[list[dict[str, Any]]]:
    some = st.lists(CONDITIONS, min_size=least, max_size=2)
    return st.lists(st.builds(lambda found: {"conditions": found}, some), max_size=2)


def limits(counter: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries(
            {
                "counter": st.just(counter),
                "window": st.sampled_from(["minute", 90, "hour"]),
                "max": st.integers(0, 3),
                "scope": st.sampled_from(["grant", "session", "server"]),
                "align": st.sampled_from(["sliding", "calendar"]),
            },
            optional={"increment_from": st.just("args.x")},
        ),
        max_size=1,
    )


RULES = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["allow", "deny", "approve"]),
        "reason": st.just("Because."),
        "require": predicates(1),
        "deny_if": predicates(),
        "approve_if": predicates(),
        "limits": limits("own"),
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "version": st.just("1"),
        "default": st.sampled_from(["allow", "deny", "approve"]),
        "tools": st.dictionaries(st.sampled_from(["a", "ab", "a*", "b", "db_*"]), RULES),
    },
    optional={
        "hide": st.lists(st.sampled_from(["b", "db_*", "a"]), unique=True, max_size=2),
        "all_tools": st.fixed_dictionaries({"limits": limits("shared")}),
    },
)
CALLS = st.lists(st.tuples(NAMES, ARGUMENTS, st.integers(0, 70)), min_size=1, max_size=8)

RULINGS = {
    Ruling.FORWARD: "allow", Ruling.UNKNOWN: "hide", Ruling.DENIED_BY_RULE: "deny",
    Ruling.OVER_QUOTA: "deny", Ruling.WAITING: "approve",
}  # fmt: skip


@settings(derandomize=True, max_examples=40, deadline=None)
@given(DOCUMENTS, CALLS)
def test_an_explanation_equals_the_gateways_decision(
    document: dict[str, Any], calls: list[tuple[str, dict[str, Any], int]]
) -> None:
    clock, ids = Clock(), itertools.count()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "p.json"
        path.write_text(json.dumps(document))
        ledger = Ledger.open(Path(directory) / "ledger.db", clock=clock)
        followed = ServerPolicy("s", path, needed=True, changed=lambda _digest, _problem: None)
        enforcer = Enforcer(ledger, followed, ApprovalSettings(), "s", clock=clock, log=print)
        replayer = Replayer(parse_policy(path.read_bytes()), start_us=clock(), server="s")
        same_counts = True
        for name, arguments, seconds in calls:
            clock.forward(seconds)
            subject = ToolCall(str(next(ids)), name, arguments, Caller("agent", "g", "s1", "/p"))
            explained = enforcer.preview(subject)
            decided = enforcer.decide(subject, hold=False)
            assert (explained.effect, explained.rule, explained.reason) == (
                RULINGS[decided.ruling], decided.rule, decided.reason,
            )  # fmt: skip
            told = replayer.decide(PastCall(name, arguments, clock(), "g", "s1"))
            if same_counts:
                assert told.decision == explained.effect
            same_counts = same_counts and explained.effect is not Effect.APPROVE
        ledger.close()


@settings(derandomize=True, max_examples=300, deadline=None)
@given(DOCUMENTS, NAMES, ARGUMENTS, st.booleans())
def test_deny_always_wins(
    document: dict[str, Any], name: str, arguments: dict[str, Any], changed: bool
) -> None:
    policy = parse_policy(json.dumps(document).encode())
    quota = MemoryQuota(Clock())
    verdict = evaluate(policy, call(name, arguments), quota, definition_changed=changed)
    rule = policy.rule_for(name)
    held = [every([c.test(arguments, NOWHERE) for c in check.conditions]) for check in rule.checks]
    denies = rule.action == "deny" or any(
        fulfilled is not (not check.denies_when)
        for fulfilled, check in zip(held, rule.checks, strict=True)
    )
    if denies:
        assert verdict.effect in (Effect.DENY, Effect.HIDE)
    if verdict.effect is Effect.ALLOW:
        assert not changed
        assert rule.action == "allow"
    assert verdict.rule
    assert verdict.reason


@settings(derandomize=True, max_examples=200, deadline=None)
@given(DOCUMENTS)
def test_loading_what_was_saved_gives_the_same_document(document: dict[str, Any]) -> None:
    saved = write_document(document)
    assert decode(saved.decode()) == document
    parse_policy(saved)


WORKER = """
import sys
from decimal import Decimal
from pathlib import Path
from pktui.ledger.ledger import Ledger
from pktui.policy.evaluate import Charge
from tests.support.charging import take
ledger = Ledger.open(Path(sys.argv[1]))
one = Charge("c", "grant:g", "s", 3_600_000_000, "sliding", Decimal(50), Decimal(1), "/r", "")
print(sum(take(ledger, [one], f"{sys.argv[2]}-{n}") is None for n in range(40)))
"""


def test_four_processes_never_admit_more_than_max(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(number)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for number in range(4)
    ]
    admitted = [int(worker.communicate()[0]) for worker in workers]
    assert sum(admitted) == 50


@settings(derandomize=True, max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 40), st.sampled_from(["ok", "error"])),
        max_size=30,
    )
)
def test_the_ledger_counts_as_the_memory_does(steps: list[tuple[int, int, str]]) -> None:
    clock = Clock()
    memory = MemoryQuota(clock)
    charges: list[Charge] = [charge(3), charge(3, "2"), charge(2, align="calendar")]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.db"
        connections = [Ledger.open(path, clock=clock) for _ in range(4)]
        admitted: list[int] = []
        for index, (which, seconds, outcome) in enumerate(steps):
            clock.forward(seconds)
            wanted = charges[index % 3]
            counters = connections[which].counters
            assert counters.usage(wanted) == (
                memory.usage(wanted).used, memory.usage(wanted).retry_at_us,
            )  # fmt: skip
            refused = take(connections[which], [wanted], str(index))
            assert (refused is None) is (memory.reserve([wanted], str(index)) is None)
            if refused is None and outcome == "error":
                give_back(connections[which], str(index))
                memory.release(str(index))
            elif refused is None and index % 3 == 0:
                admitted.append(clock.now_us)
        for at in admitted:
            assert sum(at <= other < at + MINUTE_US for other in admitted) <= 3
        for connection in connections:
            connection.close()
