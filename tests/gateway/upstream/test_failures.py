"""What a client is told when a remote server fails, refuses, or speaks something else."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any

import pytest

from tests.gateway.upstream.far import (
    LIMIT,
    MODERN,
    Asked,
    FarServer,
    Peer,
    Script,
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
            assert "the connection was refused. Check that it runs" in words
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


def test_what_a_proxy_says_on_its_way_is_not_the_servers_refusal() -> None:
    error = b'{"error":{"code":504,"message":"upstream timeout"}}'
    with FarServer(lambda asked: asked.answer(504, error)) as far, Peer.to(far.url) as peer:
        assert "504" in peer.ask("tools/list", 1)["error"]["message"]


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


def compressed(body: bytes, encoding: str = "gzip") -> Script:
    def script(asked: Asked) -> None:
        assert asked.headers["Accept-Encoding"] == "identity"
        asked.answer(body=body, headers={"Content-Encoding": encoding})

    return script


def test_a_compressed_answer_is_looked_into() -> None:
    body = gzip.compress(b'{"jsonrpc":"2.0","id":1,"result":{"a":1}}')
    with FarServer(compressed(body)) as far, Peer.to(far.url) as peer:
        assert peer.ask("tools/list")["result"] == {"a": 1}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (compressed(b"\x1f\x8b"), "its compressed answer breaks off"),
        (compressed(b"no gzip"), "its compressed answer is damaged"),
        (compressed(b"x", "br"), "its answer is compressed (br), which was not asked for"),
        (compressed(gzip.compress(b" " * 10 * LIMIT)), f"of more than {LIMIT} bytes"),
    ],
)
def test_a_compressed_answer_that_cannot_be_looked_into_is_an_error(
    script: Script, words: str
) -> None:
    with FarServer(script) as far, Peer.to(far.url) as peer:
        assert words in peer.failure()


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_json_body_under_the_type_of_a_stream_is_the_answer(parts: int, *, end: bool) -> None:
    body = b'\n {"jsonrpc":"2.0",\n\n"id":1,"result":{"a":"data: x"}}'
    size = -(-len(body) // parts)

    def script(asked: Asked) -> None:
        asked.stream(*(body[at : at + size] for at in range(0, len(body), size)), end=end)

    with FarServer(script) as far, Peer.to(far.url) as peer:
        assert peer.ask("tools/list")["result"] == {"a": "data: x"}


def test_answers_that_only_announce_the_answer_are_passed_over_within_bounds() -> None:
    count = 3

    def script(asked: Asked) -> None:
        asked.handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * count)
        asked.handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * count)
        asked.result({"a": 1})

    with FarServer(script) as far, Peer.to(far.url) as peer:
        assert peer.ask("tools/list")["result"] == {"a": 1}
        count = 1000
        assert "not HTTP as it should be" in peer.failure("tools/list", 2)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_loses_the_call_says_where_to(status: int) -> None:
    def script(asked: Asked) -> None:
        asked.answer(status, headers={"Location": f"{asked.path}/?key=s3cret"})

    with FarServer(script) as far, Peer.to(far.url) as peer:
        told = peer.failure()
        assert f"sends requests on to {far.url}/?… ({status})" in told
        assert f"Make {far.url}/?… the server's URL" in told
        assert "credentials" not in told
        assert "s3cret" not in told


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
