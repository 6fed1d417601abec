"""HTTP/1.1 for whatever here listens: uvicorn with deadlines, bounds, and a short way for a POST.

uvicorn waits for ever for a head that does not come, and takes any number of connections that say
nothing. Its way through ASGI costs a small POST more than everything that is done for it, so a POST
that came whole may be answered without it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive

KEEP_ALIVE_SECONDS: Final = 75
# A POST with a larger body goes through ASGI.
SHORT_BYTES: Final = 64 * 1024
# How long a body of the short way may take; after that ASGI, with its own deadline, waits for it.
_SHORT_SECONDS: Final = 1.0
_HEAD_BYTES: Final = 64 * 1024
# Bytes written from which on nothing more is waited for.
_AT_ONCE: Final = 64 * 1024
_HEADER: Final = b"%b: %b\r\n"


class BodyTooLarge(Exception):
    """The body is larger than it may be."""


class ClientGone(Exception):
    """The client left, or takes nothing any more."""


class Server(uvicorn.Server):
    """Leaves the signals to its owner: the library's handlers end the process by the signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Catch none."""
        yield


def configured(app: ASGIApp, *, http: Any, **more: Any) -> uvicorn.Config:
    """Return a configuration; `http` is from `protocol`."""
    return uvicorn.Config(
        app,
        interface="asgi3",
        loop="asyncio",
        http=http,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        **more,
    )


def protocol(
    *,
    head_seconds: float | None = None,
    head_bytes: int = _HEAD_BYTES,
    most: int | None = None,
    refusal: bytes = b"",
    short: Callable[[Post], bool] | None = None,
) -> Any:
    """Return what uvicorn makes a protocol with for each connection.

    A connection beyond the `most` there may be at once gets `refusal` and is closed. `short` is
    given a POST that came whole; where it returns False, ASGI serves it.
    """
    return partial(
        HttpProtocol,
        head_seconds=head_seconds,
        head_bytes=head_bytes,
        most=most,
        refusal=refusal,
        short=short,
    )


async def read_body(
    receive: Receive, limit: int, seconds: float, take: Callable[[int], None] = lambda _size: None
) -> bytes:
    """Return the whole body; raises `BodyTooLarge`, `ClientGone`, and `TimeoutError`.

    `take` is told how many bytes came.
    """
    body = bytearray()
    async with asyncio.timeout(seconds):
        more = True
        while more:
            event = await receive()
            if event["type"] != "http.request":
                raise ClientGone
            part = event.get("body", b"")
            take(len(part))
            body += part
            more = event.get("more_body", False)
            if len(body) > limit:
                raise BodyTooLarge
    return bytes(body)


class Gathering(asyncio.Transport):
    """Sends what is written one after the other in one piece, a moment later.

    uvicorn writes the head of an answer and its body; each piece that is sent wakes the client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it with what else is written before the loop goes on; much of it at once."""
        if not data:
            return
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(bytes(data))
        self._size += len(data)
        if self._size > _AT_ONCE:
            self.flush()

    def write_now(self, data: bytes) -> None:
        """Send it at once, after what was written before."""
        self.flush()
        self._transport.write(data)

    def flush(self) -> None:
        """Send what was written."""
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection once everything is sent."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether it is closed, or about to be."""
        return self._transport.is_closing()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()


class _Nobody:
    """Stands where uvicorn has the event that wakes an ASGI application."""

    def set(self) -> None:
        """Wake nobody."""


class Post:
    """A POST that came whole: answer it once, or hand it over. Use in the event loop.

    To uvicorn it is the cycle of a request, so that requests sent behind it wait for its answer.
    """

    message_event = _Nobody()

    def __init__(self, connection: HttpProtocol, path: bytes, headers: dict[bytes, bytes]) -> None:
        self.path = path
        self.headers = headers
        self.body = b""
        self.keep_alive = True
        self.response_complete = False
        self.gone: Callable[[], None] | None = None  # called when the client leaves
        self._connection = connection

    @property
    def disconnected(self) -> bool:
        """Whether the client has left."""
        return self._connection.transport.is_closing()

    @disconnected.setter
    def disconnected(self, value: bool) -> None:
        if value and self.gone is not None:
            self.gone()

    def answer(self, status: int, body: bytes, headers: bytes = b"") -> None:
        """Send the answer; `headers` are whole lines, the body is JSON."""
        self._connection.answer(self, status, body, headers)

    def hand_over(self, app: ASGIApp) -> None:
        """Have an ASGI application answer it instead; its body has been read."""
        self._connection.hand_over(self, app)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a deadline and a bound for the head of each request."""

    def __init__(
        self,
        *given: Any,
        head_seconds: float | None,
        head_bytes: int,
        most: int | None,
        refusal: bytes,
        short: Callable[[Post], bool] | None,
        **named: Any,
    ) -> None:
        super().__init__(*given, **named)
        self._head_seconds = head_seconds
        self._head_bytes = head_bytes
        self._most = most
        self._refusal = refusal
        self._short = short
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_came = 0
        self._post: Post | None = None  # one whose body is still to come
        self._parts: list[bytes] = []
        self._served: Any = None  # the cycle that is being answered
        self._gathering: Gathering

    # what the loop tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head; send each part of an answer as soon as it is there.

        asyncio does so only for sockets that were made with their protocol's number. Else the
        second part of every answer waits 40 ms for the client's acknowledgement of the first.
        """
        super().connection_made(transport)
        self.transport = self._gathering = Gathering(transport, self.loop)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._most is not None and len(self.connections) > self._most:
            self.transport.write(self._refusal)
            self.transport.close()
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take what came; half a head must be whole before its deadline, and not too large."""
        if self.transport.is_closing():
            return
        before = self._in_head
        super().data_received(data)
        if self._in_head:
            self._head_came = self._head_came + len(data) if before else 0
            if self._head_came > self._head_bytes:
                self._refuse_head()
            elif self._is_idle:
                self._wait_for_head()
        elif self._post is not None:
            self._wait(_SHORT_SECONDS, self._give_to_asgi)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and tell whoever answers a request that its client has left."""
        served, self._served = self._served, None
        if served is not None and served is not self.cycle and not served.response_complete:
            served.disconnected = True
            served.message_event.set()
        super().connection_lost(exc)
        self._stop_waiting()

    # what the parser tells

    def on_message_begin(self) -> None:
        """Begin to look at a head."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Keep a plain POST until its body is there; have all else served."""
        self._in_head = False
        self._stop_waiting()
        headers = dict(self.headers)
        if self._short is None or not self._is_plain(headers):
            self._serve()
            return
        self._post = post = Post(self, self.url, headers)
        post.keep_alive = self.parser.should_keep_alive()
        self._parts = []
        self.cycle = self._served = post  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if self._post is not None:
            self._parts.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Have a plain POST answered."""
        post = self._post
        if post is None:
            super().on_message_complete()
            return
        self._stop_waiting()
        post.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        assert self._short is not None
        try:
            taken = self._short(post)
        except Exception:
            self.logger.exception("a request failed")  # and is answered
            post.keep_alive = False
            post.answer(500, b"")
            taken = True
        if taken:
            self._post = None
        else:
            self._give_to_asgi()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request; the head of one may have come in part already."""
        if self.pipeline:
            self._served = self.pipeline[-1][0]
        super().on_response_complete()
        if self._in_head:
            self._wait_for_head()

    # answers

    def answer(self, post: Post, status: int, body: bytes, headers: bytes) -> None:
        """Send the answer to a POST."""
        if post.response_complete or self.transport.is_closing():
            return
        post.response_complete = True
        lines = [STATUS_LINE[status], b"content-type: application/json\r\n" if body else b""]
        lines += map(_HEADER.__mod__, self.server_state.default_headers)
        lines.append(headers)
        if not post.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(body))
        lines.append(body)
        self._gathering.write_now(b"".join(lines))
        if not post.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def hand_over(self, post: Post, app: ASGIApp) -> None:
        """Have a POST that was kept answered by an ASGI application."""
        cycle = self._cycle(post)
        cycle.more_body = False
        if self.cycle is post:  # type: ignore[comparison-overlap]
            self.cycle = cycle
        self._served = cycle
        self._start_asgi_task(cycle, app)  # type: ignore[arg-type]

    def _cycle(self, post: Post) -> RequestResponseCycle:
        return RequestResponseCycle(
            scope={  # type: ignore[typeddict-item]
                "type": "http",
                "http_version": "1.1",
                "method": "POST",
                "path": post.path.decode("ascii"),
                "headers": list(post.headers.items()),
            },
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=post.keep_alive,
            on_response=self.on_response_complete,
        )

    # the short way

    def _is_plain(self, headers: dict[bytes, bytes]) -> bool:
        """Tell whether a request is a small POST with nothing odd about its head."""
        length = headers.get(b"content-length", b"")
        return (
            self.parser.get_method() == b"POST"
            and self._is_idle
            and len(headers) == len(self.headers)
            and length.isdigit()
            and int(length) <= SHORT_BYTES
            and b"transfer-encoding" not in headers
            and b"expect" not in headers
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
            and not (self.limit_concurrency and len(self.connections) >= self.limit_concurrency)
        )

    @property
    def _is_idle(self) -> bool:
        cycle: Any = self.cycle  # None until the first request
        return cycle is None or bool(cycle.response_complete)

    def _give_to_asgi(self) -> None:
        """Have the POST that is being read served by ASGI, with as much of its body as came."""
        post, self._post = self._post, None
        if post is None or self.transport.is_closing():
            return
        post.response_complete = True
        self._serve()
        for part in self._parts:
            super().on_body(part)

    def _serve(self) -> None:
        super().on_headers_complete()
        if not self.pipeline:
            self._served = self.cycle

    # heads

    def _refuse_head(self) -> None:
        self.transport.write(STATUS_LINE[431] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def _wait_for_head(self) -> None:
        if self._timer is None and self._head_seconds and not self.transport.is_closing():
            self._wait(self._head_seconds, self.transport.close)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        def over() -> None:
            self._timer = None
            then()

        if self._timer is None:
            self._timer = self.loop.call_later(seconds, over)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
