"""What a client is told when a remote server fails, refuses, or speaks something else."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from tests.gateway.remote.far import (
    LIMIT,
    MODERN,
    PATIENCE,
    Asked,
    FarServer,
    Peer,
    event,
    session,
)


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
            assert peer.sent is False


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
        assert peer.sent is True
        assert "can't be reached" in peer.failure("tools/list", 9)
        assert peer.sent is False


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
        assert peer.sent is True
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
