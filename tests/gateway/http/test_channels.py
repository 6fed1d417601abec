"""On whose stream a message goes out, where ids come again."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pktui.gateway.http.channels import Channel
from pktui.gateway.protocol.jsonrpc import Limits, Message, Refused, parse
from pktui.gateway.relay.in_flight import InFlight, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pktui.gateway.http.channels import Started
    from pktui.gateway.http.threads import WorkerThreads
    from pktui.gateway.relay.in_flight import Pending
    from pktui.gateway.relay.relay_session import RelaySession
    from pktui.gateway.relay.server_context import ServerContext

CANCELLED = "notifications/cancelled"


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
    """The stream of a request, as what it was told."""

    heard: list[Any] = field(default_factory=list)
    over: bool = False
    behind: bool = False
    waited_for: bool = True
    trace: Mapping[str, str] = field(default_factory=dict)

    def put(self, line: bytes, *, last: bool, wait: bool) -> None:
        assert wait is self.waited_for
        self.heard.append(json.loads(line))
        self.over = last

    def finish(self) -> None:
        self.over = True

    def cancelled(self) -> None:
        self.heard.append(CANCELLED)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def in_flight(clock: Clock) -> InFlight:
    return InFlight(lambda: int(clock.now * 1e9))


@pytest.fixture
def closed() -> list[Any]:
    return []


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def threads() -> WorkerThreads:
    return cast("WorkerThreads", SimpleNamespace(thread=0))


@pytest.fixture
def channel(
    server: Server, clock: Clock, in_flight: InFlight, closed: list[Any], threads: WorkerThreads
) -> Channel:
    made = Channel(
        cast("Started", server),
        "demo",
        cast("Pending", SimpleNamespace(in_flight=in_flight)),
        cast("ServerContext", None),
        threads,
        log=lambda _said: None,
        state_given=lambda _state, _channel: None,
        clock=clock,
    )
    relay = SimpleNamespace(
        from_server=made.to_client,
        close=lambda *given: closed.append(given),
        server_lost=closed.append,
    )
    made.relay = cast("RelaySession", relay)
    made.start()
    return made


def asked(request_id: Any, **meta: Any) -> Message:
    members = {
        "jsonrpc": "2.0",
        "id": request_id,
        "method": "tools/list",
        "params": {"_meta": meta},
    }
    return parse(json.dumps(members).encode(), Limits())


def answered(request_id: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "result": {}}).encode()


def told(method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode()


@pytest.mark.parametrize("again", [7, "7"])
def test_the_id_of_a_request_under_way_is_no_other_requests(channel: Channel, again: Any) -> None:
    channel.open(asked(7), Client())
    assert not channel.is_free(asked(again))
    assert channel.is_free(asked(8))
    with pytest.raises(Refused, match="still waits"):
        channel.open(asked(again), Client())


def test_the_id_of_a_request_that_was_given_up_waits_for_its_answer(
    channel: Channel, in_flight: InFlight, clock: Clock
) -> None:
    client = Client()
    channel.open(asked(7), client)
    in_flight.add(7, Waiting(asked(7), None, 0))
    channel.close(asked(7), client)
    in_flight.give_up(7)
    assert not channel.is_free(asked("7"))
    clock.now = 601
    assert channel.is_free(asked(7))


def test_the_token_of_a_request_that_was_given_up_is_no_other_requests(
    channel: Channel, clock: Clock
) -> None:
    client = Client()
    channel.open(asked(7, progressToken="t"), client)
    assert not channel.is_free(asked(8, progressToken="t"))
    channel.close(asked(7, progressToken="t"), client)
    assert not channel.is_free(asked(8, progressToken="t"))
    clock.now = 601
    assert channel.is_free(asked(8, progressToken="t"))


def test_an_answer_ends_the_stream_of_its_request(channel: Channel, server: Server) -> None:
    one, other = Client(), Client()
    channel.open(asked(7), one)
    channel.open(asked(8), other)
    server.say(answered("7"), answered(9))
    assert (one.heard, one.over) == ([json.loads(answered("7"))], True)
    assert other.heard == []
    assert channel.is_free(asked(7))


def test_progress_goes_out_on_the_stream_of_its_token(channel: Channel, server: Server) -> None:
    one, other = Client(), Client()
    channel.open(asked(7, progressToken=1), one)
    channel.open(asked(8, progressToken=2), other)
    server.say(told("notifications/progress", progressToken=1, progress=1))
    assert [len(one.heard), len(other.heard)] == [1, 0]


def test_what_belongs_to_no_token_goes_out_with_the_newest_request(
    channel: Channel, server: Server
) -> None:
    one, other, unsolicited = Client(), Client(), Client()
    channel.unsolicited = cast("Any", unsolicited)
    channel.open(asked(7), one)
    channel.open(asked(8), other)
    server.say(told("notifications/message"), told("notifications/tools/list_changed"))
    assert [len(client.heard) for client in (one, other, unsolicited)] == [0, 1, 1]


def test_the_event_loop_waits_for_no_client_that_it_serves_itself(
    channel: Channel, threads: WorkerThreads
) -> None:
    threads.thread = threading.get_ident()
    slow = Client(waited_for=False)
    channel.unsolicited = cast("Any", slow)
    channel.to_client(told("notifications/tools/list_changed"))
    assert len(slow.heard) == 1


def test_a_server_that_gives_a_request_up_ends_its_stream(
    channel: Channel, server: Server, closed: list[Any]
) -> None:
    client = Client()
    channel.open(asked(7), client)
    server.say(told(CANCELLED, requestId=7))
    assert (client.heard, client.over, closed) == ([], True, [(7, "cancelled")])


def test_a_request_that_its_client_cancels_is_answered_once(channel: Channel) -> None:
    client = Client()
    channel.open(asked(7), client)
    channel.cancelled(7)
    channel.cancelled(7)
    channel.cancelled(None)
    assert client.heard == [CANCELLED]


def test_a_server_that_ends_is_told_to_the_relay_with_what_it_said_last(
    channel: Channel, server: Server, closed: list[Any]
) -> None:
    client = Client()
    channel.open(asked(7), client)
    server.said = "Error: no such port"
    server.ended()
    server.ended()
    why = 'server demo ended and can\'t answer. It said: "Error: no such port"'
    assert (closed, client.over, channel.gone) == ([why], True, True)
