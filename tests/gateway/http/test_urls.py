"""Servers behind URLs, good and bad: what goes to them, and what of theirs reaches a client."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.http.threads import LARGE
from pktui.settings import Paths, ServerSettings, Settings
from tests.gateway.http.served import (
    Served,
    answer,
    events,
    eventually,
    request,
    routed,
    served,
    stateless,
    write_policy,
    write_servers,
)
from tests.gateway.upstream.far import FarServer, answer_to, event

if TYPE_CHECKING:
    from tests.gateway.upstream.far import Asked

CALL = {"name": "echo", "arguments": {"n": 1}}
OK = {"content": [{"type": "text", "text": "ok"}]}
LISTED = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}


def usual(asked: Asked) -> None:
    """Answer as a simple server does: a session, and a result for everything."""
    message = asked.message
    if asked.method != "POST":
        asked.answer(200 if asked.method == "DELETE" else 405)
    elif "id" not in message:
        asked.answer(202)
    else:
        session = {"Mcp-Session-Id": "s-1"} if message["method"] == "initialize" else {}
        asked.result(LISTED if message["method"] == "tools/list" else OK, session)


@pytest.fixture(scope="module")
def far() -> Iterator[FarServer]:
    with FarServer(usual) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, far: FarServer) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("urls")
    paths = Paths.at(place / "config", place / "data")
    headers = {"Authorization": "Bearer upstream-secret"}
    write_servers(paths, far={"url": far.url, "headers": headers})
    write_policy(paths, "far")
    with served(paths) as gateway:
        gateway.send("far", stateless("tools/list", 0, {}), **routed("tools/list", {}))
        yield gateway


@pytest.fixture(autouse=True)
def _as_usual(far: FarServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has a server of its own behind the one gateway: what it lists is never fresh."""
    monkeypatch.setattr("pktui.gateway.relay.known_tools.FRESH_NS", 0)
    yield
    far.script = usual


def call(running: Served, **headers: str) -> Any:
    """Call the tool in the stateless era and return the whole reply."""
    return running.send(
        "far", stateless("tools/call", 1, CALL), **{**routed("tools/call", CALL), **headers}
    )


def test_credentials_of_the_client_never_go_on_and_those_of_the_entry_do(
    running: Served, far: FarServer
) -> None:
    reply = call(running, cookie="a=b", x_secret="x", mcp_session_id="z")
    assert reply.status_code == 200
    sent = {name.lower(): value for name, value in far.asked[-1].headers.items()}
    assert sent["authorization"] == "Bearer upstream-secret"
    assert running.token not in str(sent)
    assert not {"cookie", "x-secret", "origin", "mcp-session-id"} & set(sent)
    assert sent["mcp-name"] == "echo"


TRACE = {"traceparent": f"00-{'4b' * 16}-{'f0' * 8}-01", "tracestate": "vendor=1"}


def traced(far: FarServer) -> dict[str, str]:
    """Return what of a trace came with the last call."""
    call = [one for one in far.asked if one.body and one.message["method"] == "tools/call"][-1]
    sent = {name.lower(): value for name, value in call.headers.items()}
    return {name: sent[name] for name in TRACE if name in sent}


@pytest.mark.parametrize("length", [1, LARGE])
def test_a_requests_trace_goes_on_with_it_and_with_no_other(
    running: Served, far: FarServer, length: int
) -> None:
    session = running.begin("far")
    asked = {"name": "echo", "arguments": {"text": "x" * length}}
    for number, given in enumerate((TRACE, {}), 1):
        running.send("far", request("tools/call", number, asked), mcp_session_id=session, **given)
        assert traced(far) == given
        running.send(
            "far", stateless("tools/call", 1, asked), **routed("tools/call", asked), **given
        )
        assert traced(far) == given


def test_a_held_calls_trace_goes_on_once_it_is_allowed(running: Served, far: FarServer) -> None:
    running.attend()
    write_policy(running.paths, "far", tools={"write": {"action": "approve"}})
    asked = {"name": "write", "arguments": {}}
    with ThreadPoolExecutor(1) as client:
        message, headers = stateless("tools/call", 1, asked), routed("tools/call", asked)
        sent = client.submit(running.send, "far", message, **headers, **TRACE)
        running.decide(allow=True)
        assert sent.result().status_code == 200
    assert traced(far) == TRACE
    write_policy(running.paths, "far")


@pytest.mark.parametrize("state", ["v=" + "x" * 600, "v=\xff"])
def test_a_trace_that_is_none_stays_here(running: Served, far: FarServer, state: str) -> None:
    given = {b"tracestate": state.encode("latin-1"), b"traceparent": TRACE["traceparent"].encode()}
    headers = running.headers() | {
        name.replace("_", "-"): value for name, value in routed("tools/call", CALL).items()
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    message = json.dumps(stateless("tools/call", 1, CALL)).encode()
    running.client.post(running.url("/mcp/far"), content=message, headers=[*raw, *given.items()])
    assert traced(far) == {"traceparent": TRACE["traceparent"]}


MARKED = {
    "name": "mark",
    "inputSchema": {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "x-mcp-header": "Count"},
            "who": {"type": "string", "x-mcp-header": "Who"},
            "plain": {"type": "string"},
        },
    },
}


MARK = {"name": "mark", "arguments": {"n": 1}}


def mark(running: Served, **headers: str) -> Any:
    """Call the tool whose arguments go into headers."""
    asked = stateless("tools/call", 1, MARK)
    return running.send("far", asked, **routed("tools/call", MARK), **headers)


def listed(running: Served, far: FarServer) -> None:
    """Have the tool listed with arguments that go into headers."""
    far.script = lambda asked: asked.result({"tools": [MARKED]})
    assert running.modern("far", "tools/list")["result"]["tools"] == [MARKED]
    far.script = usual


@pytest.mark.parametrize("count", ["1", "1.0", "=?base64?MQ==?="])
def test_an_argument_in_a_header_is_compared_and_written_anew(
    running: Served, far: FarServer, count: str
) -> None:
    listed(running, far)
    assert mark(running, mcp_param_count=count).status_code == 200
    sent = {name.lower(): value for name, value in far.asked[-1].headers.items()}
    assert sent["mcp-param-count"] == "1"


@pytest.mark.parametrize(
    "headers",
    [
        {"mcp_param_count": "50000"},
        {"mcp_param_count": ""},
        {"mcp_param_count": "=?base64?NTAwMDA=?="},
        {"mcp_param_count": "=?base64?!?="},
        {"mcp_param_count": "true"},
        {"mcp_param_who": "nobody"},
        {"mcp_param_plain": "x"},
        {"mcp_param_other": "1"},
        {},
    ],
)
def test_a_header_that_says_other_than_the_arguments_is_refused(
    running: Served, far: FarServer, headers: dict[str, str]
) -> None:
    listed(running, far)
    before = len(far.asked)
    reply = mark(running, **headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, -32020)
    assert reply.json()["id"] == 1
    assert len(far.asked) == before
    assert running.ledger.feed.page()[-1].effect == "refused"


def test_an_argument_whose_header_is_given_twice_is_refused(
    running: Served, far: FarServer
) -> None:
    listed(running, far)
    before = len(far.asked)
    known = {name.replace("_", "-"): value for name, value in routed("tools/call", MARK).items()}
    pairs = [*(running.headers() | known).items(), *[("mcp-param-count", "1")] * 2]
    body = json.dumps(stateless("tools/call", 1, MARK)).encode()
    reply = running.client.post(running.url("/mcp/far"), content=body, headers=pairs)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, -32020)
    assert len(far.asked) == before


def test_an_argument_in_a_header_of_anything_but_a_call_is_refused(
    running: Served, far: FarServer
) -> None:
    headers = {**routed("ping", {}), "mcp_param_count": "1"}
    reply = running.send("far", stateless("ping", 1, {}), **headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, -32020)


def test_the_older_era_has_no_arguments_in_headers(running: Served, far: FarServer) -> None:
    session = running.begin("far")
    asked = request("tools/call", 1, MARK)
    reply = running.send("far", asked, mcp_session_id=session, mcp_param_count="50000")
    assert reply.status_code == 200
    assert "mcp-param-count" not in {name.lower() for name in far.asked[-1].headers}


def test_a_message_goes_on_byte_for_byte(running: Served, far: FarServer) -> None:
    body = json.dumps(stateless("tools/call", 1, CALL), indent=3).encode()
    running.send("far", body, **routed("tools/call", CALL))
    assert far.asked[-1].body == body


def test_a_compressed_answer_is_looked_into(running: Served, far: FarServer) -> None:
    tools = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}

    def script(asked: Asked) -> None:
        body = gzip.compress(answer_to(asked.message, tools))
        asked.answer(body=body, headers={"Content-Encoding": "gzip"})

    far.script = script
    write_policy(running.paths, "far", hide=["echo"])
    reply = running.send("far", stateless("tools/list", 1, {}), **routed("tools/list", {}))
    write_policy(running.paths, "far")
    assert "content-encoding" not in reply.headers
    assert reply.json()["result"]["tools"] == []


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 407, 429, 500, 503])
def test_a_status_without_a_message_becomes_an_error(
    running: Served, far: FarServer, status: int
) -> None:
    headers = {"Location": "http://127.0.0.1:9/", "WWW-Authenticate": "Basic"}
    far.script = lambda asked: asked.answer(status, headers=headers)
    reply = call(running)
    assert (reply.status_code, reply.json()["id"]) == (200, 1)
    assert str(status) in reply.json()["error"]["message"]
    assert "www-authenticate" not in reply.headers
    assert running.ledger.feed.page()[-1].outcome == "lost"


@pytest.mark.parametrize("status", [400, 404, 429, 503])
def test_a_servers_error_passes_whatever_its_status(
    running: Served, far: FarServer, status: int
) -> None:
    error = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no"}}'
    far.script = lambda asked: asked.answer(status, error)
    assert call(running).json()["error"] == {"code": -32000, "message": "no"}
    assert running.ledger.feed.page()[-1].outcome == "error"


def test_what_a_proxy_says_on_its_way_is_not_the_servers_refusal(
    running: Served, far: FarServer
) -> None:
    error = b'{"error":{"code":504,"message":"upstream timeout"}}'
    far.script = lambda asked: asked.answer(504, error)
    assert "failed (504)" in call(running).json()["error"]["message"]
    assert running.ledger.feed.page()[-1].outcome == "lost"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>", "text/html"),
        (500, b"oops", "text/plain"),
        (200, b"not json", "application/json"),
        (204, b"", "application/json"),
    ],
)
def test_an_answer_that_is_no_message_becomes_an_error(
    running: Served, far: FarServer, status: int, body: bytes, kind: str
) -> None:
    far.script = lambda asked: asked.answer(status, body, kind)
    assert call(running).json()["error"]["code"] == -32000


@pytest.mark.parametrize("end", [True, False])
def test_a_stream_that_ends_without_the_answer_is_an_error(
    running: Served, far: FarServer, *, end: bool
) -> None:
    note = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
    far.script = lambda asked: asked.stream(event(note), end=end)
    said = [message for _, message in events(call(running))]
    assert said[0]["method"] == "notifications/message"
    assert (said[-1]["id"], said[-1]["error"]["code"]) == (1, -32000)
    assert running.ledger.feed.page()[-1].outcome == "lost"


def test_events_have_ids_of_the_gateway(running: Served, far: FarServer) -> None:
    session = running.begin("far")
    note = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'

    def script(asked: Asked) -> None:
        asked.stream(event(note, id="7", retry=1), event(answer_to(asked.message, OK), id="8"))

    far.script = script
    reply = running.send("far", request("tools/call", 1, CALL), mcp_session_id=session)
    [(first, _), (last, answered)] = events(reply)
    assert answered["result"] == OK
    assert (first or "").endswith("/1")
    assert (last or "").endswith("/2")
    assert "retry" not in reply.text


def test_a_redirect_within_the_origin_is_followed(running: Served, far: FarServer) -> None:
    def script(asked: Asked) -> None:
        if asked.path == "/mcp":
            asked.answer(307, b"{}", headers={"Location": "/mcp/"})
        else:
            usual(asked)

    far.script = script
    assert call(running).status_code == 200
    assert far.asked[-1].path == "/mcp/"
    assert far.asked[-1].body == far.asked[-2].body


def test_redirects_without_end_are_given_up(running: Served, far: FarServer) -> None:
    before = len(far.asked)
    far.script = lambda asked: asked.answer(308, headers={"Location": asked.path})
    assert "again and again" in call(running).json()["error"]["message"]
    assert len(far.asked) - before == 4


def test_a_json_body_under_the_type_of_a_stream_is_the_answer(
    running: Served, far: FarServer
) -> None:
    far.script = lambda asked: asked.answer(
        body=answer_to(asked.message, OK), kind="text/event-stream"
    )
    assert answer(call(running))["result"] == OK


def test_an_answer_that_cannot_be_read_is_an_error(running: Served, far: FarServer) -> None:
    far.script = lambda asked: asked.answer(body=b'{"jsonrpc":"2.0","result":{"mean":NaN},"id":1}')
    message = answer(call(running))
    assert message["id"] == 1
    assert "may have been done" in message["error"]["message"]
    assert running.ledger.feed.page()[-1].outcome == "lost"


def test_a_stream_of_no_session_cannot_be_gone_on_from(running: Served, far: FarServer) -> None:
    asked_before = len(far.asked)
    headers = running.headers() | {"last-event-id": "7"}
    refused = running.client.get(running.url("/mcp/far"), headers=headers)
    assert (refused.status_code, len(far.asked)) == (400, asked_before)
    assert "Mcp-Session-Id" in refused.json()["error"]["message"]


def test_events_of_no_session_have_no_ids(running: Served, far: FarServer) -> None:
    note = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
    far.script = lambda asked: asked.stream(
        event(note, id="7"), event(answer_to(asked.message, OK), id="8")
    )
    assert [event_id for event_id, _ in events(call(running))] == [None, None]


def test_a_session_has_an_id_of_the_gateway(running: Served, far: FarServer) -> None:
    session = running.begin("far")
    assert session != "s-1"
    assert "result" in running.ask("far", session, "ping")
    assert far.asked[-1].headers["Mcp-Session-Id"] == "s-1"


def test_a_stream_that_breaks_off_is_gone_on_from(running: Served, far: FarServer) -> None:
    session = running.begin("far")

    def script(asked: Asked) -> None:
        if asked.method == "POST":
            asked.stream(b"id: 7\ndata:\n\n")
        elif asked.headers.get("last-event-id") == "7":
            asked.stream(event(json.dumps({"jsonrpc": "2.0", "id": 5, "result": OK}).encode()))
        else:
            asked.answer(405)

    far.script = script
    reply = running.send("far", request("tools/call", 5, CALL), mcp_session_id=session)
    assert answer(reply) == {"jsonrpc": "2.0", "id": 5, "result": OK}
    assert eventually(lambda: running.ledger.feed.page()[-1].outcome == "ok")


def test_sessions_of_two_clients_are_two_whatever_the_server_calls_them(running: Served) -> None:
    one = running.begin("far")
    _, token = running.grants("second", "far")
    other = running.begin("far", token=token)
    assert one != other
    for session, given in ((one, None), (other, token)):
        ping = request("ping", 1, {})
        reply = running.send("far", ping, token=given, mcp_session_id=session)
        assert "result" in answer(reply)


def test_a_client_that_leaves_closes_the_stream_to_the_server(
    running: Served, far: FarServer
) -> None:
    note = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
    far.script = lambda asked: asked.linger(event(note))
    headers = running.headers() | {
        name.replace("_", "-"): value for name, value in routed("tools/call", CALL).items()
    }
    body = stateless("tools/call", 4, CALL)
    with running.client.stream("POST", running.url("/mcp/far"), json=body, headers=headers):
        assert eventually(lambda: far.asked[-1].message["id"] == 4)
    far.asked[-1].wait_for_end()
    assert eventually(lambda: running.ledger.feed.page()[-1].outcome == "cancelled")


def test_what_the_server_may_not_ask_is_answered_here(
    running: Served, far: FarServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("asks")
    paths = Paths.at(place / "config", place / "data")
    write_servers(paths, far={"url": far.url})
    write_policy(paths, "far")
    settings = Settings(servers={"far": ServerSettings(methods={"elicitation/create": "deny"})})
    ask = b'{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}'

    def script(asked: Asked) -> None:
        if asked.message.get("method") == "tools/call":
            asked.stream(event(ask), event(answer_to(asked.message, OK)))
        else:
            usual(asked)

    far.script = script
    with served(paths, settings) as other:
        session = other.begin("far")
        reply = other.send("far", request("tools/call", 1, CALL), mcp_session_id=session)
    assert answer(reply)["id"] == 1
    refusals = [asked.message for asked in far.asked if asked.body and b"error" in asked.body]
    assert refusals[-1]["id"] == "q"
    assert answer(reply)["result"] == OK
