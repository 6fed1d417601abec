"""HTTP/1.1 on a connection, for clients that may dawdle: a head that does not come ends it.

uvicorn has no such deadline: a connection that says nothing, or half a head, would stay for ever.
Nor does it mind how many such connections there are. For everything here that listens.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_AT_ONCE: Final = 64 * 1024
"""Bytes written from which on nothing more is waited for."""


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


class PatientProtocol(H11Protocol):
    """uvicorn's protocol with a deadline for the head of each request.

    A connection beyond the `most` there may be at once gets `refusal` and is closed.
    """

    def __init__(
        self,
        *given: Any,
        head_seconds: float | None,
        most: int | None,
        refusal: bytes,
        **named: Any,
    ) -> None:
        super().__init__(*given, **named)
        self._head_seconds = head_seconds
        self._most = most
        self._refusal = refusal
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head; send each part of an answer as soon as it is there.

        asyncio does so only for sockets that were made with their protocol's number. Else the
        second part of every answer waits 40 ms for the client's acknowledgement of the first.
        """
        super().connection_made(transport)
        self.transport = Gathering(transport, self.loop)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._most is not None and len(self.connections) > self._most:
            self.transport.write(self._refusal)
            self.transport.close()
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take what came; half a head must be whole before its deadline."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop_watching()

    def on_response_complete(self) -> None:
        """Go on to the next request; the head of one may have come in part already."""
        super().on_response_complete()
        self._watch_head()

    def _watch_head(self) -> None:
        first: object = self.cycle  # None until there was one, whatever its annotation says
        begun = first is None or self.conn.trailing_data[0]
        if not begun or self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._head_timer is None and self._head_seconds and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self._head_seconds, self.transport.close)

    def _stop_watching(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def protocol(
    head_seconds: float | None = None, most: int | None = None, refusal: bytes = b""
) -> Any:
    """Return what uvicorn makes a protocol with for each connection; None is no limit."""
    return partial(PatientProtocol, head_seconds=head_seconds, most=most, refusal=refusal)
