"""The HTTP/1.1 client: connections to one server, kept for the next request, in the event loop.

httptools reads answers, requests are written by hand: what a general client adds to a call costs
more time than everything else that is done for it. Proxies that the environment names are not used,
certificates are always verified, and nothing is sent twice: a connection that the server may have
closed meanwhile is not used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import httptools

from pktui.gateway.protocol.unpacking import Unpacked

if TYPE_CHECKING:
    import ssl

    from pktui.gateway.servers.url import Endpoint

JSON: Final = "application/json"
CONNECT_SECONDS: Final = 10.0
WRITE_SECONDS: Final = 60.0
_MOST_INTERIM: Final = 16  # answers (1xx) before the answer
_HEAD_BYTES: Final = 100 * 1024
# Bytes of an answer that are taken from the system before anyone wants them.
_AHEAD: Final = 256 * 1024
# Seconds after which the next address of a name is tried beside the first (RFC 8305).
_EYEBALLS: Final = 0.25
_KEPT: Final = 64  # connections that wait for their next request
# Servers close idle connections after five seconds or more.
_IDLE_SECONDS: Final = 4.0
# What may be left of an answer that nobody reads on, so that its connection can be kept.
_REST_BYTES: Final = 64 * 1024
_REST_SECONDS: Final = 0.5
# A peer that is gone without a word is noticed after a minute, however long an answer takes.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class ExchangeFailed(Exception):
    """There is no answer, or none to its end; `why` is the system's word for it.

    `sent`: the server may have seen the request.
    """

    def __init__(self, why: str, *, sent: bool = True) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


class Aborted(ExchangeFailed):
    """The request was ended on this side."""


class TooLarge(ExchangeFailed):
    """The answer is beyond the limit."""


class Exchange:
    """One request and its answer; for the event loop's thread.

    `done` is called once: with a JSON answer read whole (`body`), with the head of any other, whose
    body is read with `chunks`, or with the `failure`.
    """

    def __init__(
        self,
        pool: Pool,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        limit: int,
        done: Callable[[Exchange], None] = lambda _exchange: None,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        """`limit` is bytes of a JSON answer; `written` is called once the request is sent."""
        self.status = 0
        self.body: bytes | None = None
        self.failure: ExchangeFailed | None = None
        self.sent = False
        self._pool = pool
        self._request = (method, headers, body)
        self._done = done
        self._limit = limit
        self._written = written
        self._headers: list[tuple[bytes, bytes]] = []
        self._connection: _Connection | None = None
        self._told = False
        self._whole = False
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._complete = False
        self._resting: asyncio.TimerHandle | None = None
        self._more: asyncio.Future[None] | None = None
        self._connecting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Send the request, on a connection that is idle if there is one."""
        connection = self._pool.idle()
        if connection is not None:
            self._send(connection)
        else:
            self._connecting = asyncio.ensure_future(self._connect())

    async def ask(self) -> None:
        """Send the request, and wait until its answer or the head of it is here, or it failed."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def tell(_exchange: Exchange) -> None:
            if not heard.done():
                heard.set_result(None)

        self._done = tell
        self.start()
        try:
            await heard
        except asyncio.CancelledError:
            self.abort()
            raise

    def header(self, name: str) -> str:
        """Return a header of the answer, several joined by commas; empty where there is none."""
        wanted = name.encode()
        return ", ".join(value.decode("latin-1") for key, value in self._headers if key == wanted)

    @property
    def content_type(self) -> str:
        """The answer's media type, without parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().lower()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, decoded where it is compressed.

        Raises `ExchangeFailed`, also for a compressed body that cannot be decoded.
        """
        if self.body is not None:
            yield self.body
            return
        unpacked = Unpacked.of(self.header("content-encoding"))
        while (chunk := await self._next()) is not None:
            for part in (chunk,) if unpacked is None else unpacked.feed(chunk):
                yield part
        if unpacked is not None:
            unpacked.close()

    async def read(self, limit: int) -> bytes:
        """Return the body, at most one byte more than `limit`."""
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                break
        return bytes(body[: limit + 1])

    def release(self) -> None:
        """Let go of the connection; it is kept where little of the answer is left."""
        if self._connection is None or self._resting is not None:
            return
        self._parts.clear()
        self._size = 0
        self._resting = asyncio.get_running_loop().call_later(_REST_SECONDS, self.abort)
        self._connection.resume()

    def abort(self) -> None:
        """End it: whoever waits for it gets `Aborted`."""
        if self._connecting is not None:
            self._connecting.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        if not self._complete:
            self._fail(Aborted("the request was ended", sent=self.sent))

    # on its way

    async def _connect(self) -> None:
        try:
            await self._pool.warmed()
            connection = self._pool.idle() or await self._pool.connect()
        except ExchangeFailed as error:
            self._connecting = None
            self._fail(error)
            return
        self._connecting = None
        if self.failure is not None:
            self._pool.keep(connection)
        else:
            self._send(connection)

    def _send(self, connection: _Connection) -> None:
        method, headers, body = self._request
        lines = [self._pool.head(method)]
        lines.append(_lines(tuple(headers.items())))
        if body is not None:
            lines.append(b"content-length: %d\r\n\r\n" % len(body))
            lines.append(body)
        else:
            lines.append(b"\r\n")
        self._connection, self.sent = connection, True
        connection.start(self, b"".join(lines))
        self._written()

    async def _next(self) -> bytes | None:
        while not self._parts:
            if self.failure is not None:
                raise self.failure
            if self._complete:
                return None
            if self._connection is not None:
                self._connection.resume()
            self._more = asyncio.get_running_loop().create_future()
            try:
                await self._more
            finally:
                self._more = None
        part = self._parts.popleft()
        self._size -= len(part)
        return part

    # what its connection tells

    def head_came(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Take the head of the answer."""
        self.status, self._headers = status, headers
        plain = not self.header("content-encoding")
        self._whole = status == 200 and plain and self.content_type == JSON
        if not self._whole:
            self._tell()

    def body_came(self, part: bytes) -> None:
        """Take a part of the body."""
        self._size += len(part)
        if self._resting is not None:
            if self._size > _REST_BYTES:
                self.abort()
            return
        if self._whole and self._size > self._limit:
            self.abort_with(TooLarge("the answer is too large"))
            return
        self._parts.append(part)
        if not self._whole and self._size > _AHEAD and self._connection is not None:
            self._connection.pause()
        self._wake()

    def completed(self, *, reusable: bool) -> None:
        """Note that the answer is whole; the connection is free before anyone hears of it."""
        self._complete = True
        if self._resting is not None:
            self._resting.cancel()
        connection, self._connection = self._connection, None
        if connection is not None and reusable:
            self._pool.keep(connection)
        elif connection is not None:
            connection.abort()
        if self._whole:
            self.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._tell()
        self._wake()

    def abort_with(self, failure: ExchangeFailed) -> None:
        """End it because of what came, or did not."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        self._fail(failure)

    def _fail(self, failure: ExchangeFailed) -> None:
        if self._resting is not None:
            self._resting.cancel()
        self.failure = self.failure or failure
        self._written()
        self._tell()
        self._wake()

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            self._done(self)

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)


class Pool:
    """The connections to one server; for one event loop's thread."""

    def __init__(self, endpoint: Endpoint, own: Mapping[str, str]) -> None:
        """`own` are the headers of every request."""
        self._own = "".join(f"{name}: {value}\r\n" for name, value in own.items())
        self._idle: list[tuple[float, _Connection]] = []
        self._context: ssl.SSLContext | None = None
        self._heads: dict[str, bytes] = {}
        self._open: set[_Connection] = set()
        self._closed = False
        self._warming: asyncio.Task[None] | None = None
        self.endpoint = endpoint

    def redirect(self, there: Endpoint) -> None:
        """Ask elsewhere on the same server from now on."""
        self.endpoint = there
        self._heads.clear()

    def head(self, method: str) -> bytes:
        """Return the lines that every request begins with."""
        if method not in self._heads:
            at = self.endpoint
            text = f"{method} {at.target} HTTP/1.1\r\nhost: {at.authority}\r\n{self._own}"
            self._heads[method] = text.encode("latin-1")
        return self._heads[method]

    def idle(self) -> _Connection | None:
        """Return a connection that nobody uses, the one that was used last if there are several."""
        oldest = time.monotonic() - _IDLE_SECONDS
        while self._idle:
            since, connection = self._idle.pop()
            if since > oldest and connection.quiet:
                return connection
            connection.abort()
        return None

    def keep(self, connection: _Connection) -> None:
        """Keep a connection for the next request."""
        if self._closed or len(self._idle) >= _KEPT or connection.lost:
            connection.abort()
        else:
            self._idle.append((time.monotonic(), connection))

    def warm(self) -> None:
        """Do beforehand what takes time before a request: certificates, a connection."""
        self._warming = asyncio.ensure_future(self._warm())

    async def warmed(self) -> None:
        """Wait for the connection that is being made beforehand."""
        if self._warming is not None:
            await asyncio.shield(self._warming)
            self._warming = None

    async def _warm(self) -> None:
        with contextlib.suppress(ExchangeFailed):  # the first request will tell
            self.keep(await self.connect())

    async def connect(self) -> _Connection:
        """Return a new connection; raises `ExchangeFailed`."""
        at = self.endpoint
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if at.scheme == "https" and self._context is None:
                    self._context = await asyncio.to_thread(_certificates)
                _, connection = await asyncio.get_running_loop().create_connection(
                    _Connection,
                    at.host,
                    at.port,
                    ssl=self._context if at.scheme == "https" else None,
                    happy_eyeballs_delay=_EYEBALLS,
                )
        except (OSError, ValueError) as error:
            raise ExchangeFailed(_cause(error), sent=False) from error
        self._open.add(connection)
        connection.closed = self._open.discard
        if self._closed:
            connection.abort()
        return connection

    def close(self) -> None:
        """Close every connection, and keep none."""
        self._closed = True
        self._idle.clear()
        if self._warming is not None:
            self._warming.cancel()
        for connection in tuple(self._open):
            connection.abort()


class _Connection(asyncio.Protocol):
    """One connection: one exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._poll: select.poll | None = None
        self._exchange: Exchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._interim = 0
        self._in_body = False
        self._bounded = False
        self._paused = False
        self.closed: Callable[[_Connection], None] = lambda _connection: None
        self.lost = False

    def start(self, exchange: Exchange, data: bytes) -> None:
        """Send a request."""
        self._exchange = exchange
        self._head_size = self._interim = 0
        self._transport.write(data)
        if self._transport.get_write_buffer_size():
            loop = asyncio.get_running_loop()
            loop.call_later(WRITE_SECONDS, self._check_written, exchange)

    @property
    def quiet(self) -> bool:
        """Whether the server has neither closed the connection nor said anything unasked."""
        if self.lost or self._transport.is_closing():
            return False
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._poll.poll(0)

    def pause(self) -> None:
        """Take no more from the system for now."""
        if not self._paused and not self.lost:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take on."""
        if self._paused and not self.lost:
            self._paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close it at once."""
        self._exchange = None
        self.lost = True
        self._transport.abort()

    def _check_written(self, exchange: Exchange) -> None:
        if exchange is self._exchange and self._transport.get_write_buffer_size():
            exchange.abort_with(ExchangeFailed("it took too long"))

    # what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; a peer that is gone without a word is noticed."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer."""
        if self._exchange is None:  # nothing was asked
            self.abort()
            return
        if not self._in_body:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._break(f"the answer is not HTTP as it should be ({type(error).__name__})")
            return
        waits = self._exchange is not None  # what came may have ended it
        if waits and not self._in_body and self._head_size > _HEAD_BYTES:
            self._break("the answer's head is too large")

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more comes; some answers end with the connection."""
        self.lost = True
        self.closed(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if exc is None and self._in_body and not self._bounded:
            exchange.completed(reusable=False)
        elif exc is None or isinstance(exc, ConnectionError):
            broken = self._in_body and exc is None
            exchange.abort_with(
                ExchangeFailed("the answer broke off" if broken else "the connection was closed")
            )
        else:
            exchange.abort_with(ExchangeFailed(_cause(exc)))

    def _break(self, why: str) -> None:
        exchange = self._exchange
        self.abort()
        if exchange is not None:
            exchange.abort_with(ExchangeFailed(why))

    # what the parser tells

    def on_message_begin(self) -> None:
        """Begin with a head."""
        self._headers = []
        self._in_body = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Hand the head over, unless it only says that the answer is to come."""
        status = self._parser.get_status_code()
        if status == 101:
            raise ValueError(status)
        if 100 <= status < 200:
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                raise ValueError(status)
            return
        self._in_body = True
        names = {name for name, _ in self._headers}
        self._bounded = bool(names & {b"content-length", b"transfer-encoding"})
        if self._exchange is not None:
            self._exchange.head_came(status, self._headers)

    def on_body(self, body: bytes) -> None:
        """Hand a part of the body over."""
        if self._exchange is not None:
            self._exchange.body_came(body)

    def on_message_complete(self) -> None:
        """Note that the answer is whole."""
        if not self._in_body:
            return
        self._in_body = False
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self.resume()
            exchange.completed(reusable=self._parser.should_keep_alive())


@lru_cache(maxsize=256)
def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")


def _certificates() -> ssl.SSLContext:
    import ssl  # takes 20 ms, and most servers are on this machine

    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return "the connection was closed"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    verify = getattr(error, "verify_message", "") or getattr(error, "reason", "")
    if verify:
        return str(verify).replace("_", " ").lower() if str(verify).isupper() else str(verify)
    if isinstance(error, OSError):  # what asyncio says of it names the address
        return os.strerror(error.errno).lower() if error.errno else "no address of it answers"
    return str(error) or type(error).__name__
