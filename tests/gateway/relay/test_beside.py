"""What stands beside a call's arguments goes out too: it is bound, shown and on record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktui.ledger.arguments.canonical import args_hash, call_hash
from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from tests.gateway.conftest import House

ONCE = {"counter": "c", "window": "minute", "max": 1, "scope": "grant"}
ASK = {"write": {"action": "approve", "limits": [ONCE]}}
SECRET = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
MASKED = f"[masked {len(SECRET)} characters]"
MORE = {"resultType": "input_required", "requestState": "s1", "inputRequests": {}}
ANSWERS = {"sure": {"action": "accept", "content": {"all": True}}}


@pytest.fixture
def wired(house: House) -> Wired:
    """Nobody is at the console, so that a call that asks is told to come again."""
    house.policy(tools=ASK)
    return Wired(house)


def text(reply: Any) -> str:
    return str(reply["result"]["content"][0]["text"])


def waiting(wired: Wired) -> Approval:
    [approval] = wired.house.console.approvals.pending()
    return approval


@pytest.mark.parametrize(
    "other",
    [
        {"task": {"ttl": 2}},
        {"task": {"ttl": 1}, "inputResponses": {}},
        {"task": {"ttl": True}},
        {"tasK": {"ttl": 1}},
        {},
    ],
)
def test_an_approval_is_for_what_stands_beside_the_arguments_too(
    wired: Wired, other: dict[str, Any]
) -> None:
    wired.call("write", {"a": 1}, task={"ttl": 1})
    assert json.loads(waiting(wired).beside) == {"task": {"ttl": 1}}
    wired.house.answer(allow=True)
    wired.call("write", {"a": 1}, request_id=2, **other)
    assert wired.server.lines == []
    line = wired.call("write", {"a": 1}, request_id=3, task={"ttl": 1})
    assert wired.server.lines == [line]


def test_another_meta_is_the_same_call(wired: Wired) -> None:
    wired.call("write", {"a": 1}, _meta={"progressToken": 1, "note": SECRET})
    shown = json.loads(waiting(wired).meta)
    assert shown == {"progressToken": 1, "note": MASKED}
    wired.house.answer(allow=True)
    wired.call("write", {"a": 1}, request_id=2, _meta={"progressToken": 2})
    assert len(wired.server.lines) == 1


def test_all_of_it_is_on_record_with_its_secrets_masked(wired: Wired) -> None:
    wired.call("echo", {"a": 1}, task={"key": SECRET}, _meta={"note": SECRET, "x": 1})
    [row] = wired.house.console.feed.page()
    assert json.loads(row.detail) == {
        "beside": {"task": {"key": MASKED}},
        "_meta": {"note": MASKED, "x": 1},
    }
    assert wired.house.console.verify().ok


def test_what_is_beside_is_masked_once_the_approval_cannot_run_any_more(wired: Wired) -> None:
    wired.call("write", {"a": 1}, task={"key": SECRET})
    assert SECRET in waiting(wired).beside
    wired.house.answer(allow=False)
    [past] = wired.house.console.approvals.recent()
    assert SECRET not in past.beside
    assert wired.house.console.verify().ok


def test_a_call_that_goes_on_after_a_person_allowed_it_asks_again_with_what_it_adds(
    wired: Wired,
) -> None:
    wired.call("write", {"a": 1})
    wired.house.answer(allow=True)
    wired.call("write", {"a": 1}, request_id=2)
    wired.answer(2, result=MORE)
    added = {"requestState": "s1", "inputResponses": ANSWERS}
    wired.call("write", {"a": 1}, request_id=3, **added)
    assert json.loads(waiting(wired).beside) == added
    assert len(wired.server.lines) == 1
    wired.house.answer(allow=True)
    line = wired.call("write", {"a": 1}, request_id=4, **added)
    assert wired.server.lines[1:] == [line]  # not charged again: the limit is one
    wired.call("write", {"a": 1}, request_id=5, **added)
    assert len(wired.server.lines) == 2  # a state counts once


def test_a_call_that_no_person_had_to_allow_goes_on_and_is_only_recorded(wired: Wired) -> None:
    wired.house.policy(tools={"write": {"limits": [ONCE]}})
    wired.call("write", {"a": 1})
    wired.answer(1, result=MORE)
    wired.call("write", {"a": 1}, request_id=2, requestState="s1", inputResponses=ANSWERS)
    assert len(wired.server.lines) == 2
    first, second = wired.house.console.feed.page()
    detail = json.loads(second.detail)
    assert detail["continues"] == first.call_id
    assert detail["beside"]["inputResponses"] == ANSWERS


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
MEMBERS = st.dictionaries(st.text(max_size=3), VALUES, max_size=3)


@given(arguments=MEMBERS, beside=MEMBERS, other=MEMBERS)
def test_no_call_has_the_hash_of_one_that_is_split_otherwise(
    arguments: dict[str, Any], beside: dict[str, Any], other: dict[str, Any]
) -> None:
    assert call_hash(arguments, {}) == args_hash(arguments)
    whole = {"arguments": arguments, **beside}
    if beside:
        assert call_hash(arguments, beside) not in (call_hash(arguments, {}), call_hash(whole, {}))
    if args_hash(beside) != args_hash(other):
        assert call_hash(arguments, beside) != call_hash(arguments, other)
