"""One HTTP/1.1 connection to a server, in the event loop: a request, its answer, the next one.

h11 writes and reads the protocol. What a general client adds to it costs a call more time than
everything else that is done for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Final

import h11

from pktui.gateway.protocol.unpacking import Unpacked, Unreadable
from pktui.gateway.upstream.broken import ExchangeFailed

CONNECT_SECONDS: Final = 10.0
WRITE_SECONDS: Final = 30.0
_MOST_INTERIM: Final = 16
"""Answers (1xx) before the answer."""
_HEAD_BYTES: Final = 100 * 1024
"""Of an answer's head."""
_AHEAD: Final = 256 * 1024
"""Bytes of an answer that are taken from the system before anyone wants them."""
_EYEBALLS: Final = 0.25
"""Seconds after which the next address of a name is tried beside the first (RFC 8305)."""

RawHeaders = Sequence[tuple[bytes, bytes]]


class Connection(asyncio.Protocol):
    """Use `connect`. One request at a time; made and used in one event loop."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._unread = 0
        self._paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        self._read_out = False
        self._broken: Exception | None = None

    # what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what came until it is asked for."""
        self._http.receive_data(data)
        self._unread += len(data)
        if self._unread > _AHEAD and not self._paused:
            self._paused = True
            self._open.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more comes, and why."""
        if not self._ended:
            self._ended, self._broken = True, exc
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        """Send no more for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Send on."""
        self._writable.set()

    # what its user does

    async def ask(
        self, method: str, target: str, headers: RawHeaders, body: bytes | None
    ) -> Answer:
        """Send a request and return its answer, body unread; raises `ExchangeFailed`."""
        try:
            request = h11.Request(method=method, target=target, headers=[*headers])
            parts = [self._http.send(request)]
            if body is not None:
                parts.append(self._http.send(h11.Data(data=body)))
            parts.append(self._http.send(h11.EndOfMessage()))
        except h11.LocalProtocolError as error:
            raise ExchangeFailed(str(error), sent=False) from error
        self._open.write(b"".join(part for part in parts if part))
        if not self._writable.is_set():
            await self._drain()
        for _ in range(_MOST_INTERIM + 1):
            event = await self.event()
            if isinstance(event, h11.Response):
                return Answer(self, event)
            if not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
                raise ExchangeFailed("the answer is not HTTP as it should be")
        raise ExchangeFailed("it said without end that its answer is to come")

    async def event(self) -> object:
        """Return the next part of the answer; raises `ExchangeFailed`."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                if self._broken is not None:
                    raise ExchangeFailed(_cause(self._broken)) from self._broken
                if self._ended:
                    self._read_out = True
                    self._http.receive_data(b"")
                else:
                    await self._more()
        except h11.RemoteProtocolError as error:
            if self._read_out:
                raise ExchangeFailed("the connection was closed") from error
            raise ExchangeFailed(f"the answer is not HTTP as it should be: {error}") from error
        return event

    def rest(self) -> bool:
        """Make ready for another request; False where the connection is good for none."""
        with contextlib.suppress(h11.RemoteProtocolError):
            if self._http.their_state is h11.SEND_BODY:
                self._http.next_event()  # the end of a body that was read to its last byte
            if self._http.their_state is h11.DONE and self._http.our_state is h11.DONE:
                self._http.start_next_cycle()
                return self.quiet
        return False

    @property
    def quiet(self) -> bool:
        """Tell whether the server has neither closed the connection nor said anything unasked."""
        if self._ended or self._open.is_closing() or self._http.trailing_data[0]:
            return False
        came = select.poll()
        came.register(self._open.get_extra_info("socket").fileno(), select.POLLIN)
        return not came.poll(0)

    def end(self) -> None:
        """Close it at once."""
        self._ended = True
        self._open.abort()

    @property
    def _open(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _more(self) -> None:
        """Wait until more came."""
        self._unread = 0
        if self._paused:
            self._paused = False
            self._open.resume_reading()
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._writable.wait()
        except TimeoutError as error:
            raise ExchangeFailed("it took too long") from error


class Answer:
    """An answer whose body is still to come; names of headers are in lower case."""

    def __init__(self, connection: Connection, head: h11.Response) -> None:
        self._connection = connection
        self.status = int(head.status_code)
        self._headers = tuple(head.headers)

    def header(self, name: str) -> str:
        """Return a header, several joined by commas; empty where there is none."""
        wanted = name.encode()
        return ", ".join(value.decode("latin-1") for key, value in self._headers if key == wanted)

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, decoded where it is compressed; raises `ExchangeFailed`."""
        try:
            unpacked = Unpacked.of(self.header("content-encoding"))
            while isinstance(event := await self._connection.event(), h11.Data):
                if unpacked is None:
                    yield bytes(event.data)
                    continue
                for part in unpacked.feed(bytes(event.data)):
                    yield part
            if unpacked is not None:
                unpacked.close()
        except Unreadable as error:
            raise ExchangeFailed(str(error)) from error


async def connect(host: str, port: int, context: ssl.SSLContext | None) -> Connection:
    """Return a connection to a server, encrypted where a context is given.

    Raises `ExchangeFailed`.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, connection = await loop.create_connection(
                Connection, host, port, ssl=context, happy_eyeballs_delay=_EYEBALLS
            )
    except (OSError, ValueError) as error:
        raise ExchangeFailed(_cause(error), sent=False) from error
    return connection


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return "the connection was closed"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, ssl.SSLError):
        return getattr(error, "verify_message", "") or str(error.reason)
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    if isinstance(error, OSError):  # what asyncio says of it names the address
        return os.strerror(error.errno).lower() if error.errno else "no address of it answers"
    return str(error) or type(error).__name__
