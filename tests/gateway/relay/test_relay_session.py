"""The relay: bytes as they came, what is refused, and how every request gets its answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pktui.gateway.lineio.lines import TooLong
from pktui.gateway.protocol.ids import ids_in
from pktui.gateway.protocol.jsonrpc import Limits, Message
from pktui.gateway.relay import in_flight
from pktui.gateway.relay.in_flight import LATE_NS, InFlight, Waiting
from pktui.ledger.arguments.canonical import args_hash
from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from tests.gateway.conftest import House

MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
OK = {"content": [{"type": "text", "text": "done"}]}


@pytest.fixture
def wired(house: House) -> Wired:
    house.policy(hide=["secret"], tools={"danger": {"action": "deny", "reason": "No danger"}})
    return Wired(house)


def outcomes(house: House) -> list[str]:
    return [row.outcome for row in house.console.feed.page()]


def text(reply: Any) -> str:
    return str(reply["result"]["content"][0]["text"])


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}',
        b'  {"jsonrpc" : "2.0", "method":"notifications/initialized"}\r',
        b'{"jsonrpc":"2.0","id":"1.50","method":"x/unknown","params":{"\\u0061":1e2}}',
        b'{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"echo","x":[1.0]}}',
        b'{"jsonrpc":"2.0","id":9,"result":{"action":"cancel"}}',
        b'{"jsonrpc":"2.0","id":9,"error":{"code":-1,"message":"no"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"danger"}}',
    ],
)
def test_what_may_pass_passes_byte_for_byte(wired: Wired, line: bytes) -> None:
    wired.relay.from_client(line)
    assert wired.server.lines == [line]
    assert wired.client.lines == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":1,"result":{"x":1e2},"extra":"\xc3\xa4"}',
        b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"x"}}\r',
        b'{"jsonrpc":"2.0","id":4,"method":"sampling/createMessage","params":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":"not a list"}}',
    ],
)
def test_what_the_server_says_passes_byte_for_byte(wired: Wired, line: bytes) -> None:
    wired.relay.from_server(line)
    assert wired.client.lines == [line]


@pytest.mark.parametrize("line", [b"Server started", b'{"a":', b"\xff{}", b'"text"', b"7"])
def test_what_is_no_message_goes_to_the_log_and_not_to_the_client(
    wired: Wired, line: bytes
) -> None:
    wired.relay.from_server(line)
    assert wired.client.lines == []
    assert len(wired.house.said) == 1


def test_a_blank_line_is_nothing(wired: Wired) -> None:
    for line in (b"", b"  ", b"\r"):
        wired.relay.from_client(line)
        wired.relay.from_server(line)
    assert wired.client.lines + wired.server.lines == []
    assert wired.house.said == []


def test_a_denied_call_is_answered_here(wired: Wired) -> None:
    wired.call("danger", request_id="abc")
    reply = wired.client.next()
    assert wired.server.lines == []
    assert reply["id"] == "abc"
    assert reply["result"]["isError"] is True
    assert text(reply).startswith("[DENIED by pktui] No danger. Rule: /tools/danger. ")
    assert reply["result"]["_meta"]["pktui/decision"] == {
        "effect": "deny",
        "rule": "/tools/danger",
        "reason": "No danger",
    }
    assert "structuredContent" not in reply["result"]
    assert "resultType" not in reply["result"]


def test_a_denial_of_the_modern_era_is_complete(wired: Wired) -> None:
    wired.call("danger", _meta=MODERN)
    assert wired.client.next()["result"]["resultType"] == "complete"


def test_a_hidden_tool_gets_the_answer_of_an_unknown_one(wired: Wired) -> None:
    wired.call("secret")
    assert wired.client.next() == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {
            "content": [{"type": "text", "text": "Unknown tool: secret"}],
            "isError": True,
        },
    }


def test_a_refused_line_is_answered_and_on_record(wired: Wired) -> None:
    wired.relay.from_client(b'[{"jsonrpc":"2.0","id":1,"method":"tools/call"}]')
    reply = wired.client.next()
    assert (reply["id"], reply["error"]["code"]) == (1, -32600)
    [row] = wired.house.console.feed.page()
    assert row.effect == "refused"
    assert "batches" in row.reason


def test_a_call_sent_as_a_notification_is_dropped_and_on_record(wired: Wired) -> None:
    wired.relay.from_client(b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}')
    assert wired.client.lines + wired.server.lines == []
    [row] = wired.house.console.feed.page()
    assert row.effect == "refused"


def test_a_line_that_is_too_long_is_refused(house: House) -> None:
    wired = Wired(house, limits=Limits(size=10))
    wired.relay.from_client(TooLong(b'{"jsonrpc', ids_in(b'{"method":"ping","id":"x"}')))
    reply = wired.client.next()
    assert (reply["id"], reply["error"]["code"]) == ("x", -32600)


def test_an_id_that_still_waits_cannot_be_used_again(wired: Wired) -> None:
    wired.request("ping", request_id=1)
    wired.call("echo", request_id="1")
    reply = wired.client.next()
    assert reply["error"]["code"] == -32600
    assert len(wired.server.lines) == 1
    wired.request("ping", request_id="one")
    assert len(wired.server.lines) == 2


PING = Message(b"{}", "request", "ping", 1, {}, {})


def test_an_id_is_free_again_once_it_was_answered(wired: Wired) -> None:
    wired.call("echo")
    wired.answer(result=OK)
    wired.call("echo")
    assert len(wired.server.lines) == 2


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"result": OK}, "ok"),
        ({"result": {**OK, "isError": True}}, "tool_error"),
        ({"result": {**OK, "isError": "strange"}}, "ok"),
        ({"error": {"code": -32000, "message": "broken"}}, "error"),
    ],
)
def test_the_outcome_of_a_call_is_on_record(
    wired: Wired, answer: dict[str, Any], outcome: str
) -> None:
    wired.call("echo")
    line = wired.answer(**answer)
    assert wired.client.lines == [line]
    assert outcomes(wired.house) == [outcome]


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        ({"error": None, "result": OK, "method": None}, "ok"),
        ({"result": None, "error": {}}, "error"),
    ],
)
def test_a_member_that_is_null_is_none(wired: Wired, members: dict[str, Any], outcome: str) -> None:
    wired.call("echo")
    assert wired.answer(**members) in wired.client.lines
    assert outcomes(wired.house) == [outcome]


def test_a_question_with_empty_answers_beside_it_passes(wired: Wired) -> None:
    line = b'{"jsonrpc":"2.0","id":4,"method":"roots/list","result":null,"error":null}'
    wired.relay.from_server(line)
    assert wired.client.lines == [line]


@pytest.mark.parametrize(
    ("asked", "answered"), [(1, 1.0), (7, "7"), ("7", 7), (2**53 + 1, 2**53), (1, 1.5)]
)
def test_an_answer_finds_its_call_however_its_number_is_written(
    wired: Wired, asked: Any, answered: Any
) -> None:
    wired.call("echo", request_id=asked)
    wired.answer(answered, result=OK)
    assert outcomes(wired.house) == ["ok"]


@pytest.mark.parametrize(("asked", "answered"), [(1, "one"), (1, True), ("a", "A"), (1, None)])
def test_an_answer_to_another_id_is_none(wired: Wired, asked: Any, answered: Any) -> None:
    wired.call("echo", request_id=asked)
    wired.answer(answered, result=OK)
    assert outcomes(wired.house) == [""]


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1), (7, "7"), (2**53, 2**53 + 1), ("1.5", 1), ("07", 7)]
)
def test_ids_that_some_server_takes_for_one_are_not_in_use_together(
    wired: Wired, one: Any, other: Any
) -> None:
    wired.request("x/slow", request_id=one)
    wired.call("echo", request_id=other)
    refusal = wired.client.next()
    assert (refusal["id"], refusal["error"]["code"]) == (other, -32600)
    assert len(wired.server.lines) == 1


def test_a_server_that_is_lost_answers_everything_that_waits(wired: Wired) -> None:
    wired.request("ping", request_id="p")
    wired.call("echo", request_id=7)
    wired.relay.server_lost("server demo ended with status 3")
    replies = {reply["id"]: reply["error"] for reply in (wired.client.next(), wired.client.next())}
    assert replies["p"]["message"] == replies[7]["message"] == "server demo ended with status 3"
    assert outcomes(wired.house) == ["lost"]
    wired.call("echo", request_id=8)
    assert wired.client.next()["id"] == 8
    assert len(wired.server.lines) == 2


def test_a_cancelled_call_is_on_record_and_its_late_answer_still_passes(wired: Wired) -> None:
    wired.call("echo", request_id=3)
    cancel = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}'
    wired.relay.from_client(cancel)
    assert wired.server.lines[-1] == cancel
    assert outcomes(wired.house) == ["cancelled"]
    assert wired.answer(3, result=OK) in wired.client.lines
    assert outcomes(wired.house) == ["cancelled"]


@pytest.mark.parametrize("named", [3, "3"])
def test_an_answer_to_what_was_cancelled_gives_no_later_call_its_quota_back(
    house: House, named: Any
) -> None:
    limit = {"counter": "few", "window": "hour", "max": 1}
    house.policy(tools={"few": {"limits": [limit]}})
    wired = Wired(house)
    wired.request("x/unknown", request_id=3)
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": named}}
    wired.relay.from_client(json.dumps(cancel).encode())
    wired.call("few", request_id=3)
    assert wired.client.next()["error"]["message"] == "a request with this id still waits"
    wired.answer(3, error={"code": -32601, "message": "no such method"})
    wired.call("few", request_id=3)
    wired.answer(3, result=OK)
    wired.call("few", request_id=4)
    assert outcomes(house) == ["", "ok", ""]
    assert [row.effect for row in house.console.feed.page()] == ["refused", "allow", "deny"]


PING = Message(b"{}", "request", "ping", 1, {}, {})


def test_an_id_is_free_again_when_the_answer_never_came() -> None:
    now = 0
    requests = InFlight(lambda: now)
    requests.add(1, Waiting(PING, None, 0))
    assert requests.give_up(1) is not None
    assert 1 in requests
    assert not requests.waits_for(1)
    assert requests.wait_empty(0)
    now = LATE_NS + 1
    assert 1 not in requests


def test_large_requests_that_wait_leave_no_room_for_more(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "MOST_BYTES", 1000)
    for request_id in (1, 2):
        wired.call("echo", {"text": "x" * 500}, request_id=request_id)
    wired.call("echo", request_id=3)
    refused = wired.client.next()
    assert (refused["id"], refused["error"]["code"]) == (3, -32000)
    assert "too large ones, wait for the server" in refused["error"]["message"]
    wired.answer(1, result=OK)
    wired.call("echo", request_id=4)
    assert [json.loads(line)["id"] for line in wired.server.lines] == [1, 2, 4]


def test_the_size_of_what_waits_is_that_of_what_nobody_has_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests = InFlight(lambda: 0)
    large = msgspec.structs.replace(PING, raw=b" " * 500)
    monkeypatch.setattr(in_flight, "MOST_BYTES", 1000)
    half = Waiting(large, None, 0)
    for take_back in (requests.take, requests.give_up, lambda _id: requests.take_all()):
        requests.add(1, half)
        assert requests.admits(3) == "free"
        requests.add(2, half)
        assert requests.admits(3) == "full"
        take_back(2)
        assert requests.admits(3) == "free"
        requests.take_all()


@pytest.mark.parametrize("params", [{"requestId": 99}, {"requestId": [1]}, {}, []])
def test_cancelling_what_is_not_known_passes(wired: Wired, params: Any) -> None:
    line = json.dumps(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
    ).encode()
    wired.relay.from_client(line)
    assert wired.server.lines == [line]


@pytest.mark.parametrize("era", ["older", "modern"])
def test_the_clients_name_is_learnt_once(wired: Wired, era: str) -> None:
    def meta(name: str) -> dict[str, Any]:
        return {"io.modelcontextprotocol/clientInfo": {"name": name, "version": "1"}}

    if era == "older":
        wired.request("initialize", {"clientInfo": {"name": "first\x1b[31m", "version": "1"}})
        wired.call("echo", request_id=2)
    else:
        wired.call("echo", request_id=2, _meta=meta("first\x1b[31m"))
    wired.call("echo", request_id=3, _meta=meta("another"))
    assert wired.names == ["first␛[31m"]
    assert [row.agent for row in wired.house.console.feed.page()] == ["first␛[31m"] * 2


def test_a_call_goes_on_with_the_state_that_the_server_gave(wired: Wired) -> None:
    limit = {"counter": "c", "window": "minute", "max": 1, "scope": "grant"}
    wired.house.policy(tools={"ask": {"limits": [limit]}})
    wired.call("ask", {"a": 1}, request_id=1)
    wired.answer(1, result={"resultType": "input_required", "requestState": "s1"})
    wired.client.next()
    wired.call("ask", {"a": 1}, request_id=2, requestState="s1")
    assert len(wired.server.lines) == 2


def test_a_state_that_comes_again_is_a_new_call(wired: Wired) -> None:
    limit = {"counter": "c", "window": "minute", "max": 1, "scope": "grant"}
    wired.house.policy(tools={"ask": {"limits": [limit]}})
    wired.call("ask", {"a": 1}, request_id=1)
    wired.answer(1, result={"resultType": "input_required", "requestState": "s1"})
    wired.call("ask", {"a": 1}, request_id=2, requestState="s1")
    wired.call("ask", {"a": 1}, request_id=3, requestState="s1")
    assert len(wired.server.lines) == 2
    assert [row.effect for row in wired.house.console.feed.page()] == ["allow", "allow", "deny"]


@pytest.mark.parametrize(
    ("arguments", "state"),
    [({"a": 1}, "forged"), ({"a": 2}, "s1"), ({"a": True}, "s1"), ({"a": 1}, None)],
)
def test_a_made_up_state_continues_nothing(wired: Wired, arguments: Any, state: Any) -> None:
    limit = {"counter": "c", "window": "minute", "max": 1, "scope": "grant"}
    wired.house.policy(tools={"ask": {"limits": [limit]}})
    wired.call("ask", {"a": 1}, request_id=1)
    wired.answer(1, result={"resultType": "input_required", "requestState": "s1"})
    wired.client.next()
    wired.call("ask", arguments, request_id=2, requestState=state)
    assert len(wired.server.lines) == 1
    assert text(wired.client.next()).startswith("[DENIED by pktui]")


def test_an_answer_with_half_a_character_reaches_the_client_mended(wired: Wired) -> None:
    wired.call("echo")
    wired.relay.from_server(
        b'{"jsonrpc":"2.0","id":1,"result":{"a":"cut \\ud83d","b":"\\ud83d\\ude00"}}'
    )
    assert wired.client.next()["result"] == {"a": "cut \ufffd", "b": "\U0001f600"}
    assert outcomes(wired.house) == ["ok"]
    wired.relay.from_server(b'{"a":"\\ud83d", NaN}')
    assert wired.client.lines[1:] == []


DEEP = b'{"jsonrpc":"2.0","id":"big","result":' + b"[" * 5000 + b"]" * 5000 + b"}"


@pytest.mark.parametrize(
    "line",
    [TooLong.of(DEEP), DEEP, b"[" + DEEP + b"]", DEEP.replace(b"[[", b'["\\ud800",[', 1)],
    ids=["too large", "too deep", "too deep in a batch", "too deep to be mended"],
)
def test_an_answer_too_much_to_look_at_becomes_an_error(
    wired: Wired, line: bytes | TooLong
) -> None:
    wired.call("echo", request_id="big")
    wired.relay.from_server(line)
    assert wired.client.next()["id"] == "big"
    assert outcomes(wired.house) == ["lost"]


ANSWER = b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"mean":NaN}}}'


@pytest.mark.parametrize(
    "line",
    [
        ANSWER,
        ANSWER.replace(b"NaN", b"-Infinity"),
        ANSWER.replace(b"NaN", b"1,}"),
        ANSWER.replace(b"NaN", b"0x10"),
        b'{"result":{"a":NaN},"jsonrpc":"2.0","id":1}',
        b"[" + ANSWER + b"]",
        b"\xef\xbb\xbf" + ANSWER,
        b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}',
        b'{"jsonrpc":"2.0","id":1,"result":{},"id":2}',
        b'{"jsonrpc":"2.0","id":2,"result":{},"\\u0069d":1}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}{"jsonrpc":"2.0","id":2,"result":{}}',
    ],
)
def test_an_answer_that_cannot_be_read_is_an_error_at_once(wired: Wired, line: bytes) -> None:
    wired.call("echo")
    wired.relay.from_server(line)
    reply = wired.client.next()
    assert (reply["id"], reply["error"]["code"]) == (1, -32000)
    assert "may have been done" in reply["error"]["message"]
    assert outcomes(wired.house) == ["lost"]
    assert wired.house.said


def test_an_answer_of_two_ids_is_none_to_either(wired: Wired) -> None:
    wired.call("echo", request_id=1)
    wired.call("echo", request_id="b")
    wired.relay.from_server(b'{"id":1,"result":{"a":{"id":9}},"id":"b"}')
    assert {wired.client.next()["id"], wired.client.next()["id"]} == {1, "b"}
    assert all("error" in json.loads(line) for line in wired.client.lines)


def test_the_ids_of_records_in_an_answer_are_none_of_its_own(wired: Wired) -> None:
    wired.call("echo")
    line = b'{"result":{"content":[{"id":7}],"rows":[{"id":8},{"id":9}]},"jsonrpc":"2.0","id":1}'
    wired.relay.from_server(line)
    assert wired.client.lines == [line]


@pytest.mark.parametrize(
    "line",
    [
        b'got {"jsonrpc":"2.0","id":1,"result":NaN}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"x":NaN}}',
        b"{'id': 1, 'result': {}}",
        b'{"result":{"id":1,"x":NaN}}',
    ],
)
def test_a_line_of_a_log_answers_nobody(wired: Wired, line: bytes) -> None:
    wired.call("echo")
    wired.relay.from_server(line)
    assert wired.client.lines == []
    assert wired.answer(1, result=OK) in wired.client.lines


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"result":{"text":"x"}}', "x"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"text":"caf\xe9 \xa3"}}', "caf\ufffd \ufffd"),
    ],
)
def test_an_answer_whose_bytes_are_odd_reaches_the_client_mended(
    wired: Wired, line: bytes, text: str
) -> None:
    wired.call("echo")
    wired.relay.from_server(line)
    assert wired.client.next()["result"] == {"text": text}
    assert outcomes(wired.house) == ["ok"]


def test_a_stopped_relay_takes_no_more_requests(wired: Wired) -> None:
    wired.relay.stop("pktui is ending")
    wired.call("echo")
    assert wired.client.next()["error"]["message"] == "pktui is ending"
    assert wired.server.lines == []


def test_arguments_are_hashed_before_others_wait_for_the_ledger(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"numbers": [0.5, 1e21]}
    digest = args_hash(arguments)
    monkeypatch.setattr("pktui.gateway.enforcement.decision.call_hash", None)
    wired.call("echo", arguments)
    assert wired.house.console.events.newest(1)[0].args_hash == digest
