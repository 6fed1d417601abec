"""A message that a client posted for a server behind a URL, and its answer."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.gateway.http.begun import Begun
from pktui.gateway.http.carrying import Carrying
from pktui.gateway.http.client_sessions import Session
from pktui.gateway.http.far import KEPT_BACK, media_type, read_whole
from pktui.gateway.http.protocol import (
    EVENTS,
    JSON,
    KEEP_ALIVE,
    REQUEST_CANCELLED,
    SESSION_ID,
    accepts,
    asked_by_gateway,
    is_modern,
    prompt,
    status_of,
    writes,
)
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.sse import EventCutter
from pktui.gateway.relay import lookup
from pktui.gateway.upstream.broken import ExchangeFailed
from pktui.gateway.upstream.remote_replies import error_in

if TYPE_CHECKING:
    from pktui.gateway.enforcement.decision import Outcome
    from pktui.gateway.http.asked import Asked
    from pktui.gateway.http.client_sessions import Sessions
    from pktui.gateway.http.far import Far
    from pktui.gateway.http.outbox import Item
    from pktui.gateway.protocol.jsonrpc import Message
    from pktui.gateway.upstream.http_client import Answer

_REASON_BYTES: Final = 4096
"""Of a refusal, to see whether it speaks of the session."""


class _Head(msgspec.Struct):
    method: msgspec.Raw = msgspec.Raw()


_HEAD: Final = msgspec.json.Decoder(_Head)


class Posted(Carrying):
    """One posted message."""

    def __init__(self, far: Far, asked: Asked, sessions: Sessions, message: Message) -> None:
        super().__init__(far, asked, sessions, message)
        self._message = message
        self._carried = False

    def cancelled(self) -> None:
        """Answer a held request that the client has cancelled."""
        if not self._carried and self._message.kind == "request":
            self._outbox.to_client(
                jsonrpc.error_line(
                    REQUEST_CANCELLED, "the request was cancelled", self._message.id_text
                )
            )

    async def post(self) -> None:
        """Take the message, and answer it where it is a request."""
        message = self._message
        session, key = self._asked.session, message.id
        if session is not None and message.kind == "request":
            session.enter(message, self)
        try:
            await self._take(message)
            await (self._answer() if message.kind == "request" else self._acknowledge())
        finally:
            if session is not None and key is not None:
                session.leave(key, self)
            if key is not None and not self._reply.ended and not self._resumable:
                self._work.soon(self._relay.cancel, key, sent=self._carried)

    async def _take(self, message: Message) -> None:
        if not writes(message):
            self._relay.take(message)
        else:
            size = len(message.raw)
            await self._work.decide(self._desk, self._relay.take, message, size=size)

    async def _answer(self) -> None:
        while True:
            item = await self._next()
            if item.request_id:
                await self._ask(item)
                continue
            if item.to == "server" and item.line != self._message.raw:
                await self._send_back(item.line)
                continue
            if item.to == "server":
                self._carried = True
                await self._carry(item.line)
                return
            if not _HEAD.decode(item.line).method:
                await self._reply.message(status_of(item.line, modern=self._modern), item.line)
                return
            if self._streams:
                await self._reply.event(item.line)

    async def _ask(self, item: Item) -> None:
        """Ask the server what the gateway itself wants to know; the relay gets the answer."""
        headers = asked_by_gateway(self._asked.headers, "tools/list", modern=self._modern)
        try:
            async with (
                asyncio.timeout(lookup.SECONDS),
                self._far.open("POST", headers, item.line) as answer,
            ):
                await self._hear(answer, item.request_id)
        except (ExchangeFailed, TimeoutError) as error:
            self._asked.floor.log(f"server {self._far.name} did not list its tools: {error}")
        finally:
            await self._work.write(self._relay.close, item.request_id, "lost")

    async def _hear(self, answer: Answer, request_id: str) -> None:
        """Hand over what comes until that request is answered."""
        kind, limit = media_type(answer), self._asked.floor.answer_limit
        if kind == JSON:
            if body := await read_whole(answer, limit):
                await self._work.write(self._relay.from_server, body)
        elif kind == EVENTS:
            cutter = EventCutter(limit)
            async for chunk in answer.body():
                for event in cutter.feed(chunk):
                    if event.is_message and not event.too_large:
                        await self._work.write(self._relay.from_server, event.data)
                if not self._pending.in_flight.waits_for(request_id):
                    return

    async def _next(self) -> Item:
        """Return the next message of the relay; a client that waits for it is shown so."""
        patience = prompt(modern=self._modern)
        while (item := self._outbox.take()) is None:
            try:
                async with asyncio.timeout(patience):
                    await self._outbox.wait()
            except TimeoutError:
                patience = KEEP_ALIVE
                if self._streams:
                    await self._reply.comment()
        return item

    async def _acknowledge(self) -> None:
        item = self._outbox.take()
        if item is None:
            await self._reply.bare(HTTPStatus.ACCEPTED)
        elif item.to == "client":
            await self._reply.message(HTTPStatus.BAD_REQUEST, item.line)
        else:
            await self._carry(item.line)

    @property
    def _modern(self) -> bool:
        return is_modern(self._asked.headers, self._message)

    @property
    def _streams(self) -> bool:
        return accepts(self._asked.headers, EVENTS)

    async def _carry(self, line: bytes) -> None:
        try:
            lost = await self._carry_once(line, again=False)
            if lost and await self._renewed(lost):
                await self._carry_once(line, again=True)
            elif lost:
                why = f"server {self._far.name} has forgotten the session; initialize a new one"
                await self._fail(HTTPStatus.NOT_FOUND, why)
        except ExchangeFailed as error:
            await self._fail(HTTPStatus.BAD_GATEWAY, self._far.lost(error), sent=error.sent)

    async def _carry_once(self, line: bytes, *, again: bool) -> str:
        """Send the message and pass its answer on; return the session that the server refused.

        What it refused for want of a session it did not carry out. `again`: in another one.
        """
        headers = self._outward(modern=self._modern) | {"content-type": JSON}
        begun = None if self._modern else self._begun
        used = begun.id if begun is not None else ""
        async with self._far.open("POST", headers, line) as answer:
            if begun is None or again:
                await self._receive(answer)
                return ""
            if answer.status == HTTPStatus.NOT_FOUND:
                return used
            if answer.status == HTTPStatus.BAD_REQUEST:
                body = await read_whole(answer, self._asked.floor.answer_limit)
                if b"session" in (body or b"")[:_REASON_BYTES].lower():
                    return used
                await self._receive(answer, body)
                return ""
            begun.succeeded()
            if self._message.method == "notifications/initialized":
                begun.initialized = line
            await self._receive(answer)
        return ""

    async def _receive(self, answer: Answer, body: bytes | None = None) -> None:
        """Pass an answer on; `body` is given where it was read already."""
        status, kind = answer.status, media_type(answer)
        request = self._message.kind == "request"
        if status in KEPT_BACK or 300 <= status < 400:
            self._asked.floor.log(self._far.refused(answer))
            await self._fail(HTTPStatus.BAD_GATEWAY, self._unusable(status))
        elif not self._note_session(answer):
            await self._fail(HTTPStatus.BAD_GATEWAY, f"server {self._far.name} mixes sessions up")
        elif not request and status < 300:
            await self._reply.bare(status, self._back(answer))
        elif kind == EVENTS and status < 300:
            await self._reply.stream(self._back(answer))
            await self._pump(answer)
            await self._end_stream()
        elif kind == JSON:
            await self._single(answer, body)
        elif request:
            why = f"server {self._far.name} answered HTTP {status} without a message"
            await self._fail(status if status >= 400 else HTTPStatus.BAD_GATEWAY, why)
        else:
            await self._reply.bare(status, self._back(answer))

    def _note_session(self, answer: Answer) -> bool:
        """Keep the session that begins, forget one that has ended; False for an id of another's."""
        asked, status = self._asked, answer.status
        if asked.session is not None:
            if status == HTTPStatus.NOT_FOUND and not self._modern:
                self._sessions.forget(asked.session)
            return True
        given = answer.header(names.SESSION.lower())
        if self._message.method != "initialize" or not given or status >= 300:
            return True
        if not SESSION_ID.fullmatch(given):
            return False
        begun = Begun(self._message.raw, given)
        session = Session(
            given, asked.grant, asked.floor, self._caller, self._pending, asked.backend, begun
        )
        self._work.soon(asked.floor.desk.named, self._caller.agent)
        self._in_session = self._sessions.add(session)
        return self._in_session

    async def _single(self, answer: Answer, body: bytes | None) -> None:
        """Pass on an answer that came as one JSON message."""
        if body is None:
            body = await read_whole(answer, self._asked.floor.answer_limit)
        if body is None:
            await self._fail(
                HTTPStatus.BAD_GATEWAY, "the server's answer is too large to be looked at"
            )
            return
        lines = await self._police(body)
        if self._message.id is not None and self._pending.in_flight.waits_for(self._message.id):
            refused = answer.status >= HTTPStatus.BAD_REQUEST and error_in(body) is not None
            outcome: Outcome = "error" if refused else "lost"
            await self._work.write(self._relay.close, self._message.id, outcome)
        if lines:
            await self._reply.message(answer.status, lines[-1], self._back(answer))
        elif self._message.kind == "request":
            why = f"server {self._far.name} answered with no message"
            await self._fail(HTTPStatus.BAD_GATEWAY, why)
        else:
            await self._reply.bare(answer.status, self._back(answer))

    async def _end_stream(self) -> None:
        """End the stream; a request whose answer can no longer come is answered."""
        key = self._message.id
        if key is not None and not self._resumable and self._pending.in_flight.waits_for(key):
            await self._fail(
                HTTPStatus.BAD_GATEWAY,
                f"server {self._far.name} ended the stream without an answer",
            )
        else:
            await self._reply.end()

    async def _fail(self, status: int, why: str, *, sent: bool = True) -> None:
        """Answer in the place of a server that does not."""
        message = self._message
        request_id = jsonrpc.NULL
        if message.kind == "request" and message.id is not None:
            request_id = message.id_text
            await self._work.write(self._relay.close, message.id, "lost", sent=sent)
        line = jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, request_id)
        await self._reply.message(status, line)

    def _unusable(self, status: int) -> str:
        name = self._far.name
        if status in KEPT_BACK:
            return f"server {name} refused pktui's credentials (HTTP {status}); check its headers"
        return f"server {name} answered with a redirect (HTTP {status}); pktui's log says where to"
