"""A remote server as the relay sees it, against a real HTTP server."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from pktui.errors import SettingsError
from pktui.gateway.remote.server import RemoteServer
from pktui.gateway.servers import ServerEntry
from tests.gateway.remote.far import (
    LIMIT,
    MODERN,
    PATIENCE,
    Asked,
    FarServer,
    Peer,
    answer_to,
    event,
    session,
)


def echo(asked: Asked) -> None:
    asked.result({"got": asked.message["method"]})


# headers and eras


def test_a_session_is_carried_from_the_first_answer_to_the_end() -> None:
    with FarServer(session(echo)) as far:
        with Peer.to(far.url, headers={"Authorization": "Bearer ${TOKEN:-abc}"}) as peer:
            peer.initialize()
            peer.send("notifications/initialized")
            assert peer.ask("tools/list")["result"] == {"got": "tools/list"}
        assert far.methods()[0] == "POST initialize"
        assert far.methods()[-1] == "DELETE"
        first, *others = far.asked
        assert "Mcp-Session-Id" not in first.headers
        assert "MCP-Protocol-Version" not in first.headers
        for asked in others:
            assert asked.headers["Mcp-Session-Id"] == "s-1"
            assert asked.headers["MCP-Protocol-Version"] == "2025-11-25"
        for asked in far.asked:
            assert asked.headers["Authorization"] == "Bearer abc"
            assert asked.path == "/mcp"
        assert first.headers["Accept"] == "application/json, text/event-stream"
        assert first.headers["Content-Type"] == "application/json"


def test_a_message_of_the_stateless_era_says_all_itself() -> None:
    with FarServer(echo) as far, Peer.to(far.url) as peer:
        peer.ask("tools/call", name="héllo", arguments={}, _meta=MODERN)
        peer.ask("tools/list", _meta=MODERN)
        call, listing = far.asked
        assert call.headers["MCP-Protocol-Version"] == "2026-07-28"
        assert call.headers["Mcp-Method"] == "tools/call"
        assert call.headers["Mcp-Name"] == "=?base64?aMOpbGxv?="
        assert listing.headers["Mcp-Method"] == "tools/list"
        assert "Mcp-Name" not in listing.headers
        assert "Mcp-Session-Id" not in call.headers


def test_both_eras_share_one_connection_of_a_client() -> None:
    with FarServer(session(echo)) as far, Peer.to(far.url) as peer:
        peer.ask("server/discover", "d", _meta=MODERN)
        peer.initialize()
        peer.ask("tools/list", 1, _meta=MODERN)
        peer.ask("tools/list", 2)
        modern, old = far.asked[2:4]
        assert "Mcp-Session-Id" not in modern.headers
        assert old.headers["Mcp-Session-Id"] == "s-1"
        assert "Mcp-Method" not in old.headers


TOOL = {
    "name": "query",
    "inputSchema": {"properties": {"region": {"type": "string", "x-mcp-header": "Region"}}},
}


def strict_about_headers(asked: Asked) -> None:
    """Lists one tool with a marked argument, on the second page, and wants the header."""
    message = asked.message
    if message["method"] == "tools/list":
        last = "cursor" in message["params"]
        asked.result({"tools": [TOOL] if last else [], "nextCursor": None if last else "2"})
    elif asked.headers.get("Mcp-Param-Region") == message["params"]["arguments"]["region"]:
        asked.result({"ok": True})
    else:
        error = {"code": -32020, "message": "Header mismatch"}
        body = {"jsonrpc": "2.0", "id": message["id"], "error": error}
        asked.answer(400, json.dumps(body).encode())


def test_marked_arguments_are_repeated_in_headers_once_the_tools_were_listed() -> None:
    with FarServer(strict_about_headers) as far, Peer.to(far.url) as peer:
        peer.ask("tools/list", 1, _meta=MODERN, cursor="2")
        called = peer.ask("tools/call", 2, name="query", arguments={"region": "eu"}, _meta=MODERN)
        assert called["result"] == {"ok": True}
        assert len(far.asked) == 2


def test_a_server_that_misses_headers_is_asked_for_its_tools_and_called_again() -> None:
    with FarServer(strict_about_headers) as far, Peer.to(far.url) as peer:
        meta = {**MODERN, "progressToken": 5}
        called = peer.ask("tools/call", 2, name="query", arguments={"region": "eu"}, _meta=meta)
        assert called == {"jsonrpc": "2.0", "id": 2, "result": {"ok": True}}
        assert far.methods() == ["POST tools/call", *["POST tools/list"] * 2, "POST tools/call"]
        assert "progressToken" not in far.asked[1].message["params"]["_meta"]
        assert peer.lines.empty()


def test_headers_that_stay_wrong_are_an_error_of_the_server() -> None:
    def script(asked: Asked) -> None:
        if asked.message["method"] == "tools/list":
            asked.result({"tools": []})
        else:
            strict_about_headers(asked)

    with FarServer(script) as far, Peer.to(far.url) as peer:
        params = {"name": "query", "arguments": {"region": "eu"}, "_meta": MODERN}
        assert peer.ask("tools/call", 2, **params)["error"]["code"] == -32020
        assert far.methods().count("POST tools/call") == 2


# replies


def test_a_stream_is_delivered_in_its_order_up_to_the_answer() -> None:
    note = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":%d}}'

    def script(asked: Asked) -> None:
        asked.stream(
            b": hello\n\n",
            *(event(note % step) for step in (1, 2, 3)),
            b"event: other\ndata: ignored\n\n",
            b'data: {"jsonrpc":"2.0",\ndata:  "id":1, "result":{}}\n\n',
        )

    with FarServer(script) as far, Peer.to(far.url) as peer:
        peer.send("tools/call", 1, name="x")
        steps = [peer.receive()["params"]["progress"] for _ in range(3)]
        assert steps == [1, 2, 3]
        assert peer.receive() == {"jsonrpc": "2.0", "id": 1, "result": {}}


def test_a_body_over_several_lines_comes_as_one_line_and_otherwise_as_it_is() -> None:
    body = b'{\r\n  "jsonrpc": "2.0",\n  "id": 1,\n  "result": {"odd" : 1.0}\n}\n'
    with FarServer(lambda asked: asked.answer(body=body)) as far, Peer.to(far.url) as peer:
        peer.send("ping", 1)
        line = peer.lines.get(timeout=PATIENCE)
        assert line == body.strip().replace(b"\r", b" ").replace(b"\n", b" ")


def test_a_question_of_the_server_on_a_stream_is_answered_by_a_post_meanwhile() -> None:
    answered = threading.Event()

    def script(asked: Asked) -> None:
        if asked.message.get("result"):
            asked.answer(202)
            answered.set()
            return
        question = b'{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}'
        asked.handler.send_response(200)
        asked.handler.send_header("Content-Type", "text/event-stream")
        asked.handler.send_header("Transfer-Encoding", "chunked")
        asked.handler.end_headers()
        asked.chunk(event(question))
        assert answered.wait(PATIENCE)
        asked.chunk(event(answer_to(asked.message)))
        asked.handler.wfile.write(b"0\r\n\r\n")

    with FarServer(session(script)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        peer.send("tools/call", 1, name="x")
        assert peer.receive()["method"] == "elicitation/create"
        peer.server.send(b'{"jsonrpc":"2.0","id":"q","result":{"action":"accept"}}')
        assert peer.receive()["id"] == 1
        assert far.asked[-1].headers["Mcp-Session-Id"] == "s-1"


def test_many_requests_are_under_way_at_once_and_connections_are_used_again() -> None:
    together = threading.Barrier(20)

    def script(asked: Asked) -> None:
        together.wait(PATIENCE)
        echo(asked)

    with FarServer(script) as far, Peer.to(far.url) as peer:
        for round_ in range(2):
            for number in range(20):
                peer.send("tools/list", f"{round_}-{number}")
            ids = {peer.receive()["id"] for _ in range(20)}
            assert ids == {f"{round_}-{number}" for number in range(20)}


def test_nothing_overtakes_initialize_nor_what_was_told_before() -> None:
    with FarServer(session(echo)) as far, Peer.to(far.url) as peer:
        peer.send("initialize", 0)
        peer.send("notifications/initialized")
        for number in range(1, 6):
            peer.send("tools/list", number)
        assert {peer.receive()["id"] for _ in range(6)} == set(range(6))
        asked = [method for method in far.methods() if method != "GET"]
        assert asked[:2] == ["POST initialize", "POST notifications/initialized"]


# cancelling


@pytest.fixture
def never() -> Any:
    """A script that begins a stream and never answers; set the event to let it go."""
    release = threading.Event()

    def script(asked: Asked) -> None:
        if asked.message and asked.message.get("method") == "notifications/cancelled":
            asked.answer(202)
            return
        try:
            asked.linger()
        finally:
            release.set()

    script.released = release  # type: ignore[attr-defined]
    return script


def test_a_cancelled_request_of_the_stateless_era_ends_its_stream_and_no_more(never: Any) -> None:
    with FarServer(never) as far, Peer.to(far.url) as peer:
        peer.send("tools/call", 1, name="x", _meta=MODERN)
        far.wait_for(lambda asked: len(asked) == 1)
        peer.send("notifications/cancelled", requestId=1)
        assert never.released.wait(PATIENCE)
        peer.server.end(PATIENCE)
        assert far.methods() == ["POST tools/call"]
        assert peer.lines.empty()


def test_a_cancelled_request_of_a_session_is_told_and_then_let_go(never: Any) -> None:
    with FarServer(session(never)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        peer.send("tools/call", 1, name="x")
        far.wait_for(lambda asked: len(asked) == 2)
        peer.send("notifications/cancelled", requestId=1)
        assert never.released.wait(PATIENCE)
        assert far.methods() == [
            "POST initialize",
            "POST tools/call",
            "POST notifications/cancelled",
        ]
        assert peer.lines.empty()


# failures


def test_a_server_that_is_not_there_is_named_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with Peer.to(f"http://127.0.0.1:{port}/mcp?key=s3cret") as peer:
        words = peer.failure()
        assert f"server far at http://127.0.0.1:{port}/mcp?… can't be reached" in words
        assert "Connection refused. Check that it runs" in words
        assert "s3cret" not in words
        assert peer.said == [words]


def test_a_server_that_dies_in_the_middle_of_calls_fails_each_at_once(never: Any) -> None:
    with FarServer(session(never)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        for number in range(1, 4):
            peer.send("tools/call", number, name="x")
        far.wait_for(lambda asked: len(asked) == 4)
        far.die()
        answers = [peer.receive() for _ in range(3)]
        assert {answer["id"] for answer in answers} == {1, 2, 3}
        for answer in answers:
            assert "answer" in answer["error"]["message"]
            assert "may have been done all the same" in answer["error"]["message"]
        assert "can't be reached" in peer.failure("tools/list", 9)


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (401, {}, "does not let pktui in (401). Give its key or token as a header"),
        (403, {}, "does not let pktui in (403)"),
        (404, {}, "has no MCP endpoint there (404). Check the URL"),
        (405, {}, "has no MCP endpoint there (405)"),
        (429, {}, "is too busy (429)"),
        (500, {}, "failed (500)"),
        (400, {}, "refused the request (400)"),
        (202, {}, "took the request without answering"),
        (204, {}, "answered with nothing (204), which is not MCP"),
        (302, {"Location": "https://evil.example/?k=1"}, "on to https://evil.example/ (302)"),
        (307, {"Location": "http://127.0.0.1:1/mcp"}, "on to http://127.0.0.1:1/mcp (307)"),
        (308, {}, "on to nowhere (308)"),
    ],
)
def test_an_answer_without_a_message_is_explained(
    status: int, headers: dict[str, str], words: str
) -> None:
    def script(asked: Asked) -> None:
        asked.answer(status, headers=headers)

    with FarServer(script) as far:
        with Peer.to(far.url, headers={"Authorization": "Bearer s3cret"}) as peer:
            told = peer.failure()
        assert words in told
        assert "s3cret" not in told + "".join(peer.said)
        assert len(far.asked) == 1


def test_a_page_for_people_is_not_mcp() -> None:
    def script(asked: Asked) -> None:
        asked.answer(body=b"<html>", kind="text/html")

    with FarServer(script) as far, Peer.to(far.url) as peer:
        assert "answered with text/html (200), which is not MCP" in peer.failure()


def test_an_answer_to_something_else_is_no_answer() -> None:
    body = b'{"jsonrpc":"2.0","id":"other","result":{}}'
    with FarServer(lambda asked: asked.answer(body=body)) as far, Peer.to(far.url) as peer:
        peer.send("tools/list", 1)
        assert peer.receive()["id"] == "other"
        assert "answered something else" in peer.receive()["error"]["message"]


@pytest.mark.parametrize("request_id", [None, 1, "server-error"])
def test_an_error_in_the_body_of_a_refusal_answers_the_request(request_id: Any) -> None:
    error = {"code": -32022, "message": "no", "data": {"supported": ["2025-11-25"]}}

    def script(asked: Asked) -> None:
        body = {"jsonrpc": "2.0", "id": request_id, "error": error}
        asked.answer(400, json.dumps(body).encode())

    with FarServer(script) as far, Peer.to(far.url) as peer:
        answer = peer.ask("server/discover", 1, _meta=MODERN)
        assert answer == {"jsonrpc": "2.0", "id": 1, "error": error}


@pytest.mark.parametrize(
    "script",
    [
        lambda asked: asked.answer(body=b'{"jsonrpc":"2.0","id":1,"result":"%b"}' % (b"x" * LIMIT)),
        lambda asked: asked.stream(event(b'{"id":1,"result":"%b"}' % (b"x" * LIMIT))),
        lambda asked: asked.stream(b"data: " + b"x" * LIMIT, b"x" * LIMIT, b"\n\n"),
    ],
)
def test_an_answer_beyond_the_limit_is_not_kept(script: Any) -> None:
    with FarServer(script) as far, Peer.to(far.url) as peer:
        assert f"of more than {LIMIT} bytes" in peer.failure()


def test_a_compressed_answer_is_not_looked_at() -> None:
    def script(asked: Asked) -> None:
        assert asked.headers["Accept-Encoding"] == "identity"
        asked.answer(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    with FarServer(script) as far, Peer.to(far.url) as peer:
        assert "compressed data" in peer.failure()


@pytest.mark.parametrize("meta", [{}, {"_meta": MODERN}])
def test_a_stream_that_ends_without_the_answer_is_an_error(meta: dict[str, Any]) -> None:
    def script(asked: Asked) -> None:
        asked.stream(b"id: 1\ndata:\n\n" if meta else b": nothing\n\n")

    with FarServer(script) as far, Peer.to(far.url) as peer:
        assert "ended its stream before the answer came" in peer.failure("tools/list", **meta)
        assert far.methods() == ["POST tools/list"]


def test_an_answer_that_breaks_off_is_an_error() -> None:
    def script(asked: Asked) -> None:
        asked.handler.send_response(200)
        asked.handler.send_header("Content-Type", "application/json")
        asked.handler.send_header("Content-Length", "1000")
        asked.handler.end_headers()
        asked.handler.wfile.write(b'{"jsonrpc":"2.0","id":1,"result":{}}')
        asked.hang_up()

    with FarServer(script) as far, Peer.to(far.url) as peer:
        assert "the answer broke off" in peer.failure()


def test_a_session_that_the_server_ended_answers_everything_and_ends_the_relay(never: Any) -> None:
    def script(asked: Asked) -> None:
        if asked.message["method"] == "tools/list":
            error = {"code": -32600, "message": "Session not found"}
            body = {"jsonrpc": "2.0", "id": 1, "error": error}
            asked.answer(404, json.dumps(body).encode())
        else:
            never(asked)

    with FarServer(session(script)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        peer.send("tools/call", 7, name="x")
        far.wait_for(lambda asked: len(asked) == 2)
        peer.send("tools/list", 1)
        answers = {(answer := peer.receive())["id"]: answer for _ in range(2)}
        for answer in answers.values():
            assert "has ended the session (404). Connect again" in answer["error"]["message"]
        assert peer.ended.wait(PATIENCE)
        assert peer.server.end(0) == 1
        assert "DELETE" not in far.methods()


# streams that go on


def test_a_stream_that_breaks_off_is_taken_up_again_after_the_last_event() -> None:
    note = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'

    def script(asked: Asked) -> None:
        if asked.method == "POST":
            asked.stream(b"id: 1\nretry: 5\ndata:\n\n", event(note, id="2"), end=False)
        elif asked.headers["Last-Event-ID"] == "2":
            asked.stream(event(note, id="3"))
        else:
            asked.stream(event(b'{"jsonrpc":"2.0","id":1,"result":{}}', id="4"))

    with FarServer(session(script)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        peer.send("tools/call", 1, name="x")
        assert [peer.receive().get("method", "") for _ in range(3)] == [
            *["notifications/message"] * 2,
            "",
        ]
        gets = [asked for asked in far.asked if asked.method == "GET"]
        assert [asked.headers["Last-Event-ID"] for asked in gets] == ["2", "3"]
        assert all(asked.headers["Mcp-Session-Id"] == "s-1" for asked in gets)


def test_a_stream_that_cannot_be_taken_up_again_is_an_error() -> None:
    def script(asked: Asked) -> None:
        if asked.method == "POST":
            asked.stream(b"id: 1\nretry: 1\ndata:\n\n")
        else:
            asked.answer(500)

    with FarServer(session(script)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        assert "failed (500)" in peer.failure("tools/call", name="x")


def test_what_the_server_says_by_itself_comes_through_and_goes_on_after_a_break() -> None:
    changed = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
    heard: list[str] = []
    rest = threading.Event()

    def script(asked: Asked) -> None:
        heard.append(asked.headers.get("Last-Event-ID", ""))
        if len(heard) == 1:
            asked.stream(event(changed, id="e1", retry=1))
        elif len(heard) == 2:
            asked.stream(event(changed, id="e2"), end=False)
        else:
            rest.set()
            asked.answer(405)

    with FarServer(session(script)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        peer.send("notifications/initialized")
        for _ in range(2):
            assert peer.receive()["method"] == "notifications/tools/list_changed"
        assert rest.wait(PATIENCE)
        assert heard == ["", "e1", "e2"]


# redirects


def test_a_redirect_within_the_origin_is_followed_and_remembered() -> None:
    def script(asked: Asked) -> None:
        if asked.path == "/mcp":
            asked.answer(307, headers={"Location": "/mcp/"})
        else:
            echo(asked)

    with FarServer(script) as far, Peer.to(far.url, headers={"X-Key": "k"}) as peer:
        assert "result" in peer.ask("tools/list", 1)
        assert "result" in peer.ask("tools/list", 2)
        assert [asked.path for asked in far.asked] == ["/mcp", "/mcp/", "/mcp/"]
        assert all(asked.headers["X-Key"] == "k" for asked in far.asked)


def test_redirects_without_end_are_given_up() -> None:
    with FarServer(lambda asked: asked.answer(307, headers={"Location": asked.path})) as far:
        with Peer.to(far.url) as peer:
            assert "sends requests on to" in peer.failure()
        assert len(far.asked) == 4


# entries


@pytest.mark.parametrize(
    ("url", "headers", "words"),
    [
        ("ftp://host/", {}, "is not http"),
        ("https://", {}, "is not http"),
        ("https://user:pw@host/", {}, "holds a user's name or password"),
        ("https://host/a b", {}, "holds spaces"),
        ("https://host:99999/", {}, "the URL of server far"),
        ("https://host/", {"Content-Length": "1"}, "pktui's own to set"),
        ("https://host/", {"mcp-session-id": "1"}, "pktui's own to set"),
        ("https://host/", {"Mcp-Param-A": "1"}, "pktui's own to set"),
        ("https://host/", {"Bad Name": "1"}, "cannot be the name of a header"),
        ("https://host/", {"A": "s3cret\r\nB: c"}, "value of header A"),
        ("https://host/", {"A": "${UNSET_HERE}"}, "UNSET_HERE, which is not set"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named_before_anything_is_sent(
    url: str, headers: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        RemoteServer(ServerEntry("far", url=url, headers=headers), lambda _: None, LIMIT)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with FarServer(echo) as far, Peer.to(far.url) as peer:
        assert "result" in peer.ask("tools/list")
