"""A server that forgot its session is given a new one, and its client learns nothing of it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway.upstream.far import PATIENCE, Asked, FarServer, Peer, event

NOT_FOUND = json.dumps(
    {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Session not found"}}
).encode()


@dataclass
class Forgetful:
    """A server with one session at a time, which it forgets when a test says so."""

    sessions: int = 0
    known: str = ""
    carried_out: list[str] = field(default_factory=list)
    listening: threading.Event = field(default_factory=threading.Event)
    refuse: tuple[int, bytes, str] = (404, NOT_FOUND, "application/json")
    begins: bool = True
    remembers: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, asked: Asked) -> None:
        method = (asked.message or {}).get("method", "")
        session = asked.headers.get("Mcp-Session-Id", "")
        if method == "initialize":
            self.begin(asked)
        elif session != self.known or not self.remembers:
            asked.answer(*self.refuse)
        elif asked.method == "GET":
            self.listening.set()
            asked.linger()
        elif asked.method == "DELETE" or "id" not in asked.message:
            asked.answer(202)
        else:
            self.carried_out.append(asked.message["id"])
            asked.result({"session": session})

    def begin(self, asked: Asked) -> None:
        if not self.begins:
            asked.answer(503)
            return
        with self.lock:
            self.sessions += 1
            self.known = f"s-{self.sessions}"
        asked.result({"protocolVersion": "2025-11-25"}, {"Mcp-Session-Id": self.known})

    def forget(self) -> None:
        self.known = "forgotten"


def begun(peer: Peer) -> None:
    peer.ask("initialize", 0, protocolVersion="2025-11-25", clientInfo={"name": "me"})
    peer.send("notifications/initialized")


@pytest.mark.parametrize(
    "refuse",
    [
        (404, NOT_FOUND, "application/json"),
        (404, b"", ""),
        (400, NOT_FOUND, "application/json"),
        (400, b"Bad Request: No valid session ID provided", "text/plain"),
    ],
)
def test_a_call_that_meets_a_forgotten_session_is_made_in_a_new_one(
    refuse: tuple[int, bytes, str],
) -> None:
    server = Forgetful(refuse=refuse)
    with FarServer(server) as far, Peer.to(far.url) as peer:
        begun(peer)
        server.forget()
        assert peer.ask("tools/call", "a", name="x")["result"] == {"session": "s-2"}
        assert server.carried_out == ["a"]
        began = [asked for asked in far.asked if asked.body and b'"initialize"' in asked.body]
        assert len(began) == 2
        assert began[0].body == began[1].body
        assert "Mcp-Session-Id" not in began[1].headers
        told = [asked for asked in far.asked if asked.body and b"/initialized" in asked.body]
        assert [asked.headers["Mcp-Session-Id"] for asked in told] == ["s-1", "s-2"]
        assert peer.lines.empty()


def test_the_stream_of_what_the_server_says_by_itself_is_opened_again() -> None:
    server = Forgetful()
    with FarServer(server) as far, Peer.to(far.url) as peer:
        begun(peer)
        assert server.listening.wait(PATIENCE)
        server.listening.clear()
        server.forget()
        peer.ask("tools/call", 1, name="x")
        assert server.listening.wait(PATIENCE)
        gets = [asked for asked in far.asked if asked.method == "GET"]
        assert [asked.headers["Mcp-Session-Id"] for asked in gets] == ["s-1", "s-2"]


def test_many_calls_at_once_begin_one_session() -> None:
    server, together = Forgetful(), threading.Barrier(8)

    def script(asked: Asked) -> None:
        refused = asked.headers.get("Mcp-Session-Id") == "s-1" and server.known == "forgotten"
        if refused and asked.message and "id" in asked.message:
            together.wait(PATIENCE)
            asked.answer(404)
        else:
            server(asked)

    with FarServer(script) as far, Peer.to(far.url) as peer:
        begun(peer)
        server.forget()
        for number in range(1, 9):
            peer.send("tools/call", number, name="x")
        answers = [peer.receive() for _ in range(8)]
        assert {answer["id"] for answer in answers} == set(range(1, 9))
        assert all(answer["result"] == {"session": "s-2"} for answer in answers)
        assert server.sessions == 2


def test_a_server_that_begins_no_session_fails_the_call_and_is_asked_again_later() -> None:
    server = Forgetful()
    with FarServer(server) as far, Peer.to(far.url) as peer:
        begun(peer)
        server.forget()
        server.begins = False
        assert "is too busy (503)" in peer.failure("tools/call", 1, name="x")
        assert not peer.ended.is_set()
        assert server.carried_out == []


def test_a_server_that_forgets_every_session_at_once_is_not_asked_without_end() -> None:
    server = Forgetful()
    with FarServer(server) as far, Peer.to(far.url) as peer:
        begun(peer)
        server.remembers = False
        for number in range(1, 6):
            answer = peer.ask("tools/call", number, name="x")
            assert answer["error"]["message"]
        calls = far.methods().count("POST tools/call")
        assert calls <= 10
        assert far.methods().count("POST initialize") <= 6
        assert not peer.ended.is_set()


def test_a_call_whose_stream_was_forgotten_midway_is_not_made_again() -> None:
    server = Forgetful()

    def script(asked: Asked) -> None:
        message: Any = asked.message or {}
        if message.get("id") == "long":
            server.carried_out.append("long")
            server.forget()
            asked.stream(event(b'{"jsonrpc":"2.0","method":"x"}', id="1", retry=1))
        else:
            server(asked)

    with FarServer(script) as far, Peer.to(far.url) as peer:
        begun(peer)
        peer.send("tools/call", "long", name="x")
        assert peer.receive()["method"] == "x"
        answer = peer.receive()
        assert answer["id"] == "long"
        assert "may have been done" in answer["error"]["message"]
        assert server.carried_out == ["long"]
        assert peer.ask("tools/call", 2, name="x")["result"] == {"session": "s-2"}


def test_what_belonged_to_the_old_session_is_let_go() -> None:
    server = Forgetful()
    with FarServer(server) as far, Peer.to(far.url) as peer:
        begun(peer)
        server.forget()
        peer.server.send(b'{"jsonrpc":"2.0","id":"q","result":{}}')
        peer.send("notifications/roots/list_changed")
        assert peer.ask("tools/call", 1, name="x")["result"] == {"session": "s-2"}
        posted = [asked.message for asked in far.asked if asked.message]
        assert [one.get("id") for one in posted].count("q") == 1
        assert [one.get("method") for one in posted].count("notifications/roots/list_changed") == 1


def test_a_server_without_sessions_forgets_none() -> None:
    def script(asked: Asked) -> None:
        if asked.message["method"] == "initialize":
            asked.result({"protocolVersion": "2025-11-25"})
        else:
            asked.answer(404)

    with FarServer(script) as far, Peer.to(far.url) as peer:
        peer.initialize()
        assert "has no MCP endpoint there (404)" in peer.failure("tools/call", 1, name="x")
        assert far.methods() == ["POST initialize", "POST tools/call"]
