"""A server behind a URL: each request of a client becomes one to it, policed both ways.

Session ids, event ids and statuses pass through; what a person gave in the server's entry is added,
and nothing of the client's own credentials goes on.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import httpx2
import msgspec

from pktui.gateway import headers as names
from pktui.gateway import jsonrpc
from pktui.gateway.http.outbox import Item, Outbox
from pktui.gateway.http.protocol import (
    EVENTS,
    JSON,
    KEEP_ALIVE,
    REQUEST_CANCELLED,
    accepts,
    is_modern,
    passed_on,
    prompt,
    status_of,
)
from pktui.gateway.http.sessions import Session
from pktui.gateway.lines import HEAD, TooLong
from pktui.gateway.relay import client_name
from pktui.gateway.remote.endpoint import checked_headers, parse_endpoint
from pktui.gateway.sse import Event, EventCutter
from pktui.ledger.records import Caller
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.gateway.http.asked import Asked
    from pktui.gateway.http.reply import Header
    from pktui.gateway.http.sessions import Sessions
    from pktui.gateway.jsonrpc import Message
    from pktui.gateway.servers import ServerEntry

_TIMEOUT: Final = httpx2.Timeout(connect=10, read=None, write=30, pool=10)
_SESSION_ID: Final = re.compile(r"[\x21-\x7e]{1,512}")
_PASSED_BACK: Final = (names.SESSION, names.VERSION, "retry-after", "allow")
_KEPT_BACK: Final = frozenset({401, 403, 407})


class _Head(msgspec.Struct):
    method: msgspec.Raw = msgspec.Raw()


_HEAD: Final = msgspec.json.Decoder(_Head)


class UrlServer:
    """The connections to one server behind a URL."""

    def __init__(self, entry: ServerEntry, sessions: Sessions) -> None:
        """Raises `SettingsError` where the entry's URL or headers cannot be used."""
        parse_endpoint(entry.url, entry.name)
        self.name = entry.name
        self._sessions = sessions
        self._url = entry.url
        self._client = httpx2.AsyncClient(
            headers={"accept-encoding": "identity", **checked_headers(entry.headers, entry.name)},
            timeout=_TIMEOUT,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=32),
        )

    async def post(self, asked: Asked, message: Message) -> None:
        """Take one message of a client, and answer it where it is a request."""
        await UrlExchange(self, asked, self._sessions).post(message)

    async def listen(self, asked: Asked) -> None:
        """Open a stream for what the server says unasked, or go on with a broken one."""
        await UrlExchange(self, asked, self._sessions).listen()

    async def end_session(self, asked: Asked) -> None:
        """Pass on that the client ends its session."""
        await UrlExchange(self, asked, self._sessions).end_session()

    async def sweep(self) -> None:
        """Do nothing: the connections look after themselves."""

    @asynccontextmanager
    async def open(
        self, method: str, headers: dict[str, str], body: bytes | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """Send a request and yield its answer, body unread; raises `httpx2.HTTPError`."""
        async with self._client.stream(
            method, self._url, headers=headers, content=body
        ) as response:
            yield response

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


class UrlExchange:
    """One HTTP request of a client, and what the server makes of it."""

    def __init__(self, server: UrlServer, asked: Asked, sessions: Sessions) -> None:
        self._server = server
        self._asked = asked
        self._sessions = sessions
        self._reply = asked.reply
        self._work = asked.work
        self._outbox = Outbox(asked.work.loop)
        self._resumable = False
        self._carried = False

    def _begin(self, message: Message | None) -> None:
        asked = self._asked
        session = asked.session
        if session is not None:
            self._caller, self._pending = session.caller, session.pending
        else:
            self._pending = asked.floor.pending(asked.grant, asked.scope)
            self._caller = asked.floor.caller(asked.grant, client_name(message) if message else "")
        if message is not None and message.method == "initialize" and session is None:
            self._caller = Caller("", asked.grant.name, os.urandom(16).hex(), "")
        self._relay = asked.floor.relay(
            self._caller,
            self._pending,
            self._outbox.to_client,
            self._outbox.to_server,
            self._named,
        )

    def _named(self, agent: str) -> None:
        self._caller = msgspec.structs.replace(self._caller, agent=agent)

    def cancelled(self) -> None:
        """Answer a held request that the client has cancelled."""
        if not self._carried and self._message.kind == "request":
            self._outbox.to_client(
                jsonrpc.error_line(
                    REQUEST_CANCELLED, "the request was cancelled", self._message.id_text
                )
            )

    async def post(self, message: Message) -> None:
        """Take one message of the client, and answer its request."""
        self._message = message
        self._begin(message)
        session, key = self._asked.session, message.id
        try:
            if session is not None and key is not None and message.kind == "request":
                session.under_way.setdefault(key, self)
            await self._work.run(self._relay.take, message)
            await (self._answer() if message.kind == "request" else self._acknowledge())
        finally:
            if session is not None and key is not None and session.under_way.get(key) is self:
                del session.under_way[key]
            if key is not None and not self._reply.ended and not self._resumable:
                self._work.soon(self._relay.cancel, key)

    async def _answer(self) -> None:
        while True:
            item = await self._next()
            if item.to == "server":
                self._carried = True
                await self._carry(item.line)
                return
            if not _HEAD.decode(item.line).method:
                await self._reply.message(status_of(item.line, modern=self._modern), item.line)
                return
            if self._streams:
                await self._reply.event(item.line)

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
        headers = dict(passed_on(self._asked.headers, modern=self._modern)) | {"content-type": JSON}
        try:
            async with self._server.open("POST", headers, line) as response:
                await self._receive(response)
        except httpx2.HTTPError as error:
            await self._fail(HTTPStatus.BAD_GATEWAY, self._lost(error))

    async def _receive(self, response: httpx2.Response) -> None:
        status, kind = response.status_code, _kind(response)
        request = self._message.kind == "request"
        if status in _KEPT_BACK or 300 <= status < 400:
            await self._fail(HTTPStatus.BAD_GATEWAY, self._unusable(status))
        elif not self._note_session(response):
            await self._fail(
                HTTPStatus.BAD_GATEWAY, f"server {self._server.name} mixes sessions up"
            )
        elif not request and status < 300:
            await self._reply.bare(status, _passed_back(response))
        elif kind == EVENTS and status < 300:
            await self._reply.stream(_passed_back(response))
            await self._pump(response)
            await self._end_stream()
        elif kind == JSON:
            await self._single(response)
        elif request:
            why = f"server {self._server.name} answered HTTP {status} without a message"
            await self._fail(status if status >= 400 else HTTPStatus.BAD_GATEWAY, why)
        else:
            await self._reply.bare(status, _passed_back(response))

    def _note_session(self, response: httpx2.Response) -> bool:
        """Keep the session that begins, forget one that has ended; False for an id of another's."""
        asked, status = self._asked, response.status_code
        if asked.session is not None:
            if status == HTTPStatus.NOT_FOUND and not self._modern:
                self._sessions.forget(asked.session)
            return True
        given = response.headers.get(names.SESSION)
        if self._message.method != "initialize" or given is None or status >= 300:
            return True
        if not _SESSION_ID.fullmatch(given):
            return False
        session = Session(given, asked.grant, asked.floor, self._caller, self._pending)
        self._work.soon(asked.floor.desk.named, self._caller.agent)
        return self._sessions.add(session)

    async def _single(self, response: httpx2.Response) -> None:
        """Pass on an answer that came as one JSON message."""
        body = await _read(response, self._asked.floor.answer_limit)
        if body is None:
            await self._fail(
                HTTPStatus.BAD_GATEWAY, "the server's answer is too large to be looked at"
            )
            return
        lines = await self._police(body)
        if self._message.id is not None and self._message.id in self._pending.in_flight:
            await self._work.run(self._relay.close, self._message.id, "error")
        if lines:
            await self._reply.message(response.status_code, lines[-1], _passed_back(response))
        elif self._message.kind == "request":
            why = f"server {self._server.name} answered with no message"
            await self._fail(HTTPStatus.BAD_GATEWAY, why)
        else:
            await self._reply.bare(response.status_code, _passed_back(response))

    async def _pump(self, response: httpx2.Response) -> None:
        cutter = EventCutter(self._asked.floor.answer_limit)
        async for chunk in response.aiter_bytes():
            for event in cutter.feed(chunk):
                await self._pass(event)

    async def _pass(self, event: Event) -> None:
        """Pass on an event; what carries no message, or none for the client, keeps its id."""
        self._resumable = self._resumable or (event.id is not None and not self._sessionless)
        lines: list[bytes] = []
        if event.too_large:
            lines = await self._police(TooLong(event.data[:HEAD]))
        elif event.is_message:
            lines = await self._police(event.data)
        for line in lines[:-1]:
            await self._reply.event(line)
        if lines or event.id is not None or event.retry_ms is not None:
            await self._reply.event(lines[-1] if lines else b"", event.id, event.retry_ms)

    @property
    def _sessionless(self) -> bool:
        return self._asked.session is None

    async def _police(self, line: bytes | TooLong) -> list[bytes]:
        """Give the relay a message of the server; return what the client gets of it."""
        await self._work.run(self._relay.from_server, line)
        lines = []
        while (item := self._outbox.take()) is not None:
            if item.to == "client":
                lines.append(item.line)
            else:
                await self._send_back(item.line)
        return lines

    async def _send_back(self, line: bytes) -> None:
        """Send the server an answer that the relay gave in the client's place."""
        wanted = (names.SESSION, names.VERSION, "accept")
        headers = {name: value for name in wanted if (value := self._asked.headers.get(name))}
        try:
            async with self._server.open("POST", headers | {"content-type": JSON}, line):
                return
        except httpx2.HTTPError as error:
            self._asked.floor.log(self._lost(error))

    async def _end_stream(self) -> None:
        """End the stream; a request whose answer can no longer come is answered."""
        key = self._message.id
        if key is not None and not self._resumable and key in self._pending.in_flight:
            await self._fail(
                HTTPStatus.BAD_GATEWAY,
                f"server {self._server.name} ended the stream without an answer",
            )
        else:
            await self._reply.end()

    async def _fail(self, status: int, why: str) -> None:
        """Answer in the place of a server that does not."""
        message = self._message
        request_id = jsonrpc.NULL
        if message.kind == "request" and message.id is not None:
            request_id = message.id_text
            await self._work.run(self._relay.close, message.id, "lost")
        line = jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, request_id)
        await self._reply.message(status, line)

    def _unusable(self, status: int) -> str:
        name = self._server.name
        if status in _KEPT_BACK:
            return f"server {name} refused pktui's credentials (HTTP {status}); check its headers"
        return f"server {name} answered with a redirect (HTTP {status}); check its url"

    def _lost(self, error: httpx2.HTTPError) -> str:
        cause = one_line(str(error), 200) or type(error).__name__
        return f"server {self._server.name} cannot be reached: {cause}"

    async def listen(self) -> None:
        """Open the stream for what the server says unasked, or go on with a broken one."""
        self._begin(None)
        try:
            async with self._server.open(
                "GET", dict(passed_on(self._asked.headers, modern=False))
            ) as response:
                await self._listen(response)
        except httpx2.HTTPError as error:
            line = jsonrpc.error_line(jsonrpc.SERVER_ERROR, self._lost(error), jsonrpc.NULL)
            if self._reply.begun:
                await self._reply.end()
            else:
                await self._reply.message(HTTPStatus.BAD_GATEWAY, line)

    async def _listen(self, response: httpx2.Response) -> None:
        status = response.status_code
        if status == HTTPStatus.OK and _kind(response) == EVENTS:
            await self._reply.stream(_passed_back(response))
            await self._pump(response)
            await self._reply.end()
        else:
            await self._bare(response)

    async def _bare(self, response: httpx2.Response) -> None:
        """Pass on a status without a body, but for one that speaks of pktui's credentials."""
        status = response.status_code
        hidden = status in _KEPT_BACK or 300 <= status < 400
        await self._reply.bare(HTTPStatus.BAD_GATEWAY if hidden else status, _passed_back(response))

    async def end_session(self) -> None:
        """Pass on that the client ends its session."""
        self._begin(None)
        session = self._asked.session
        try:
            async with self._server.open(
                "DELETE", dict(passed_on(self._asked.headers, modern=False))
            ) as response:
                ended = response.is_success or response.status_code == HTTPStatus.NOT_FOUND
                if session is not None and ended:
                    self._sessions.forget(session)
                    await self._work.run(self._relay.close_all, "cancelled")
                await self._bare(response)
        except httpx2.HTTPError as error:
            line = jsonrpc.error_line(jsonrpc.SERVER_ERROR, self._lost(error), jsonrpc.NULL)
            await self._reply.message(HTTPStatus.BAD_GATEWAY, line)


def _kind(response: httpx2.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _passed_back(response: httpx2.Response) -> list[Header]:
    return [
        (name, value) for name in _PASSED_BACK if (value := response.headers.get(name)) is not None
    ]


async def _read(response: httpx2.Response, limit: int) -> bytes | None:
    """Return a body, or None where it is larger than the limit."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)
