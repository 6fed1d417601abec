"""Standing approvals at the gateway: what they let through, and what beats them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from pktui.gateway.enforcement.decision import Ruling
from pktui.ledger.approvals.standing import StandingApproval, Wider
from pktui.ledger.records import Caller
from tests.gateway.conftest import CALLER, House
from tests.gateway.wired import Wired
from tests.support.tampering import tamper

if TYPE_CHECKING:
    from collections.abc import Mapping

ASK = {"write": {"action": "approve", "reason": "Writes need a look."}}
TOOL = {"name": "write", "description": "Write a note."}
HALF_AN_HOUR = Wider(for_us=30 * 60_000_000)


@pytest.fixture
def asking(house: House) -> House:
    house.policy(tools=ASK)
    house.enforcer.saw([TOOL])
    return house


def stand(
    house: House, wider: Wider = HALF_AN_HOUR, arguments: Mapping[str, object] | None = None
) -> StandingApproval:
    """Ask for a call and allow it widely, as the console does."""
    asked = house.enforcer.decide(house.call("write", arguments or {"n": 0})).approval
    assert asked is not None
    made: StandingApproval = house.console.standing.allow(
        asked.id, wider, by="console", args_hash=asked.args_hash
    )[1]
    return made


def test_such_calls_run_and_say_by_what(asking: House) -> None:
    made = stand(asking)
    decision = asking.decide("write", n=1)
    assert decision.ruling is Ruling.FORWARD
    row = asking.row(decision.call_id)
    assert (row.effect, row.rule, row.approval_id) == ("allow", "/tools/write", made.id)
    assert row.reason == f"standing approval {made.id} by console"
    found = asking.console.standing.get(made.id)
    assert found is not None
    assert (found.uses, found.used_us) == (1, asking.clock())


def test_the_call_that_was_asked_about_uses_its_own_answer(asking: House) -> None:
    made = stand(asking)
    decision = asking.decide("write", n=0)
    assert decision.ruling is Ruling.FORWARD
    assert decision.approval is not None
    assert decision.approval.id == made.approval_id
    assert asking.decide("write", n=0).approval is None


def test_held_calls_that_it_is_for_go_out_too(house: House) -> None:
    wired = Wired(house)
    house.policy(tools=ASK)
    house.enforcer.saw([TOOL])
    house.attend()
    for number in (1, 2, 3):
        wired.call("write", {"n": number}, request_id=number)
    first = house.console.approvals.pending()[0]
    house.console.standing.allow(first.id, HALF_AN_HOUR, by="console", args_hash=first.args_hash)
    assert {wired.server.next()["id"] for _ in range(3)} == {1, 2, 3}
    assert house.console.approvals.pending() == ()
    statuses = [one.status for one in house.console.approvals.recent()]
    assert sorted(statuses) == ["spent", "withdrawn", "withdrawn"]
    assert house.console.verify().ok


@pytest.mark.parametrize(
    "caller",
    [Caller("other", "", "s1", "/work"), Caller("agent", "", "s1", "/else")],
)
def test_another_client_is_asked_about(asking: House, caller: Caller) -> None:
    stand(asking)
    call = asking.call("write", {"n": 1}, caller=caller)
    assert asking.enforcer.decide(call).ruling is Ruling.WAITING


def test_exact_means_these_arguments(asking: House) -> None:
    stand(asking, Wider(HALF_AN_HOUR.for_us, exact=True), {"n": 0})
    assert asking.decide("write", n=0).ruling is Ruling.FORWARD
    assert asking.decide("write", n=0).ruling is Ruling.FORWARD
    assert asking.decide("write", n=1).ruling is Ruling.WAITING


def when(*conditions: tuple[str, str, object]) -> Wider:
    return Wider(
        HALF_AN_HOUR.for_us,
        conditions=json.dumps(
            [dict(zip(("path", "op", "value"), one, strict=True)) for one in conditions]
        ),
    )


def test_conditions_say_which_calls_it_is_for(asking: House) -> None:
    stand(asking, when(("args.command", "command", "pytest *"), ("args.n", "lt", 5)))
    assert asking.decide("write", command="pytest -q", n=1).ruling is Ruling.FORWARD
    for arguments in (
        {"command": "pytest -q; rm x", "n": 1},  # not one simple command: can't be judged
        {"command": "pytest -q", "n": "1"},  # text where a number is wanted
        {"command": "pytest -q", "n": 5},
        {"command": "pytest -q"},
        {"command": "pytest -q", "n": 1, "Command": "rm x"},  # a name in another case
    ):
        decision = asking.enforcer.decide(asking.call("write", arguments))
        assert decision.ruling is Ruling.WAITING, arguments


def test_conditions_say_nothing_of_what_stands_beside_the_arguments(asking: House) -> None:
    stand(asking, when(("args.n", "lt", 5)))
    call = asking.call("write", {"n": 1})
    assert asking.enforcer.decide(call).ruling is Ruling.FORWARD
    more = msgspec.structs.replace(
        asking.call("write", {"n": 1}), beside={"inputResponses": {"confirm": "rm -rf"}}
    )
    assert asking.enforcer.decide(more).ruling is Ruling.WAITING


def test_conditions_that_cannot_be_read_answer_nothing(asking: House) -> None:
    stand(asking, Wider(HALF_AN_HOUR.for_us, conditions='[{"path": "args.n", "op": "like"}]'))
    assert asking.decide("write", n=1).ruling is Ruling.WAITING


def test_it_ends_with_its_time(asking: House) -> None:
    stand(asking)
    asking.clock.pass_seconds(30 * 60)
    assert asking.decide("write", n=1).ruling is Ruling.WAITING


def test_until_it_disconnects_is_for_this_connection(asking: House) -> None:
    stand(asking, Wider())
    assert asking.decide("write", n=1).ruling is Ruling.FORWARD
    again = Caller(CALLER.agent, "", "s2", CALLER.project)
    call = asking.call("write", {"n": 2}, caller=again)
    assert asking.enforcer.decide(call).ruling is Ruling.WAITING
    asking.console.standing.disconnected(CALLER.session)
    assert asking.decide("write", n=3).ruling is Ruling.WAITING


def test_a_revoked_one_counts_from_the_very_next_call(asking: House) -> None:
    made = stand(asking)
    assert asking.decide("write", n=1).ruling is Ruling.FORWARD
    asking.console.standing.revoke(made.id, by="console")
    assert asking.decide("write", n=2).ruling is Ruling.WAITING


def test_a_rule_that_denies_beats_it(asking: House) -> None:
    stand(asking)
    asking.policy(tools={"write": {"action": "deny", "reason": "Closed."}})
    assert asking.decide("write", n=1).ruling is Ruling.DENIED_BY_RULE
    asking.policy(hide=["write"])
    assert asking.decide("write", n=1).ruling is Ruling.UNKNOWN


def test_a_quota_beats_it_and_it_is_not_used(asking: House) -> None:
    limit = {"counter": "c", "window": "minute", "max": 1, "scope": "grant"}
    made = stand(asking)
    asking.policy(tools={"write": {"action": "approve", "limits": [limit]}})
    assert asking.decide("write", n=1).ruling is Ruling.FORWARD
    assert asking.decide("write", n=2).ruling is Ruling.OVER_QUOTA
    found = asking.console.standing.get(made.id)
    assert found is not None
    assert found.uses == 1


def test_a_persons_denial_of_the_very_call_beats_it(asking: House) -> None:
    asking.decide("write", n=1)
    asking.answer(allow=False, words="Not this one.")
    stand(asking)
    assert asking.decide("write", n=1).ruling is Ruling.DENIED_BY_PERSON
    assert asking.decide("write", n=2).ruling is Ruling.FORWARD


def test_a_stop_beats_it_and_a_release_brings_it_back(asking: House) -> None:
    stand(asking)
    asking.console.approvals.stop(by="console")
    assert asking.decide("write", n=1).ruling is Ruling.STOPPED
    asking.console.approvals.release(by="console")
    assert asking.decide("write", n=1).ruling is Ruling.FORWARD


def test_it_dies_with_a_changed_definition_even_if_that_comes_back(asking: House) -> None:
    made = stand(asking)
    asking.enforcer.saw([{**TOOL, "description": "Send a note away."}])
    assert asking.decide("write", n=1).rule == "(definition changed)"
    asking.enforcer.saw([TOOL])
    assert asking.decide("write", n=2).ruling is Ruling.WAITING
    found = asking.console.standing.get(made.id)
    assert found is not None
    assert found.ended == "changed"


def test_it_is_not_honoured_for_a_tool_that_destroys(house: House) -> None:
    """One that was written into the ledger by other means than an answer."""
    house.policy(tools={"write": {"action": "approve"}})
    house.enforcer.saw([{"name": "write", "annotations": {"destructiveHint": True}}])
    asked = house.decide("write").approval
    assert asked is not None
    assert asked.once
    tamper(house.console.path, "UPDATE approvals SET once = 0")
    house.console.standing.allow(asked.id, HALF_AN_HOUR, by="x", args_hash=asked.args_hash)
    assert house.decide("write", n=1).ruling is Ruling.WAITING


def test_its_making_and_its_end_are_on_record(asking: House) -> None:
    made = stand(asking)
    asking.console.standing.revoke(made.id, by="console")
    events = [event for event in asking.console.events.tail() if event.approval_id == made.id]
    assert [event.effect for event in events] == ["standing", "revoked"]
    assert json.loads(events[0].detail)["by"] == "console"
    assert asking.console.verify().ok


def test_what_was_allowed_until_it_disconnects_ends_when_its_client_leaves(asking: House) -> None:
    made = stand(asking, Wider())
    asking.enforcer.left(CALLER.session)
    found = asking.console.standing.get(made.id)
    assert found is not None
    assert found.ended == "disconnected"
    assert asking.decide("write", n=1).ruling is Ruling.WAITING
