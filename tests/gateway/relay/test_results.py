"""What a server answered is on record behind the call, as the agent got it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import LedgerUnavailable
from pktui.ledger import results
from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.ledger.results import Answered
    from tests.gateway.conftest import House

DONE = {"content": [{"type": "text", "text": "done"}]}


@pytest.fixture
def wired(house: House) -> Wired:
    house.policy()
    return Wired(house)


def answered(wired: Wired, **answer: Any) -> tuple[str, Any]:
    """Have a call answered; return how it ended and what is on record of the answer."""
    wired.call("echo")
    wired.answer(**answer)
    wired.house.enforcer.close()
    (row,) = wired.house.console.feed.page()
    found = wired.house.console.results.of([row.call_id])
    return row.outcome, json.loads(found[row.call_id].text) if found else None


@pytest.mark.parametrize(
    ("answer", "ended"),
    [
        ({"result": DONE}, "ok"),
        ({"result": {**DONE, "isError": True}}, "tool_error"),
        ({"result": {"content": [], "structuredContent": {"n": 1}}}, "ok"),
        ({"result": {**DONE, "_meta": {"id": 9}}}, "ok"),
    ],
)
def test_a_result_is_on_record(wired: Wired, answer: dict[str, Any], ended: str) -> None:
    assert answered(wired, **answer) == (ended, answer["result"])


def test_an_error_of_the_server_is_on_record(wired: Wired) -> None:
    error = {"code": -32000, "message": "no such file"}
    assert answered(wired, error=error) == ("error", error)


def test_what_redaction_takes_out_is_not_on_record(wired: Wired) -> None:
    wired.house.enforcer.redacts = True
    text = "\x1b[31mtoken ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    _, kept = answered(wired, result={"content": [{"type": "text", "text": text}]})
    reply = wired.client.next()
    assert kept == reply["result"]
    assert "ghp_" not in json.dumps(kept)


def test_the_answer_goes_out_first(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    house, client = wired.house, wired.client
    monkeypatch.setattr(house.enforcer, "keep_results", lambda _: sent.append(len(client.lines)))
    wired.call("echo")
    wired.answer(result=DONE)
    assert sent == [1]


def test_a_journal_that_takes_nothing_is_said_once_and_calls_go_on(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_some: Sequence[Answered]) -> None:
        raise LedgerUnavailable("the journal cannot be used: the disk is full", "Free some space")

    monkeypatch.setattr(wired.house.ledger.results, "add", full)
    for number in (1, 2, 3):
        wired.call("echo", request_id=number)
        wired.answer(number, result=DONE)
        assert wired.client.next()["result"] == DONE
    wired.house.enforcer.close()
    (said,) = (one for one in wired.house.said if "disk is full" in one)
    assert said.startswith("recording what tools answered failed: the journal cannot be used")


def test_a_journal_that_cannot_be_opened_is_tried_again(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "_IN_ONE_WRITE", 1)
    house = wired.house
    opened = iter([LedgerUnavailable("the journal cannot be used", "Free some space")])

    def open_results() -> results.Results:
        for error in opened:
            raise error
        return house.ledger.results

    monkeypatch.setattr(house.enforcer._recorder, "_results", open_results)
    for number in (1, 2):
        wired.call("echo", request_id=number)
        wired.answer(number, result=DONE)
    house.enforcer.close()
    assert any("the journal cannot be used" in one for one in house.said)
    assert len(house.console.results.kept([row.call_id for row in house.console.feed.page()])) == 1


def test_more_than_there_is_room_for_is_not_kept(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "_MOST_WAITING", -1)
    for number in (1, 2):
        wired.call("echo", request_id=number)
        wired.answer(number, result=DONE)
    wired.house.enforcer.close()
    rows = wired.house.console.feed.page()
    assert not wired.house.console.results.of([row.call_id for row in rows])
    (said,) = (one for one in wired.house.said if "results are not kept" in one)
    assert said.startswith("tools answer more than can be put on record")


def test_what_is_answered_as_the_gateway_ends_is_on_record_yet(wired: Wired) -> None:
    wired.call("echo")
    wired.house.enforcer.close()
    wired.answer(result=DONE)
    wired.house.enforcer.close()
    (row,) = wired.house.console.feed.page()
    assert wired.house.console.results.kept([row.call_id])
