from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pktui.policy.evaluate import Effect, evaluate
from pktui.policy.memory_quota import MemoryQuota
from tests.policy.build import START_US, Clock, call, decide, effect, policy, tool


def when(path: str, op: str, value: Any) -> dict[str, Any]:
    return {"conditions": [{"path": path, "op": op, "value": value}]}


def capped(maximum: int = 1, **members: Any) -> dict[str, Any]:
    return {"counter": "c", "window": "minute", "max": maximum} | members


def test_without_a_policy_every_call_is_denied() -> None:
    assert decide(None).rule == "(no policy)"
    assert decide(None).effect is Effect.DENY


def test_hidden_beats_everything() -> None:
    rules = policy(hide=["t", "db_*"], tools={"t": {"action": "deny"}})
    assert (decide(rules).effect, decide(rules).rule) == ("hide", "(hidden)")
    assert effect(rules, "db_x") == "hide"
    assert effect(policy(hide=["*"]), "anything") == "hide"


@pytest.mark.parametrize("default", ["allow", "deny", "approve"])
def test_an_unlisted_tool_meets_the_default(default: str) -> None:
    verdict = decide(policy(default=default))
    assert (verdict.effect, verdict.rule) == (default, f"(default {default})")
    assert verdict.reason


def test_a_name_too_long_for_any_rule_is_denied() -> None:
    assert decide(policy(default="allow"), "x" * 257).rule == "(bad name)"


def test_deny_comes_before_conditions_and_gives_the_authors_reason() -> None:
    verdict = decide(tool(action="deny", reason="Not here.", approve_if=[{"conditions": []}]))
    assert (verdict.effect, verdict.rule, verdict.reason) == ("deny", "/tools/t", "Not here.")


def test_predicates_name_their_rule_by_path_and_operator() -> None:
    rules = tool(
        require=[when("args.reason", "exists", True)],
        deny_if=[when("args.amount", "gt", 10000) | {"on_deny": "Over the cap."}],
        approve_if=[when("args.amount", "gt", 100)],
    )
    assert decide(rules).rule == "/tools/t/require/args.reason-exists"
    assert decide(rules, reason="x", amount=20000).reason == "Over the cap."
    assert decide(rules, reason="x", amount=200).rule == "/tools/t/approve_if/args.amount-gt"
    assert "args.amount is over 100" in decide(rules, reason="x", amount=200).reason
    assert effect(rules, reason="x", amount=100) == "allow"


def test_predicates_with_none_or_several_conditions_are_named_by_index() -> None:
    two = when("args.a", "eq", 1)["conditions"] + when("args.b", "eq", 1)["conditions"]
    assert decide(tool(deny_if=[{"conditions": two}]), a=1, b=1).rule == "/tools/t/deny_if/0"
    assert decide(tool(deny_if=[{"conditions": []}])).rule == "/tools/t/deny_if/0"
    assert effect(tool(deny_if=[{"conditions": two}]), a=1) == "allow"


def test_rule_names_escape_slashes_and_tildes() -> None:
    assert decide(policy(tools={"a/b~c": {"action": "deny"}}), "a/b~c").rule == "/tools/a~1b~0c"


def test_a_used_up_limit_denies_before_anyone_is_asked_and_says_when_to_retry() -> None:
    rules, clock = tool(action="approve", limits=[capped()]), Clock()
    quota = MemoryQuota(clock)
    first = evaluate(rules, call(), quota)
    assert first.effect == "approve"
    assert quota.reserve(first.charges, "1") is None
    clock.forward(10)
    second = evaluate(rules, call(), quota)
    assert (second.effect, second.rule) == ("deny", "/tools/t/limits/c")
    assert second.over_limit
    assert second.retry_at_us == START_US + 60_000_000
    assert "Try again after 2027-01-15 08:01:00 UTC" in second.reason


def test_limits_tell_what_remains() -> None:
    quota = MemoryQuota(Clock())
    rules = tool(limits=[capped(3)])
    for left in (3, 2, 1):
        verdict = evaluate(rules, call(), quota)
        assert verdict.usages[0].remaining == left
        quota.reserve(verdict.charges, str(left))
    assert evaluate(rules, call(), quota).effect == "deny"


def test_tool_limits_come_before_those_of_all_tools() -> None:
    rules = policy(
        all_tools={"limits": [capped(0)]}, tools={"t": {"limits": [capped(0, counter="own")]}}
    )
    assert decide(rules).rule == "/tools/t/limits/own"
    open_rules = policy(all_tools={"limits": [capped(0)]}, default="allow")
    assert decide(open_rules).rule == "/all_tools/limits/c"


@pytest.mark.parametrize(
    ("scope", "holder"),
    [("grant", "grant:g"), ("session", "session:g-session"), ("server", "server:")],
)
def test_a_scope_decides_whose_quota_it_is(scope: str, holder: str) -> None:
    (charge,) = decide(tool(limits=[capped(scope=scope)])).charges
    assert charge.holder == holder


@pytest.mark.parametrize("amount", [None, -1, "5", True, [5], -0.5, "missing"])
def test_an_amount_that_cannot_be_counted_denies(amount: Any) -> None:
    rules = tool(limits=[capped(100, increment_from="args.n")])
    verdict = decide(rules) if amount == "missing" else decide(rules, n=amount)
    assert (verdict.effect, verdict.rule) == ("deny", "/tools/t/limits/c")
    assert "args.n must be a number" in verdict.reason


@pytest.mark.parametrize(
    ("amount", "counted"),
    [(5, "5"), (0, "0"), (0.1, "0.1"), (Decimal("1e-9"), "0.000001"), (2.5, "2.5")],
)
def test_amounts_are_counted_in_millionths_rounded_up(amount: Any, counted: str) -> None:
    rules = tool(limits=[capped(100, increment_from="args.n")])
    (charge,) = decide(rules, n=amount).charges
    assert charge.amount == Decimal(counted)


@pytest.mark.parametrize("amount", [101, 1e300, Decimal("1e400"), 10**300])
def test_an_amount_over_the_whole_limit_is_not_told_to_wait(amount: Any) -> None:
    verdict = decide(tool(limits=[capped(100, increment_from="args.n")]), n=amount)
    assert verdict.effect == "deny"
    assert "Try again" not in verdict.reason
    assert verdict.retry_at_us == 0


def test_a_changed_definition_is_asked_about_but_never_lifts_a_deny() -> None:
    def changed(rules: Any) -> tuple[str, str, bool]:
        quota = MemoryQuota(Clock())
        verdict = evaluate(rules, call(), quota, definition_changed=True)
        return verdict.effect, verdict.rule, verdict.once

    assert changed(tool()) == ("approve", "(definition changed)", True)
    assert changed(tool(action="deny"))[:2] == ("deny", "/tools/t")
    assert changed(tool(limits=[capped(0)]))[0] == "deny"
    assert changed(policy(hide=["t"]))[0] == "hide"


def test_a_trace_names_everything_that_was_asked() -> None:
    rules = tool(require=[when("args.a", "exists", True)], limits=[capped()])
    verdict = evaluate(rules, call("t", {"a": 1}), MemoryQuota(Clock()), trace=True)
    assert [step.name for step in verdict.steps] == [
        "(hidden)", "/tools/t", "/tools/t/require/args.a-exists", "/tools/t/limits/c",
    ]  # fmt: skip
    assert verdict.steps[-1].detail == "0 of 1 used"
