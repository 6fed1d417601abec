"""A server behind a URL that forgot its session: the client keeps its own and learns nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pktui.gateway.upstream import pace
from tests.gateway.http.served import (
    Served,
    answer,
    eventually,
    request,
    served,
    write_policy,
    write_servers,
)
from tests.gateway.upstream.far import Asked, FarServer, event

if TYPE_CHECKING:
    from pktui.settings import Paths

CALL = {"name": "echo", "arguments": {"n": 1}}


@dataclass
class Forgetful:
    """A server with one session, which it forgets when a test says so."""

    refuse: tuple[int, bytes, str] = (404, b"", "")
    sessions: int = 0
    known: str = ""
    begins: bool = True
    carried_out: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    places: list[str | None] = field(default_factory=list)
    listening: threading.Event = field(default_factory=threading.Event)

    def __call__(self, asked: Asked) -> None:
        message = asked.message or {}
        session = asked.headers.get("mcp-session-id", "")
        if message.get("method") == "initialize":
            self.begin(asked)
        elif session != self.known:
            asked.answer(*self.refuse)
        elif asked.method == "GET":
            self.places.append(asked.headers.get("last-event-id"))
            self.listening.set()
            asked.stream(event(b'{"jsonrpc":"2.0","method":"x"}', id=f"e-{self.known}"))
        elif "id" not in message:
            self.told.append(f"{message.get('method', asked.method)} {session}")
            asked.answer(202)
        else:
            self.carried_out.append(message["id"])
            asked.result({"content": [{"type": "text", "text": session}]})

    def begin(self, asked: Asked) -> None:
        if not self.begins:
            asked.answer(503)
            return
        self.sessions += 1
        self.known = f"s-{self.sessions}"
        asked.result({"protocolVersion": "2025-11-25"}, {"Mcp-Session-Id": self.known})


@pytest.fixture
def server() -> Forgetful:
    return Forgetful()


@pytest.fixture
def running(paths: Paths, server: Forgetful, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(pace, "LEAST_SECONDS", 0.0)
    with FarServer(server) as far:
        write_servers(paths, far={"url": far.url})
        write_policy(paths, "far")
        with served(paths) as gateway:
            yield gateway


def call(running: Served, session: str, number: int) -> str:
    reply = running.send("far", request("tools/call", number, CALL), mcp_session_id=session)
    assert reply.status_code == 200, reply.text
    assert reply.headers.get("mcp-session-id", session) == session
    return str(answer(reply)["result"]["content"][0]["text"])


@pytest.mark.parametrize(
    "refuse", [(404, b"", ""), (400, b"Bad Request: No valid session ID", "text/plain")]
)
def test_a_call_is_made_in_a_new_session_and_the_client_keeps_its_own(
    running: Served, server: Forgetful, refuse: tuple[int, bytes, str]
) -> None:
    session = running.begin("far")
    assert eventually(lambda: len(server.told) == 1)
    server.refuse, server.known = refuse, "forgotten"
    assert call(running, session, 1) == "s-2"
    assert call(running, session, 2) == "s-2"
    assert server.carried_out == [1, 2]
    assert server.told == [f"notifications/initialized s-{number}" for number in (1, 2)]
    assert running.end("far", session) == 200
    assert eventually(lambda: server.told[-1] == "DELETE s-2")


def test_it_is_begun_again_as_often_as_it_is_forgotten(running: Served, server: Forgetful) -> None:
    session = running.begin("far")
    for number in range(2, 5):
        server.known = "forgotten"
        assert call(running, session, number) == f"s-{number}"


def test_a_server_that_begins_none_is_asked_again_later(running: Served, server: Forgetful) -> None:
    session = running.begin("far")
    server.known, server.begins = "forgotten", False
    reply = running.send("far", request("tools/call", 1, CALL), mcp_session_id=session)
    assert "(503)" in answer(reply)["error"]["message"]
    assert server.carried_out == []
    server.begins = True
    assert call(running, session, 2) == "s-2"


def test_calls_at_once_begin_one_session(running: Served, server: Forgetful) -> None:
    session = running.begin("far")
    server.known = "forgotten"
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(call(running, session, n)))
        for n in range(1, 7)
    ]
    for thread in threads:
        thread.start()
    assert eventually(lambda: len(found) == 6)
    assert server.sessions == 2
    assert set(found) == {"s-2"}
