"""HTTP as clients send it: whole, in pieces, one behind the other, odd, and without end."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pktui.httpserver import serving
from pktui.httpserver.serving import Post, Server, configured, protocol, read_body

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

PATIENCE = 60.0
POST = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"


@dataclass
class Served:
    """A server whose short way is `short`; what goes through ASGI is answered with its body."""

    short: Callable[[Post], bool]
    port: int = 0
    asgi: list[bytes] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    began: threading.Event = field(default_factory=threading.Event)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began.set()
        body = await read_body(receive, 1_000_000, PATIENCE)
        self.asgi.append(scope["method"].encode() + b" " + body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"asgi " + body})

    def send(self, *pieces: bytes, answers: int = 1) -> bytes:
        """Send pieces, and return what comes until so many answers came or the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            for piece in pieces:
                connection.sendall(piece)
            came = b""
            while came.count(b"HTTP/1.1 ") < answers or not came.endswith((b"!", b"0\r\n\r\n")):
                part = connection.recv(65536)
                if not part:
                    break
                came += part
            return came


def at_once(post: Post) -> bool:
    post.answer(200, b"short " + post.body + b"!", b"x-own: 1\r\n")
    return True


@contextmanager
def running(short: Callable[[Post], bool] = at_once, **limits: Any) -> Iterator[Served]:
    served = Served(short)

    def took(post: Post) -> bool:
        served.posts.append(post)
        return served.short(post)

    http = protocol(short=took, **limits)
    server = Server(configured(served.app, http=http, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served.port = listener.getsockname()[1]
        ready = threading.Event()

        async def serve() -> None:
            asyncio.get_running_loop().call_soon(ready.set)
            await server.serve(sockets=[listener])

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            assert ready.wait(PATIENCE)
            yield served
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with running() as served:
        yield served


@pytest.fixture(autouse=True)
def _afresh(request: pytest.FixtureRequest) -> None:
    if "server" in request.fixturenames:
        served = request.getfixturevalue("server")
        served.asgi.clear()
        served.posts.clear()


def test_a_post_is_answered_without_asgi(server: Served) -> None:
    came = server.send(POST + b"\r\nok")
    assert came.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
    assert b"\r\nx-own: 1\r\n" in came
    assert came.endswith(b"\r\n\r\nshort ok!")
    assert server.asgi == []


def test_a_post_may_come_in_pieces(server: Served) -> None:
    pieces = [bytes([byte]) for byte in POST + b"\r\nok"]
    assert server.send(*pieces).endswith(b"short ok!")
    assert server.posts[0].headers == {b"host": b"h", b"content-length": b"2"}


def test_posts_behind_each_other_are_answered_in_their_order(server: Served) -> None:
    came = server.send((POST + b"\r\n01" + POST + b"\r\n02" + POST + b"\r\n03"), answers=3)
    assert [came.index(b"%02d!" % number) for number in (1, 2, 3)] == sorted(
        came.index(b"%02d!" % number) for number in (1, 2, 3)
    )


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /x HTTP/1.0\r\nHost: h\r\nContent-Length: 2\r\n\r\nok",
        POST + b"Host: other\r\n\r\nok",
        POST + b"Expect: 100-continue\r\n\r\nok",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000,
    ],
    ids=["get", "1.0", "a header twice", "expect", "chunked", "large"],
)
def test_whatever_is_odd_goes_through_asgi(server: Served, request_: bytes) -> None:
    assert b"asgi" in server.send(request_)
    assert server.posts == []


def test_what_the_short_way_leaves_goes_through_asgi_whole(server: Served) -> None:
    server.short = lambda _post: False
    try:
        assert server.send(POST + b"\r\nok").endswith(b"asgi ok\r\n0\r\n\r\n")
        assert server.asgi == [b"POST ok"]
    finally:
        server.short = at_once


def test_a_failure_on_the_short_way_is_an_answer(server: Served) -> None:
    def failing(_post: Post) -> bool:
        raise KeyError

    server.short = failing
    try:
        assert server.send(POST + b"\r\nok").startswith(b"HTTP/1.1 500 ")
    finally:
        server.short = at_once


def test_a_request_behind_one_that_waits_is_not_answered_before_it() -> None:
    kept: list[Post] = []

    def short(post: Post) -> bool:
        kept.append(post)
        asyncio.get_running_loop().call_later(0.05, at_once, post)
        return True

    with running(short) as served:
        came = served.send(POST + b"\r\n01" + b"GET /x HTTP/1.1\r\n\r\n", answers=2)
    assert came.index(b"short 01!") < came.index(b"asgi")


def test_a_post_can_be_handed_over_later() -> None:
    async def rest(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b"later"})

    def short(post: Post) -> bool:
        asyncio.get_running_loop().call_soon(post.hand_over, rest)
        return True

    with running(short) as served:
        came = served.send(POST + b"\r\nok", answers=1)
    assert came.startswith(b"HTTP/1.1 202 ")
    assert b"later" in came


def test_a_client_that_leaves_is_told() -> None:
    gone = threading.Event()
    taken = threading.Event()

    def short(post: Post) -> bool:
        post.gone = gone.set
        taken.set()
        return True

    with running(short) as served:
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(POST + b"\r\nok")
            assert taken.wait(PATIENCE)
        assert gone.wait(PATIENCE)


def test_a_body_that_dawdles_is_left_to_asgi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_SHORT_SECONDS", 0.0)
    with running() as served:
        with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as connection:
            connection.sendall(POST + b"\r\no")
            assert served.began.wait(PATIENCE)
            connection.sendall(b"k")
            assert b"HTTP/1.1 200" in connection.recv(65536)
        assert served.asgi == [b"POST ok"]


def test_a_connection_that_is_to_close_closes(server: Served) -> None:
    came = server.send(POST + b"Connection: close\r\n\r\nok", answers=2)
    assert b"\r\nconnection: close\r\n" in came
    assert came.endswith(b"short ok!")


@pytest.mark.parametrize("line", [b"X: " + b"x" * 300_000, b"X: x\r\n" * 60_000])
def test_a_head_without_end_is_refused(line: bytes) -> None:
    with running(head_bytes=10_000) as served:
        try:
            came = served.send(b"GET / HTTP/1.1\r\n", line, answers=2)
        except ConnectionError:
            return  # closed while this was still writing
    assert came.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", POST])
def test_a_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    with running(head_seconds=0.1) as served:
        assert served.send(sent) == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"POST /x HTTP/1.1\r\nX : y\r\n\r\n",
    ],
    ids=["no http", "two lengths", "negative", "length and chunks", "space before a colon"],
)
def test_what_two_readers_would_read_differently_is_refused(server: Served, sent: bytes) -> None:
    assert server.send(sent).startswith(b"HTTP/1.1 400 ")
    assert server.posts == []


def test_one_connection_too_many_is_told_so() -> None:
    full = b"HTTP/1.1 503 Full\r\n\r\n!"
    with (
        running(most=1, refusal=full) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as first,
    ):
        first.sendall(POST + b"\r\nok")
        assert b"short ok!" in first.recv(65536)
        assert served.send(b"", answers=2) == full
