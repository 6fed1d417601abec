"""One HTTP request to a server that was started: sent to it, and answered from what it says."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.gateway.http.channels import Channel, Link
from pktui.gateway.http.errors import Refusal
from pktui.gateway.http.protocol import (
    EVENTS,
    KEEP_ALIVE,
    REQUEST_CANCELLED,
    accepts,
    is_modern,
    prompt,
    status_of,
    writes,
)
from pktui.gateway.http.streams import Stream
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.relay.relay_session import client_name

if TYPE_CHECKING:
    from pktui.gateway.http.asked import Asked
    from pktui.gateway.http.client_sessions import Session
    from pktui.gateway.http.reply import Header
    from pktui.gateway.http.streams import Entry
    from pktui.gateway.protocol.jsonrpc import Message

LOOKS: Final = 500
"""How often a message looks whether its server has taken those before it; every 20 ms."""
_LOOK_SECONDS: Final = 0.02
_STREAMS: Final = 32
"""Streams of a session that a client may come back to."""
_PRIMED: Final = "2025-11-25"
"""The version since which a stream may begin with an event that only names an id."""


class Telling:
    """One posted message, from the client to the server and back."""

    def __init__(self, asked: Asked, link: Link, message: Message) -> None:
        self._asked = asked
        self._link = link
        self._message = message
        self._carried = False
        self._stream = Stream(asked.work.loop, asked.scope, answers=True)
        session, floor = asked.session, asked.floor
        if session is not None:
            caller, pending = session.caller, session.pending
        else:
            caller = floor.caller(asked.grant, client_name(message))
            pending = floor.pending(asked.grant, asked.scope)
        self._relay = floor.relay(
            caller,
            pending,
            self._stream.put,
            self._to_server,
            lambda _name: None,
            self._ask_server,
            link.unask,
        )

    async def post(self) -> None:
        """Take the message; answer it where it is a request."""
        await self._until_taken()
        if self._message.kind == "request":
            await self._ask()
        else:
            await self._take()
            if self._stream.finished:
                line = await self._stream.next(self._stream.attach(), 0)
                assert line is not None
                await self._asked.reply.message(HTTPStatus.BAD_REQUEST, line.line)
            else:
                await self._asked.reply.bare(HTTPStatus.ACCEPTED)

    async def _take(self) -> None:
        """Have the message decided and sent; servers take what they are sent without a wait."""
        asked, message = self._asked, self._message
        if not writes(message):
            self._relay.take(message)
        elif message.method == "tools/call":
            size = len(message.raw)
            await asked.work.decide(asked.floor.desk, self._relay.take, message, size=size)
        else:
            await asked.work.write(self._relay.take, message)

    async def _until_taken(self) -> None:
        """Wait for a server that is behind, before anything is decided; raises `Refusal` (503).

        A thread that waited for it would be missing everywhere else.
        """
        for _ in range(LOOKS):
            if not self._link.full:
                return
            await asyncio.sleep(_LOOK_SECONDS)
        why = f"server {self._asked.floor.entry.name} does not take what it was sent before"
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": "10"})

    def cancelled(self) -> None:
        """Answer a request that the client has cancelled: its server will not."""
        why = "the request was cancelled"
        self._stream.put(jsonrpc.error_line(REQUEST_CANCELLED, why, self._message.id_text))

    def _to_server(self, *lines: bytes) -> None:
        if lines == (self._message.raw,) and self._message.kind == "request":
            self._carried = True
            message = self._message
            channel = Channel(
                self._stream, self._relay, jsonrpc.progress_token(message), message.id_text
            )
            self._link.forward(message, channel)
        else:
            self._link.send(*lines)

    def _ask_server(self, request_id: str, line: bytes) -> None:
        self._link.ask(request_id, line, Channel(self._stream, self._relay, None, b""))

    async def _ask(self) -> None:
        session, request_id = self._asked.session, self._message.id
        assert request_id is not None
        if session is not None:
            session.enter(self._message, self)
            _keep(session, self._stream)
        reader = self._stream.attach()
        try:
            await self._take()
            await self._answer(reader)
        finally:
            self._stream.detach(reader)
            if session is not None:
                session.leave(request_id, self)
            if not self._stream.finished and (session is None or not self._carried):
                self._asked.work.soon(self._give_up)

    def _give_up(self) -> None:
        """Take the request back: its client has left."""
        request_id = self._message.id
        assert request_id is not None
        self._relay.cancel(request_id)
        if self._carried:
            self._link.forget(self._message)
            params = {"requestId": msgspec.Raw(self._message.id_text)}
            self._link.send(jsonrpc.notification_line("notifications/cancelled", params))

    async def _answer(self, reader: int) -> None:
        """Answer with one message where that comes at once, else with a stream."""
        asked, streams = self._asked, accepts(self._asked.headers, EVENTS)
        entry = await _first(self._stream, reader, prompt(modern=self._modern) if streams else None)
        while entry is not None and not streams and not self._is_last(entry):
            entry = await self._stream.next(reader, entry.place)
        if entry is not None and self._is_last(entry):
            status = status_of(entry.line, modern=self._modern)
            await asked.reply.message(status, entry.line, self._session_header)
        elif not streams:
            await asked.reply.bare(HTTPStatus.NO_CONTENT)
        else:
            await asked.reply.stream(self._session_header)
            if asked.session is not None and asked.headers.get(names.VERSION) == _PRIMED:
                await asked.reply.event(b"", f"{self._stream.name}/0")
            await _deliver(asked, self._stream, reader, 0)

    def _is_last(self, entry: Entry) -> bool:
        return self._stream.finished and entry.place == self._stream.places

    @property
    def _modern(self) -> bool:
        return is_modern(self._asked.headers, self._message)

    @property
    def _session_header(self) -> list[Header]:
        session = self._asked.session
        return [(names.SESSION, session.id)] if session is not None else []

    @staticmethod
    async def replay(asked: Asked, stream: Stream, after: int) -> None:
        """Send what a stream holds after a place, and what comes."""
        assert asked.session is not None
        reader = stream.attach()
        try:
            await asked.reply.stream([(names.SESSION, asked.session.id)])
            await _deliver(asked, stream, reader, after)
        finally:
            stream.detach(reader)


def _keep(session: Session, stream: Stream) -> None:
    """Keep a stream for a client that comes back, and forget the oldest that is done."""
    kept: dict[str, Stream] = session.backing.streams
    kept[stream.name] = stream
    done = [name for name, one in kept.items() if one.finished]
    for name in done[: max(0, len(kept) - _STREAMS)]:
        del kept[name]


async def _first(stream: Stream, reader: int, patience: float | None) -> Entry | None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            return await stream.next(reader, 0)
    return None


async def _deliver(asked: Asked, stream: Stream, reader: int, after: int) -> None:
    """Send everything after a place; a session's events can be gone on from."""
    place = after
    while True:
        try:
            async with asyncio.timeout(KEEP_ALIVE):
                entry = await stream.next(reader, place)
        except TimeoutError:
            await asked.reply.comment()
            continue
        if entry is None:
            break
        event_id = f"{stream.name}/{entry.place}" if asked.session is not None else None
        await asked.reply.event(entry.line, event_id)
        place = entry.place
    await asked.reply.end()
