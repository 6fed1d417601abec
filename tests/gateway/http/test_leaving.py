"""A client that leaves while its answer is on its way finds it when it comes back."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pktui.gateway.http.channels import Channel
from pktui.gateway.http.exchange import Exchange
from pktui.gateway.http.protocol import Headers
from pktui.gateway.protocol.jsonrpc import Limits, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.gateway.http.channels import Started
    from pktui.gateway.http.client_sessions import Session
    from pktui.gateway.http.context import RequestContext
    from pktui.gateway.http.threads import WorkerThreads
    from pktui.gateway.relay.in_flight import Pending
    from pktui.gateway.relay.relay_session import RelaySession
    from pktui.gateway.relay.server_context import ServerContext
    from pktui.httpserver.serving import Post

ANSWER = b'{"jsonrpc":"2.0","id":9,"result":{}}'


class Rig:
    """A short POST of one call in a session, whose relay says whether the call is held."""

    def __init__(self, *, held: bool, in_session: bool = True) -> None:
        self.later: list[Callable[[], None]] = []
        self.sent: list[bytes] = []
        self.logged: list[str] = []
        self.kept: list[Any] = []
        loop = SimpleNamespace(
            call_soon_threadsafe=lambda job: job(), call_later=lambda _after, _job: None
        )
        work = cast("WorkerThreads", SimpleNamespace(thread=0, loop=loop, soon=self.later.append))
        started = SimpleNamespace(full=False, said="", send=lambda *lines: self.sent.extend(lines))
        nobody = SimpleNamespace(waits_for=lambda _id: False)
        self.channel = Channel(
            cast("Started", started),
            "demo",
            cast("Pending", SimpleNamespace(in_flight=nobody)),
            cast("ServerContext", None),
            work,
            log=self.logged.append,
            state_given=lambda _state, _channel: None,
            clock=lambda: 0.0,
        )
        relay = SimpleNamespace(take=lambda _message: None, cancel=lambda _id: held)
        self.channel.relay = cast("RelaySession", relay)
        asked = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "x"}}
        message = parse(json.dumps(asked).encode(), Limits())
        context = SimpleNamespace(headers=Headers({b"accept": b"text/event-stream"}))
        session = SimpleNamespace(keep=self.kept.append, header=b"")
        exchange = Exchange(
            cast("RequestContext", context),
            self.channel,
            message,
            work,
            lambda: "1",
            cast("Session", session) if in_session else None,
        )
        post = SimpleNamespace(gone=None, answer=self._answered)
        answer = exchange.post_short(cast("Post", post), lambda _answer: None, cast("Any", None))
        assert answer is not None
        answer.leave()

    def _answered(self, *given: Any) -> None:
        raise AssertionError(given)

    def work(self) -> None:
        for job in self.later:
            job()


@pytest.mark.parametrize("late", [False, True])
def test_an_answer_that_was_on_its_way_is_kept_for_who_comes_back(*, late: bool) -> None:
    rig = Rig(held=False)
    if late:
        rig.work()
    rig.channel.to_client(ANSWER)
    rig.work()
    [stream] = rig.kept
    assert stream.finished
    assert rig.logged == []


def test_a_held_call_is_taken_back_and_its_stream_with_it() -> None:
    rig = Rig(held=True)
    rig.work()
    rig.channel.to_client(ANSWER)
    assert rig.logged == ["server demo answered what nobody waits for"]
    assert rig.sent == []


def test_without_a_session_nobody_comes_back() -> None:
    rig = Rig(held=False, in_session=False)
    rig.channel.to_client(ANSWER)
    assert rig.logged == ["server demo answered what nobody waits for"]
    assert len(rig.later) == 1
