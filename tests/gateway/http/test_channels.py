"""Whose answer a server's message is, where ids come again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pktui.gateway.http.channels import Channel, Link
from pktui.gateway.lineio.lines import TooLong
from pktui.gateway.protocol.jsonrpc import Limits, Message, parse
from pktui.gateway.protocol.server_messages import Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.gateway.http.channels import Started


@dataclass
class Server:
    """A started server that says what it is told to."""

    sent: list[bytes] = field(default_factory=list)
    full: bool = False
    said: str = ""

    def start(self, take: Callable[..., None], ended: Callable[[], None]) -> None:
        self.say, self.ended = take, ended

    def send(self, *lines: bytes) -> None:
        self.sent += lines

    def end(self, _grace: float) -> int:
        return 0


@dataclass
class Client:
    """A request's way back: what its relay was given, and what it was told."""

    heard: list[Any] = field(default_factory=list)

    @property
    def channel(self) -> Channel:
        relay = SimpleNamespace(from_server=self.heard.append, close=lambda *_given, **_named: True)
        stream = SimpleNamespace(put=self.heard.append, finish=lambda: None)
        return Channel(cast("Any", stream), cast("Any", relay), id_text=b'"7"')


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def link(server: Server, clock: Clock) -> Link:
    made = Link(
        cast("Started", server), "demo", lambda _said: None, lambda _state, _link: None, clock
    )
    made.start()
    return made


def asked(request_id: Any) -> Message:
    line = json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "tools/list"})
    return parse(line.encode(), Limits())


def answered(request_id: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "result": {}}).encode()


def given_up(link: Link, request_id: Any) -> None:
    message = asked(request_id)
    assert link.reserve(message)
    link.forward(message, Client().channel)
    link.release(message)
    link.forget(message)  # the client's leaving is told apart from the end of its request


@pytest.mark.parametrize("again", [7, "7"])
def test_the_id_of_a_request_that_was_given_up_waits_for_its_answer(
    link: Link, server: Server, again: Any
) -> None:
    given_up(link, 7)
    assert not link.reserve(asked(again))
    assert link.reserve(asked(8))
    server.say(answered(7))
    assert link.reserve(asked(again))


def test_an_answer_that_never_comes_is_not_waited_for_for_ever(link: Link, clock: Clock) -> None:
    given_up(link, 7)
    clock.now = 601
    assert link.reserve(asked(7))


@pytest.mark.parametrize(("given", "other"), [(2**53 + 1, 2**53), (7, "7")])
def test_ids_that_some_server_takes_for_one_are_not_under_way_together(
    link: Link, server: Server, given: Any, other: Any
) -> None:
    client = Client()
    assert link.reserve(asked(given))
    assert not link.reserve(asked(other))
    link.forward(asked(given), client.channel)
    server.say(answered(other))
    assert client.heard == [answered(other)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":7,"result":{"x":NaN}}',
        b'{"result":{"x":NaN},"jsonrpc":"2.0","id":7}',
        b'[{"jsonrpc":"2.0","id":7,"result":{"x":NaN}}]',
        b'{"jsonrpc":"2.0","id":7,"id":8,"result":{}}',
        TooLong.of(b'{"jsonrpc":"2.0","id":7,"result":{}}'),
        TooLong.of(b'{"result":{},"id":7}'),
    ],
)
def test_an_answer_that_cannot_be_read_is_an_error_at_once(
    link: Link, server: Server, line: bytes | TooLong
) -> None:
    client = Client()
    link.forward(asked(7), client.channel)
    server.say(line)
    [told] = client.heard
    assert isinstance(told, Unanswered)
    assert "may have been done" in told.why


@pytest.mark.parametrize(
    "line",
    [
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":7,"result":{}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"x":"caf\xe9"}}',
        b'{"jsonrpc":"2.0","id":7,"method":null,"result":{}}',
        b'{"jsonrpc":"2.0","id":7,"method":5,"result":{}}',
        b'{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}',
    ],
)
def test_an_answer_that_is_odd_finds_its_request(link: Link, server: Server, line: bytes) -> None:
    client = Client()
    link.forward(asked(7), client.channel)
    server.say(line)
    assert len(client.heard) == 1


def test_a_lost_request_is_answered_by_its_id_as_it_was_written(link: Link, server: Server) -> None:
    client = Client()
    link.forward(asked("7"), client.channel)
    server.ended()
    assert json.loads(client.heard[0])["id"] == "7"


def test_a_lost_request_is_told_what_the_server_said_last(link: Link, server: Server) -> None:
    client = Client()
    link.forward(asked(7), client.channel)
    server.said = "Error: no such port"
    server.ended()
    why = json.loads(client.heard[0])["error"]["message"]
    assert why == 'server demo ended and can\'t answer. It said: "Error: no such port"'
