"""The answer to one HTTP request: one JSON message, or a stream of server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pktui.gateway.http.protocol import EVENTS, JSON
from pktui.httpserver.serving import ClientGone

if TYPE_CHECKING:
    from starlette.types import Send

Header = tuple[str, str]

_STREAM: Final = (
    ("content-type", EVENTS),
    ("cache-control", "no-cache, no-transform"),
    ("x-accel-buffering", "no"),
)
# How long a client is asked to wait before it comes back.
RETRY_MS: Final = 1000
_COMMENT: Final = b": pktui\n\n"


class Reply:
    """Begun once, ended once. A client that takes nothing for `patience` seconds is given up."""

    def __init__(self, send: Send, patience: float) -> None:
        self._send = send
        self._patience = patience
        self.begun = False
        self.ended = False

    async def stream(self, headers: Iterable[Header] = ()) -> None:
        """Begin a stream, unless it has begun."""
        if not self.begun:
            await self._begin(HTTPStatus.OK, (*_STREAM, *headers))

    async def event(self, data: bytes, event_id: str | None = None) -> None:
        """Send one event on the stream, which begins with it."""
        await self.stream()
        await self._body(_frame(data, event_id), more=True)

    async def prime(self, event_id: str) -> None:
        """Give the stream's beginning an id, so that a client can come back for all of it."""
        await self.stream()
        await self._body(b"id: %b\nretry: %d\ndata:\n\n" % (event_id.encode(), RETRY_MS), more=True)

    async def comment(self) -> None:
        """Show on the stream that the answer is still on its way."""
        await self.stream()
        await self._body(_COMMENT, more=True)

    async def message(self, status: int, line: bytes, headers: Iterable[Header] = ()) -> None:
        """Send the one answer and end; on a stream it is the last event."""
        if self.begun:
            await self.event(line)
            await self.end()
        else:
            size = ("content-length", str(len(line)))
            await self._begin(status, (("content-type", JSON), size, *headers))
            await self._body(line, more=False)

    async def bare(self, status: int, headers: Iterable[Header] = ()) -> None:
        """End with a status and no body; a stream that has begun just ends."""
        if not self.begun:
            await self._begin(status, (("content-length", "0"), *headers))
        await self.end()

    async def end(self) -> None:
        """End what has begun."""
        if not self.ended:
            await self._body(b"", more=False)

    async def _begin(self, status: int, headers: Iterable[Header]) -> None:
        self.begun = True
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": int(status), "headers": raw})

    async def _body(self, body: bytes, *, more: bool) -> None:
        self.ended = self.ended or not more
        try:
            async with asyncio.timeout(self._patience):
                await self._send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError:
            raise ClientGone from None


def _frame(data: bytes, event_id: str | None) -> bytes:
    lines = [] if event_id is None else [b"id: " + event_id.encode()]
    lines.append(b"event: message")
    lines += [b"data: " + line for line in data.replace(b"\r", b"\n").split(b"\n")]
    return b"\n".join(lines) + b"\n\n"
