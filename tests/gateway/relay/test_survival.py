"""What pktui itself fails on is answered, and what comes after it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from tests.gateway.conftest import House


def broken(*_given: Any, **_named: Any) -> Any:
    raise RuntimeError("nobody thought of this")


@pytest.fixture
def wired(house: House) -> Wired:
    house.policy(tools={"write": {"action": "approve"}})
    return Wired(house)


@pytest.mark.parametrize(
    ("part", "method"), [("decide_all", "tools/call"), ("refused", "tools/call ")]
)
def test_a_request_is_answered_and_the_next_one_goes_on(
    wired: Wired, monkeypatch: pytest.MonkeyPatch, part: str, method: str
) -> None:
    with monkeypatch.context() as broke:
        broke.setattr(wired.house.enforcer, part, broken)
        line = b'{"jsonrpc":"2.0","id":1,"method":"%s","params":{"name":"echo"},"ID":1}'
        line = line.replace(b',"ID":1', b"") if part == "decide_all" else line
        wired.relay.from_client(line % method.encode())
    reply = wired.client.next()
    assert (reply["id"], reply["error"]["code"]) == (1, -32603)
    assert wired.server.lines == []
    assert "nobody thought of this" in wired.house.said[0]
    assert wired.call("echo", request_id=2) in wired.server.lines


def test_an_answer_is_an_error_and_the_next_one_passes(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    wired.call("echo", request_id=1)
    wired.call("echo", request_id=2)
    with monkeypatch.context() as broke:
        broke.setattr("pktui.gateway.relay.responses.read_result", broken)
        wired.answer(1, result={"content": []})
    assert "may have been done" in wired.client.next()["error"]["message"]
    wired.answer(2, result={"content": []})
    assert wired.client.next()["result"] == {"content": []}


def test_an_answer_goes_out_also_where_its_record_fails(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    wired.call("echo")
    with monkeypatch.context() as broke:
        broke.setattr(wired.house.enforcer, "settle_all", broken)
        wired.answer(1, result={"content": []})
    assert wired.client.next()["result"] == {"content": []}
    assert "recording how calls ended failed" in wired.house.said[0]


def test_a_held_call_is_denied_and_the_next_one_is_held(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    wired.house.attend()
    with monkeypatch.context() as broke:
        broke.setattr(wired.house.enforcer, "resume", broken)
        broke.setattr(wired.house.enforcer, "is_over", lambda _held: True)
        wired.call("write")
        reply = wired.client.next()
    assert reply["result"]["isError"]
    assert "nobody thought of this" in reply["result"]["content"][0]["text"]
    assert wired.server.lines == []
