"""Approvals: asked once, answered once, used once, and found again by the same call."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from pktui.gateway.enforcement.decision import Decision, Ruling, ToolCall
from pktui.gateway.enforcement.denial import words
from pktui.ledger.records import Caller
from tests.gateway.conftest import enforcer_of

if TYPE_CHECKING:
    from tests.gateway.conftest import House

ASK = {"write": {"action": "approve", "reason": "Writes need a look."}}


def held(house: House, **arguments: object) -> tuple[ToolCall, Decision]:
    house.policy(tools=ASK)
    house.attend()
    call = house.call("write", arguments)
    decision = house.enforcer.decide(call)
    assert decision.ruling is Ruling.HOLD
    return call, decision


def test_with_nobody_at_the_console_the_call_is_not_held(house: House) -> None:
    house.policy(tools=ASK)
    decision = house.decide("write", path="a")
    assert decision.ruling is Ruling.WAITING
    assert decision.approval is not None
    assert decision.reason == "Writes need a look."
    row = house.row(decision.call_id)
    assert (row.effect, row.outcome, row.approval_id) == (
        "approve", "waiting", decision.approval.id,
    )  # fmt: skip


def test_an_undecided_call_goes_on_waiting(house: House) -> None:
    call, decision = held(house)
    assert house.enforcer.resume(call, decision, hold=True).ruling is Ruling.HOLD


def test_an_allowed_call_goes_out_once(house: House) -> None:
    call, decision = held(house, path="a")
    house.answer(allow=True)
    assert house.enforcer.resume(call, decision, hold=True).ruling is Ruling.FORWARD
    house.enforcer.settle(call, "ok", 7)
    row = house.row(call.call_id)
    assert (row.effect, row.outcome, row.duration_us) == ("approve", "ok", 7)
    assert house.decide("write", path="a").ruling is Ruling.HOLD


def test_a_denied_call_hears_the_persons_words(house: House) -> None:
    call, decision = held(house)
    house.answer(allow=False, words="Use the staging table.")
    final = house.enforcer.resume(call, decision, hold=True)
    assert final.ruling is Ruling.DENIED_BY_PERSON
    assert final.approval is not None
    assert final.approval.words == "Use the staging table."
    assert house.row(call.call_id).outcome == "denied"


def test_a_call_whose_time_is_up_waits_on_without_being_held(house: House) -> None:
    call, decision = held(house)
    assert house.enforcer.resume(call, decision, hold=False).ruling is Ruling.WAITING
    assert len(house.console.approvals.pending()) == 1


def test_the_same_call_meets_its_answer_later(house: House) -> None:
    house.policy(tools=ASK)
    house.decide("write", path="a", n=1)
    house.answer(allow=True)
    assert house.decide("write", n=1, path="a").ruling is Ruling.FORWARD
    assert house.decide("write", n=1, path="a").ruling is Ruling.WAITING


def test_the_same_call_joins_the_question_that_is_open(house: House) -> None:
    house.policy(tools=ASK)
    first, second = house.decide("write"), house.decide("write")
    assert first.approval is not None
    assert second.approval is not None
    assert first.approval.id == second.approval.id


def test_a_denial_answers_the_same_call_until_it_lapses(house: House) -> None:
    house.policy(tools=ASK)
    house.decide("write")
    house.answer(allow=False, words="No.")
    assert house.decide("write").ruling is Ruling.DENIED_BY_PERSON
    house.clock.pass_seconds(601)
    assert house.decide("write").ruling is Ruling.WAITING


def test_an_answer_is_for_these_arguments_and_this_client_only(house: House) -> None:
    house.policy(tools=ASK)
    house.decide("write", path="a")
    house.answer(allow=True)
    assert house.decide("write", path="b").ruling is Ruling.WAITING
    other = house.call("write", {"path": "a"}, caller=Caller("other", "", "s9", "/work"))
    assert house.enforcer.decide(other).ruling is Ruling.WAITING


def test_nobody_answering_in_time_is_a_denial_of_its_own_kind(house: House) -> None:
    call, decision = held(house)
    assert not house.enforcer.is_over(decision)
    house.clock.pass_seconds(600)
    assert house.enforcer.is_over(decision)
    assert house.enforcer.resume(call, decision, hold=True).ruling is Ruling.EXPIRED
    assert house.row(call.call_id).outcome == "expired"


def test_a_deny_set_meanwhile_beats_the_persons_yes(house: House) -> None:
    call, decision = held(house)
    house.answer(allow=True)
    house.policy(tools={"write": {"action": "deny", "reason": "Closed."}})
    final = house.enforcer.resume(call, decision, hold=True)
    assert (final.ruling, final.reason) == (Ruling.DENIED_BY_RULE, "Closed.")
    assert house.row(call.call_id).outcome == "denied"


def test_a_policy_that_now_allows_lets_the_held_call_go(house: House) -> None:
    call, decision = held(house)
    house.policy(tools={"write": {}})
    assert house.enforcer.resume(call, decision, hold=True).ruling is Ruling.FORWARD
    assert house.console.approvals.pending() == ()


def test_a_tool_hidden_meanwhile_is_unknown(house: House) -> None:
    call, decision = held(house)
    house.policy(hide=["write"])
    assert house.enforcer.resume(call, decision, hold=True).ruling is Ruling.UNKNOWN


def test_a_quota_used_up_meanwhile_refuses_and_leaves_the_answer_unused(house: House) -> None:
    limit = {"counter": "c", "window": "minute", "max": 1, "scope": "server"}
    call, decision = held(house)
    house.answer(allow=True)
    house.policy(tools={**ASK, "echo": {}}, all_tools={"limits": [limit]})
    assert house.decide("echo").ruling is Ruling.FORWARD
    final = house.enforcer.resume(call, decision, hold=True)
    assert final.ruling is Ruling.OVER_QUOTA
    assert decision.approval is not None
    approval = house.console.approvals.get(decision.approval.id)
    assert approval is not None
    assert approval.status == "allowed"


def test_of_two_identical_held_calls_one_runs_and_the_other_asks_anew(house: House) -> None:
    first, one = held(house)
    second = house.call("write")
    two = house.enforcer.decide(second)
    house.answer(allow=True)
    assert house.enforcer.resume(first, one, hold=True).ruling is Ruling.FORWARD
    again = house.enforcer.resume(second, two, hold=True)
    assert again.ruling is Ruling.HOLD
    assert again.approval is not None
    assert one.approval is not None
    assert again.approval.id != one.approval.id


def test_an_answer_dies_with_a_changed_definition(house: House) -> None:
    house.policy(tools=ASK)
    house.enforcer.saw([{"name": "write", "description": "one"}])
    house.decide("write")
    house.answer(allow=True)
    house.enforcer.saw([{"name": "write", "description": "two"}])
    decision = house.decide("write")
    assert decision.ruling is Ruling.WAITING
    assert decision.rule == "(definition changed)"


def test_an_answer_outlives_the_first_listing_of_its_tool(house: House) -> None:
    call, decision = held(house, path="a")
    house.answer(allow=True)
    house.enforcer.saw([{"name": "write", "inputSchema": {"type": "object"}}], next_cursor="more")
    assert house.enforcer.resume(call, decision, hold=True).ruling is Ruling.FORWARD


def test_a_cancelled_call_takes_its_question_back(house: House) -> None:
    call, decision = held(house)
    assert house.enforcer.withdraw(call, decision).ruling is Ruling.WITHDRAWN
    assert house.console.approvals.pending() == ()
    assert house.row(call.call_id).outcome == "cancelled"


def test_an_answer_to_a_question_asked_unlisted_is_not_for_a_changed_definition(
    house: House,
) -> None:
    house.policy(tools=ASK)
    house.decide("write")
    house.answer(allow=True)
    house.enforcer.saw([{"name": "write", "description": "one"}])
    house.enforcer.saw([{"name": "write", "description": "two"}])
    assert house.decide("write").ruling is Ruling.WAITING


def test_a_permission_for_another_definition_is_taken_back(house: House) -> None:
    house.policy(tools=ASK)
    house.enforcer.saw([{"name": "write", "description": "one"}])
    first = house.decide("write").approval
    assert first is not None
    house.answer(allow=True)
    house.enforcer.saw([{"name": "write", "description": "two"}])
    house.decide("write")
    house.enforcer.saw([{"name": "write", "description": "one"}])
    assert house.decide("write").ruling is Ruling.WAITING
    found = house.console.approvals.get(first.id)
    assert found is not None
    assert found.status == "withdrawn"


def test_a_definition_that_changes_while_a_call_is_held_is_asked_about(house: House) -> None:
    house.enforcer.saw([{"name": "write", "description": "one"}])
    call, decision = held(house)
    before = house.enforcer.state()
    house.enforcer.saw([{"name": "write", "description": "two"}])
    assert house.enforcer.state() != before
    again = house.enforcer.resume(call, decision, hold=True)
    assert again.ruling is Ruling.HOLD
    [asked] = house.console.approvals.pending()
    assert asked.rule == "(definition changed)"
    house.answer(allow=True)
    assert house.enforcer.resume(call, again, hold=True).ruling is Ruling.FORWARD


def test_of_two_identical_held_calls_one_that_leaves_takes_only_itself_back(house: House) -> None:
    first, one = held(house)
    second = house.call("write")
    two = house.enforcer.decide(second)
    house.enforcer.withdraw(first, one)
    assert house.enforcer.resume(second, two, hold=True).ruling is Ruling.HOLD
    house.answer(allow=True)
    assert house.enforcer.resume(second, two, hold=True).ruling is Ruling.FORWARD


def test_a_stop_denies_what_is_held_and_what_comes(house: House) -> None:
    call, decision = held(house)
    house.console.approvals.stop(by="console")
    assert house.enforcer.resume(call, decision, hold=True).ruling is Ruling.STOPPED
    assert house.row(call.call_id).outcome == "denied"
    assert house.decide("write").ruling is Ruling.STOPPED
    house.console.approvals.release(by="console")
    assert house.decide("write").ruling is Ruling.DENIED_BY_PERSON


@pytest.mark.parametrize(
    "definition",
    [
        {"name": "records", "description": "Deletes all records."},
        {"name": "records", "annotations": {"destructiveHint": True}},
    ],
)
def test_a_tool_whose_definition_says_that_it_destroys_is_asked_about_each_time(
    house: House, definition: dict[str, object]
) -> None:
    house.policy(tools={"records": {"action": "approve"}})
    house.enforcer.saw([definition])
    approval = house.decide("records").approval
    assert approval is not None
    assert approval.once


def test_who_asks_for_more_than_can_be_kept_is_denied_but_keeps_its_answers(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.ledger.allowance._ROWS", 5)
    house.policy(tools=ASK)
    first = house.decide("write", path="0")
    assert first.approval is not None
    house.answer(allow=True)
    for number in range(1, 5):
        house.decide("write", path=str(number))
    for path in ("4", "5"):
        refused = house.decide("write", path=path)
        assert (refused.ruling, refused.rule) == (Ruling.DENIED_BY_RULE, "(too many)")
    assert house.decide("write", path="0").ruling is Ruling.FORWARD
    house.clock.pass_seconds(3600)
    assert house.decide("write", path="5").ruling is Ruling.WAITING


def test_a_client_that_asks_too_much_is_denied_until_its_questions_are_answered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.ledger.approvals.approvals.MOST_OPEN", 3)
    house.policy(tools=ASK)
    waiting = [house.decide("write", path=str(number)) for number in range(3)]
    refused = house.decide("write", path="3")
    assert (refused.ruling, refused.rule) == (Ruling.DENIED_BY_RULE, "(too many)")
    assert house.row(refused.call_id).effect == "deny"
    assert house.decide("write", path="2").ruling is Ruling.WAITING
    assert waiting[0].approval is not None
    house.console.approvals.withdraw(waiting[0].approval.id)
    assert house.decide("write", path="3").ruling is Ruling.WAITING


def test_a_rule_set_meanwhile_does_not_let_the_first_arguments_out(house: House) -> None:
    call, decision = held(house, path="a")
    house.answer(allow=True, changed={"path": "b"})
    house.policy(tools={"write": {}})
    final = house.enforcer.resume(call, decision, hold=True)
    assert (final.ruling, final.changed) == (Ruling.FORWARD, {"path": "b"})


def test_a_caller_that_cannot_change_a_call_is_told_how_to_call(house: House) -> None:
    house.enforcer = enforcer_of(
        *(house.ledger, house.policy_file, house.clock, house.said), carries_changes=False
    )
    call, decision = held(house, path="a")
    house.answer(allow=True, changed={"path": "b"})
    final = house.enforcer.resume(call, decision, hold=True)
    assert final.ruling is Ruling.CHANGED
    assert '{"path":"b"}' in words(final, house.clock())
    assert house.decide("write", path="b").ruling is Ruling.FORWARD
    assert house.decide("write", path="b").ruling is Ruling.HOLD


def test_a_permission_for_changed_arguments_is_void_where_the_row_was_edited(house: House) -> None:
    house.policy(tools=ASK)
    house.decide("write", path="a")
    house.answer(allow=True, changed={"path": "b"})
    with sqlite3.connect(house.ledger.path) as raw:
        raw.execute("UPDATE approvals SET changed = ?", ('{"path":"/etc/passwd"}',))
    assert house.decide("write", path="a").ruling is Ruling.WAITING
