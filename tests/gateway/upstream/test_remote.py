"""A remote server as the relay sees it, against a real HTTP server: eras, order, replies."""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.gateway.upstream.far import (
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


def test_a_session_is_carried_from_the_first_answer_to_the_end() -> None:
    with FarServer(session(echo)) as far:
        with Peer.to(far.url, headers={"Authorization": "Bearer ${TOKEN:-abc}"}) as peer:
            peer.initialize()
            peer.send("notifications/initialized")
            assert peer.ask("tools/list")["result"] == {"got": "tools/list"}
        assert far.methods()[0] == "POST initialize"
        assert far.posted()[-1] == "DELETE"
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


# the end


def test_the_end_waits_for_what_is_under_way() -> None:
    ending = threading.Event()

    def script(asked: Asked) -> None:
        assert ending.wait(PATIENCE)
        echo(asked)

    with FarServer(session(script)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        peer.send("tools/list", 1)
        far.wait_for(lambda asked: len(asked) == 2)
        status: list[int] = []
        end = threading.Thread(target=lambda: status.append(peer.server.end(PATIENCE)))
        end.start()
        ending.set()
        assert peer.receive()["id"] == 1
        end.join(PATIENCE)
        assert status == [0]
        assert far.posted()[-1] == "DELETE"


def test_the_end_lets_go_of_what_takes_longer(never: Any) -> None:
    with FarServer(session(never)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        peer.send("tools/call", 1, name="x")
        far.wait_for(lambda asked: len(asked) == 2)
        assert peer.server.end(0) == 0
        assert never.released.wait(PATIENCE)
        peer.send("tools/list", 2)
        assert peer.lines.empty()
        assert peer.server.end(PATIENCE) == 0
