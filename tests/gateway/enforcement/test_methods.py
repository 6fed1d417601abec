"""What else is asked for than tool calls: counted, on record, denied where it is switched off."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.enforcement.methods import OTHERS, Methods
from tests.gateway.relay.test_relay_session import MODERN
from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from tests.gateway.conftest import House

SAMPLE = {"messages": [], "maxTokens": 10, "apiKey": "0123456789"}
ELICIT = {"method": "elicitation/create", "params": {"message": "Your name?"}}
BOTH = ("sampling/createMessage", "elicitation/create")


def wired(house: House, *denied: str) -> Wired:
    """Return a relay for a server that some methods are switched off for."""
    house.policy()
    house.enforcer.methods = Methods(house.ledger, "demo", frozenset(denied), house.said.append)
    return Wired(house)


def requests(house: House) -> list[tuple[str, str]]:
    """Return what is on record besides calls: method and effect."""
    return [
        (event.tool, event.effect)
        for event in house.console.events.tail(limit=1000)
        if event.kind == "request"
    ]


def line(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode()


@pytest.mark.parametrize("method", ["resources/read", "prompts/get", "completion/complete"])
def test_a_denied_request_of_the_client_is_answered_here(house: House, method: str) -> None:
    relay = wired(house, method)
    relay.request(method, {"uri": "file:///etc/passwd"}, request_id="r")
    reply = relay.client.next()
    assert relay.server.lines == []
    assert (reply["id"], reply["error"]["code"]) == ("r", -32601)
    assert method in reply["error"]["message"]
    assert "switched off for server demo" in reply["error"]["message"]
    assert requests(house) == [(method, "deny")]


@pytest.mark.parametrize("method", ["resources/read", "prompts/get", "completion/complete"])
def test_what_is_not_switched_off_passes_and_is_on_record(house: House, method: str) -> None:
    relay = wired(house, *BOTH)
    sent = relay.request(method, {"name": "x", "token": "secret-token"})
    assert relay.server.lines == [sent]
    assert requests(house) == [(method, "allow")]
    [event] = [event for event in house.console.events.tail() if event.kind == "request"]
    assert json.loads(event.arguments) == {"name": "x", "token": "[masked 12 characters]"}
    assert house.console.feed.page() == ()


def test_every_request_is_counted_by_its_method(house: House) -> None:
    relay = wired(house, "prompts/get")
    for number, method in enumerate(["ping", "ping", "x/own", "y/own", "prompts/get"]):
        relay.request(method, {}, request_id=number)
    relay.call("echo", request_id=9)
    counts = {row.method: (row.n, row.denied) for row in house.console.requests.counts("demo")}
    assert counts == {"ping": (2, 0), OTHERS: (2, 0), "prompts/get": (1, 1)}


@pytest.mark.parametrize("method", BOTH)
def test_a_denied_request_of_the_server_is_answered_to_the_server(
    house: House, method: str
) -> None:
    relay = wired(house, *BOTH)
    relay.relay.from_server(line(id=4, method=method, params=SAMPLE))
    assert relay.client.lines == []
    reply = relay.server.next()
    assert (reply["id"], reply["error"]["code"]) == (4, -32601)
    assert "switched off" in reply["error"]["message"]
    assert requests(house) == [(method, "deny")]


@pytest.mark.parametrize("denied", [(), ("elicitation/create",)])
def test_a_request_of_the_server_that_is_allowed_passes_as_it_is(
    house: House, denied: tuple[str, ...]
) -> None:
    relay = wired(house, *denied)
    sent = line(id=4, method="sampling/createMessage", params=SAMPLE)
    relay.relay.from_server(sent)
    assert relay.client.lines == [sent]
    assert requests(house) == [("sampling/createMessage", "allow")]


DISGUISED = {
    "escaped slash": b'{"jsonrpc":"2.0","id":1,"method":"sampling\\/createMessage","params":{}}',
    "escaped letter": b'{"jsonrpc":"2.0","id":1,"m\\u0065thod":"s\\u0061mpling/createMessage"}',
    "first of two": b'{"id":1,"method":"sampling/createMessage","method":"ping"}',
    "last of two": b'{"id":1,"method":"ping","method":"sampling/createMessage"}',
    "other case": b'{"id":1,"METHOD":"sampling/createMessage","method":"ping"}',
    "beside a result": b'{"id":1,"result":{},"Method":"sampling/createMessage"}',
    "notification": b'{"method":"sampling/createMessage","params":{}}',
    "too deep to read": b'{"id":1,"method":"sampling/createMessage","x":'
    + b"[" * 900 + b"]" * 900 + b"}",
    "batch": b'[{"id":1,"method":"sampling/createMessage"},{"id":2,"method":"ping"}]',
}  # fmt: skip


@pytest.mark.parametrize("name", DISGUISED)
def test_no_spelling_brings_a_denied_request_to_the_client(house: House, name: str) -> None:
    relay = wired(house, *BOTH)
    relay.relay.from_server(DISGUISED[name])
    assert not any(b"ampling" in seen or b"createMessage" in seen for seen in relay.client.lines)
    assert len(relay.client.lines) == (name == "batch")


@pytest.mark.parametrize(
    "result",
    [
        {"resultType": "input_required", "requestState": "s", "inputRequests": {"a": ELICIT}},
        {"inputRequests": {"x": {"method": "roots/list"}, "a": ELICIT}},
        {"task": {"status": "input_required", "inputRequests": {"a": ELICIT}}},
    ],
)
def test_a_result_that_asks_for_what_is_denied_becomes_a_denial(
    house: House, result: dict[str, Any]
) -> None:
    relay = wired(house, "elicitation/create")
    relay.call("ask", _meta=MODERN)
    relay.answer(1, result=result)
    reply = relay.client.next()["result"]
    assert reply["isError"] is True
    assert reply["resultType"] == "complete"
    assert "elicitation/create is switched off" in reply["content"][0]["text"]
    assert reply["_meta"]["pktui/decision"]["rule"] == "(methods)"
    assert "inputRequests" not in reply
    [row] = house.console.feed.page()
    assert row.outcome == "tool_error"
    assert ("elicitation/create", "deny") in requests(house)


def test_a_result_that_asks_for_something_else_passes_and_is_on_record(house: House) -> None:
    relay = wired(house, "sampling/createMessage")
    relay.call("ask", _meta=MODERN)
    result = {"resultType": "input_required", "inputRequests": {"a": ELICIT}, "requestState": "s"}
    sent = relay.answer(1, result=result)
    assert relay.client.lines == [sent]
    assert requests(house) == [("elicitation/create", "allow")]


def test_a_prompt_that_asks_for_what_is_denied_becomes_an_error(house: House) -> None:
    relay = wired(house, "elicitation/create")
    relay.request("prompts/get", {"name": "x"}, request_id="p")
    relay.answer("p", result={"resultType": "input_required", "inputRequests": {"a": ELICIT}})
    reply = relay.client.next()
    assert (reply["id"], reply["error"]["code"]) == ("p", -32601)
    relay.request("ping", request_id="p")
    assert len(relay.server.lines) == 2


def test_an_error_that_asks_for_visits_to_urls_is_an_elicitation(house: House) -> None:
    relay = wired(house, "elicitation/create")
    relay.call("ask")
    data = {"elicitations": [{"mode": "url", "url": "https://evil.test"}]}
    relay.answer(1, error={"code": -32042, "message": "go there", "data": data})
    assert b"evil.test" not in relay.client.lines[0]
    assert relay.client.next()["result"]["isError"] is True


def test_an_answer_to_nothing_that_asks_for_what_is_denied_is_dropped(house: House) -> None:
    relay = wired(house, "elicitation/create")
    relay.answer(77, result={"inputRequests": {"a": ELICIT}})
    assert relay.client.lines == []


def test_a_tool_that_only_mentions_a_method_is_not_taken_for_asking(house: House) -> None:
    relay = wired(house, *BOTH)
    relay.call("docs")
    text = 'use "method": "elicitation/create" or \\u0061'
    sent = relay.answer(1, result={"content": [{"type": "text", "text": text}]})
    assert relay.client.lines == [sent]
    assert requests(house) == []


def test_what_cannot_be_put_on_record_is_denied(house: House) -> None:
    relay = wired(house)
    house.ledger.close()
    relay.request("resources/read", {"uri": "x"}, request_id=1)
    assert "could not be put on record" in relay.client.next()["error"]["message"]
    relay.request("ping", request_id=2)
    assert len(relay.server.lines) == 1
    assert len(house.said) == 2
