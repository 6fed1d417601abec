"""Held calls on the wire: progress, release, denial, time-out, cancellation, and the end."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.relay import held_calls
from pktui.gateway.relay.held_calls import CAPACITY, Held, Pace
from pktui.gateway.relay.relay_session import RelaySession
from tests.gateway.wired import PATIENCE, Wired

if TYPE_CHECKING:
    from pktui.gateway.enforcement.decision import Decision
    from pktui.gateway.relay.tool_discovery import Parked
    from tests.gateway.conftest import House

ASK = {"write": {"action": "approve", "reason": "Writes need a look."}}
CANCEL = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'


@pytest.fixture
def wired(house: House) -> Wired:
    house.policy(tools=ASK)
    house.attend()
    return Wired(house)


def text(reply: Any) -> str:
    return str(reply["result"]["content"][0]["text"])


def test_an_allowed_call_goes_out_byte_for_byte_and_only_then(wired: Wired) -> None:
    line = wired.call("write", {"path": "a"})
    assert wired.server.lines == []
    wired.house.answer(allow=True)
    wired.server.next()
    assert wired.server.lines == [line]
    wired.answer(result={"content": []})
    assert wired.client.next()["id"] == 1
    [row] = wired.house.console.feed.page()
    assert (row.effect, row.outcome) == ("approve", "ok")


def test_other_messages_pass_while_a_call_is_held(wired: Wired) -> None:
    wired.call("write")
    ping = wired.request("ping", request_id=2)
    assert wired.server.lines == [ping]


def test_a_denial_reaches_the_agent_with_the_persons_words(wired: Wired) -> None:
    wired.call("write")
    wired.house.answer(allow=False, words="Not on a Friday")
    reply = wired.client.next()
    assert "A person denied this call: Not on a Friday." in text(reply)
    assert reply["result"]["_meta"]["pktui/decision"]["effect"] == "deny"
    assert wired.server.lines == []


def test_progress_tells_a_client_that_gave_a_token(wired: Wired) -> None:
    wired.call("write", _meta={"progressToken": "t-1"})
    note = wired.client.next()
    assert note["method"] == "notifications/progress"
    assert note["params"]["progressToken"] == "t-1"
    [approval] = wired.house.console.approvals.pending()
    assert approval.id in note["params"]["message"]
    wired.house.answer(allow=True)
    wired.server.next()


def test_progress_grows_and_stays_below_what_a_server_would_say(house: House) -> None:
    house.policy(tools=ASK)
    house.attend()
    wired = Wired(house, Pace(hold=45, progress=0))
    wired.call("write", _meta={"progressToken": 7})
    steps = [wired.client.next()["params"]["progress"] for _ in range(3)]
    assert steps == sorted(set(steps))
    assert steps[-1] < 0.001
    house.answer(allow=True)
    wired.server.next()


@pytest.mark.parametrize("token", [True, None, [1], {}])
def test_no_progress_goes_to_a_client_without_a_token(wired: Wired, token: Any) -> None:
    wired.call("write", _meta={"progressToken": token})
    wired.house.answer(allow=True)
    wired.server.next()
    assert wired.client.lines == []


def test_a_call_held_for_its_time_is_told_how_to_go_on(house: House) -> None:
    house.policy(tools=ASK)
    house.attend()
    wired = Wired(house, Pace(hold=0, progress=5))
    wired.call("write", {"n": 1})
    told = wired.client.until(lambda reply: "result" in reply)
    [approval] = house.console.approvals.pending()
    assert text(told).startswith("[WAITING for approval in pktui]")
    assert approval.id in text(told)
    assert told["result"]["isError"] is True
    described = told["result"]["_meta"]["pktui/decision"]
    assert (described["effect"], described["approval"]) == ("approve", approval.id)
    house.answer(allow=True)
    wired.call("write", {"n": 1}, request_id=2)
    assert wired.server.next()["id"] == 2


def test_a_question_that_runs_out_is_answered_as_expired(wired: Wired) -> None:
    wired.call("write")
    wired.house.clock.pass_seconds(601)
    assert "Nobody answered in time" in text(wired.client.next())


def test_a_policy_edit_reaches_a_held_call(wired: Wired) -> None:
    wired.call("write")
    wired.house.policy(tools={"write": {"action": "deny", "reason": "Closed"}})
    assert "Closed." in text(wired.client.next())


def test_cancelling_a_held_call_withdraws_it_and_tells_nobody(wired: Wired) -> None:
    wired.call("write")
    wired.relay.from_client(CANCEL)
    assert wired.house.console.approvals.pending() == ()
    assert wired.client.lines + wired.server.lines == []
    wired.call("write")
    assert len(wired.house.console.approvals.pending()) == 1


def test_the_id_of_a_held_call_cannot_be_used_again(wired: Wired) -> None:
    wired.call("write")
    wired.request("ping")
    assert wired.client.next()["error"]["code"] == -32600


def test_the_end_of_a_relay_withdraws_what_it_held(wired: Wired) -> None:
    wired.call("write", request_id=1)
    wired.call("write", {"n": 2}, request_id=2)
    wired.relay.stop("pktui is ending")
    assert wired.house.console.approvals.pending() == ()
    assert {wired.client.next()["id"], wired.client.next()["id"]} == {1, 2}


def test_a_call_that_is_held_just_as_its_relay_ends_is_withdrawn_too(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide_all = wired.house.enforcer.decide_all

    def ending(*given: Any, **named: Any) -> Any:
        decided = decide_all(*given, **named)
        wired.relay.stop("pktui is ending")
        return decided

    monkeypatch.setattr(wired.house.enforcer, "decide_all", ending)
    wired.call("write")
    assert wired.house.console.approvals.pending() == ()
    assert wired.client.next()["id"] == 1


def test_a_call_that_is_allowed_just_as_its_server_ends_is_answered(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, released, ended = RelaySession._release, threading.Event(), threading.Event()

    def slow(relay: RelaySession, held: Held, decision: Decision) -> None:
        released.set()
        assert ended.wait(PATIENCE)
        release(relay, held, decision)

    def begin_to_end() -> tuple[Parked, ...]:
        ended.set()
        return ()

    monkeypatch.setattr(RelaySession, "_release", slow)
    monkeypatch.setattr(wired.relay._lookup, "end", begin_to_end)
    wired.call("write")
    wired.house.answer(allow=True)
    assert released.wait(PATIENCE)
    wired.relay.server_lost("the server ended")
    [answer] = wired.client.lines
    assert json.loads(answer)["error"]["message"] == "the server ended"
    assert wired.server.lines == []


def test_a_call_that_is_decided_as_its_relay_ends_waits_for_no_other_that_is_released(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide_all, release = wired.house.enforcer.decide_all, RelaySession._release
    released, decided, waited = threading.Event(), threading.Event(), threading.Event()

    def slow(relay: RelaySession, held: Held, decision: Decision) -> None:
        if held.message.id == 1:
            released.set()
            if not decided.wait(PATIENCE):
                waited.set()
        release(relay, held, decision)

    def ending(*given: Any, **named: Any) -> Any:
        found = decide_all(*given, **named)
        wired.relay._ended = "pktui is ending"
        return found

    monkeypatch.setattr(RelaySession, "_release", slow)
    monkeypatch.setattr(held_calls, "_RELEASE_SECONDS", 2 * PATIENCE)
    wired.call("write")
    wired.house.answer(allow=True)
    assert released.wait(PATIENCE)
    monkeypatch.setattr(wired.house.enforcer, "decide_all", ending)
    wired.call("write", {"n": 2}, request_id=2)
    assert wired.client.next()["id"] == 2
    decided.set()
    assert not waited.is_set()


def test_no_more_calls_are_held_than_there_is_room_for(wired: Wired) -> None:
    for number in range(CAPACITY + 1):
        wired.call("write", {"n": number}, request_id=number)
    reply = wired.client.next()
    assert reply["id"] == CAPACITY
    assert text(reply).startswith("[WAITING")


def test_a_ledger_that_goes_away_denies_what_is_held(wired: Wired) -> None:
    wired.call("write")
    wired.house.ledger.path.unlink()
    wired.house.policy(tools={**ASK, "other": {}})
    assert "could not be put on record" in text(wired.client.next())
    assert wired.server.lines == []
