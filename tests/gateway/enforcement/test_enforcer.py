"""The Enforcer: what it decides, what it puts on record, and that doubt means no."""

from __future__ import annotations

import json

import pytest

from pktui.gateway.enforcement.decision import Ended, Outcome, Ruling
from pktui.ledger.records import Caller
from tests.gateway.conftest import CALLER, House

ONE_A_MINUTE = {"counter": "calls", "window": "minute", "max": 1, "scope": "grant"}


def test_an_allowed_call_is_on_record_before_it_goes_out(house: House) -> None:
    house.policy(tools={"echo": {}})
    decision = house.decide(a=1)
    assert decision.ruling is Ruling.FORWARD
    row = house.row(decision.call_id)
    assert (row.effect, row.tool, row.arguments, row.outcome) == ("allow", "echo", '{"a":1}', "")


def test_a_denied_call_carries_its_rule_and_reason(house: House) -> None:
    house.policy(tools={"echo": {"action": "deny", "reason": "Not now."}})
    decision = house.decide()
    assert (decision.ruling, decision.rule, decision.reason) == (
        Ruling.DENIED_BY_RULE, "/tools/echo", "Not now.",
    )  # fmt: skip
    assert house.row(decision.call_id).effect == "deny"


def test_a_hidden_tool_is_an_unknown_tool(house: House) -> None:
    house.policy(hide=["secret"])
    assert house.decide("secret").ruling is Ruling.UNKNOWN
    policy = house.enforcer.policy()
    assert policy is not None
    assert [policy.lists(name) for name in ("secret", "echo")] == [False, True]
    assert house.enforcer.hides("secret")
    assert not house.enforcer.hides("echo")


def test_an_edit_counts_from_the_next_call(house: House) -> None:
    house.policy(tools={"echo": {}})
    assert house.decide().ruling is Ruling.FORWARD
    house.policy(tools={"echo": {"action": "deny"}})
    assert house.decide().ruling is Ruling.DENIED_BY_RULE


def test_without_a_policy_a_person_decides(house: House) -> None:
    assert house.decide().ruling is Ruling.WAITING


def test_a_policy_that_cannot_be_read_denies_and_says_why(house: House) -> None:
    house.policy_file.write_text("{")
    decision = house.decide()
    assert decision.ruling is Ruling.DENIED_BY_RULE
    assert str(house.policy_file) in decision.reason


@pytest.mark.parametrize(
    ("outcome", "next_ruling"),
    [
        ("ok", Ruling.OVER_QUOTA),
        ("tool_error", Ruling.OVER_QUOTA),
        ("cancelled", Ruling.OVER_QUOTA),
        ("error", Ruling.FORWARD),
        ("lost", Ruling.OVER_QUOTA),
    ],
)
def test_only_a_call_that_the_server_refused_gives_its_quota_back(
    house: House, outcome: Outcome, next_ruling: Ruling
) -> None:
    house.policy(tools={"echo": {"limits": [ONE_A_MINUTE]}})
    call = house.call()
    assert house.enforcer.decide(call).ruling is Ruling.FORWARD
    house.enforcer.settle(call, outcome, 5)
    assert house.row(call.call_id).outcome == outcome
    assert house.decide().ruling is next_ruling


@pytest.mark.parametrize("outcome", ["lost", "cancelled"])
def test_a_call_that_never_left_gives_its_quota_back_and_says_so(
    house: House, outcome: Outcome
) -> None:
    house.policy(tools={"echo": {"limits": [ONE_A_MINUTE]}})
    call = house.call()
    house.enforcer.decide(call)
    house.enforcer.settle_all([Ended(call, outcome, 5, sent=False)])
    row = house.row(call.call_id)
    assert (row.outcome, json.loads(row.outcome_detail)) == (outcome, {"sent": False})
    assert house.decide().ruling is Ruling.FORWARD


def test_an_exhausted_quota_says_when_to_try_again(house: House) -> None:
    house.policy(tools={"echo": {"limits": [ONE_A_MINUTE]}})
    house.decide()
    decision = house.decide()
    assert decision.ruling is Ruling.OVER_QUOTA
    assert decision.retry_at_us == house.clock.now + 60_000_000
    house.clock.pass_seconds(60)
    assert house.decide().ruling is Ruling.FORWARD


def test_a_quota_is_looked_at_before_a_person_is_asked(house: House) -> None:
    house.policy(tools={"echo": {"limits": [ONE_A_MINUTE], "approve_if": [{"conditions": [
        {"path": "args.big", "op": "eq", "value": True}]}]}})  # fmt: skip
    house.decide()
    assert house.decide(big=True).ruling is Ruling.OVER_QUOTA
    assert house.console.approvals.pending() == ()


def test_when_everything_is_stopped_nothing_passes(house: House) -> None:
    house.policy()
    house.console.approvals.stop(by="console")
    decision = house.decide()
    assert (decision.ruling, decision.rule) == (Ruling.STOPPED, "(stopped)")
    house.console.approvals.release(by="console")
    assert house.decide().ruling is Ruling.FORWARD


def test_a_call_that_cannot_be_recorded_does_not_happen(house: House) -> None:
    house.policy()
    house.ledger.path.unlink()
    decision = house.decide()
    assert decision.ruling is Ruling.BROKEN
    assert str(house.ledger.path) in decision.reason
    assert house.said


def test_an_end_that_cannot_be_recorded_is_recorded_with_the_next(house: House) -> None:
    house.policy(tools={"echo": {"limits": [ONE_A_MINUTE | {"max": 3}]}})
    calls = [house.call() for _ in range(3)]
    for call in calls:
        assert house.enforcer.decide(call).ruling is Ruling.FORWARD
    house.ledger._database.row("PRAGMA busy_timeout=0")
    with house.console.transaction():
        house.enforcer.settle(calls[0], "error", 5)
        house.enforcer.settle(calls[1], "ok", 6)
    assert [house.row(call.call_id).outcome for call in calls] == ["", "", ""]
    assert "is not on record yet" in house.said[0]
    assert house.decide().ruling is Ruling.OVER_QUOTA
    house.enforcer.settle(calls[2], "ok", 7)
    rows = [house.row(call.call_id) for call in calls]
    assert [(row.outcome, row.duration_us) for row in rows] == [("error", 5), ("ok", 6), ("ok", 7)]
    assert house.decide().ruling is Ruling.FORWARD
    assert len([event for event in house.console.events.tail(0, 100) if event.outcome]) == 3


def test_a_continued_call_is_judged_but_not_charged_again(house: House) -> None:
    house.policy(tools={"ask": {"limits": [ONE_A_MINUTE]}})
    assert house.decide("ask").ruling is Ruling.FORWARD
    continued = house.call("ask", continues="call-0")
    assert house.enforcer.decide(continued).ruling is Ruling.FORWARD
    house.policy(tools={"ask": {"action": "approve"}})
    assert house.enforcer.decide(continued).ruling is Ruling.WAITING
    house.policy(tools={"ask": {"action": "deny"}})
    assert house.enforcer.decide(continued).ruling is Ruling.DENIED_BY_RULE


def test_a_changed_definition_is_held_for_a_person_until_it_is_accepted(house: House) -> None:
    house.policy(tools={"echo": {}})
    house.enforcer.saw([{"name": "echo", "description": "Harmless."}])
    assert house.decide().ruling is Ruling.FORWARD
    house.enforcer.saw([{"name": "echo", "description": "Not so harmless."}])
    assert house.decide().rule == "(definition changed)"
    house.console.catalogue.accept("demo", "echo")
    assert house.decide().ruling is Ruling.FORWARD


def test_preview_decides_alike_and_leaves_no_trace(house: House) -> None:
    house.policy(tools={"echo": {"limits": [ONE_A_MINUTE]}})
    before = house.console.events.last_seq()
    for _ in range(3):
        verdict = house.enforcer.preview(house.call())
        assert verdict.effect == "allow"
        assert verdict.steps
    assert house.console.events.last_seq() == before
    assert house.decide().ruling is Ruling.FORWARD


def test_limits_of_a_grant_are_shared_by_its_connections(house: House) -> None:
    house.policy(tools={"echo": {"limits": [ONE_A_MINUTE]}})
    first = Caller("a", "team", "s1", "/x")
    second = Caller("b", "team", "s2", "/y")
    other = Caller("a", "", "s3", "/x")
    rulings = [
        house.enforcer.decide(house.call(caller=caller)).ruling for caller in (first, second, other)
    ]
    assert rulings == [Ruling.FORWARD, Ruling.OVER_QUOTA, Ruling.FORWARD]


def test_the_chain_holds_after_all_kinds_of_ends(house: House) -> None:
    house.policy(tools={"echo": {}, "ask": {"action": "approve"}})
    call = house.call()
    house.enforcer.decide(call)
    house.enforcer.settle(call, "error", 1)
    house.attend()
    held = house.call("ask")
    house.enforcer.withdraw(held, house.enforcer.decide(held))
    assert house.row(held.call_id).outcome == "cancelled"
    assert house.console.verify().ok


def test_the_caller_is_on_record(house: House) -> None:
    house.policy()
    row = house.row(house.decide().call_id)
    assert (row.agent, row.session, row.project) == (CALLER.agent, CALLER.session, CALLER.project)


def test_one_agent_that_is_stopped_calls_nothing_and_others_go_on(house: House) -> None:
    house.policy()
    house.console.approvals.stop(by="ada", whom=CALLER.place)
    stopped = house.decide("echo")
    assert (stopped.ruling, stopped.rule) == (Ruling.STOPPED, "(stopped)")
    assert "this agent's tool calls" in stopped.reason
    other = house.enforcer.decide(house.call(caller=Caller("other", session="s2", project="/work")))
    assert other.ruling is Ruling.FORWARD
    assert house.console.approvals.release(by="ada", whom=CALLER.place)
    assert house.decide("echo").ruling is Ruling.FORWARD
    assert house.console.verify().ok
