"""What every request to a server behind a URL has: a relay, and events that pass through it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.gateway.http.far import passed_back
from pktui.gateway.http.outbox import Outbox
from pktui.gateway.http.protocol import JSON, passed_on
from pktui.gateway.lineio.lines import HEAD, TooLong
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol.sse import Event, EventCutter
from pktui.gateway.relay.relay_session import client_name
from pktui.gateway.upstream.broken import ExchangeFailed
from pktui.ledger.records import Caller

if TYPE_CHECKING:
    from pktui.gateway.http.asked import Asked
    from pktui.gateway.http.begun import Begun
    from pktui.gateway.http.client_sessions import Sessions
    from pktui.gateway.http.far import Far
    from pktui.gateway.http.reply import Header
    from pktui.gateway.protocol.jsonrpc import Message
    from pktui.gateway.upstream.http_client import Answer


LEAST_RETRY_MS: Final = 1000
"""What a server may ask a client to wait at least: its client's requests go through here."""


class _Head(msgspec.Struct):
    id: Any = None
    method: Any = None


_HEAD: Final = msgspec.json.Decoder(_Head)


class Carrying:
    """One HTTP request of a client; `message` is what was posted, None where nothing was."""

    def __init__(self, far: Far, asked: Asked, sessions: Sessions, message: Message | None) -> None:
        self._far = far
        self._sessions = sessions
        self._asked = asked
        self._reply = asked.reply
        self._work = asked.work
        self._desk = asked.floor.desk
        self._called = message is not None and message.method == "tools/call"
        self._outbox = Outbox(asked.work.loop)
        self._resumable = False
        session = asked.session
        self._in_session = session is not None
        if session is not None:
            self._caller, self._pending = session.caller, session.pending
        else:
            begins = message is not None and message.method == "initialize"
            self._pending = asked.floor.pending(asked.grant, asked.scope, connected=begins)
            self._caller = asked.floor.caller(asked.grant, client_name(message) if message else "")
        if message is not None and message.method == "initialize" and session is None:
            grant = asked.grant
            self._caller = Caller("", grant.name, os.urandom(16).hex(), grant.project, grant.key)
        self._relay = asked.floor.relay(
            self._caller,
            self._pending,
            self._outbox.to_client,
            self._outbox.to_server,
            self._named,
            self._outbox.ask,
        )

    @property
    def _begun(self) -> Begun | None:
        """How the request's session was begun."""
        session = self._asked.session
        return session.backing if session is not None else None

    def _outward(self, *, modern: bool, streams: bool = False) -> dict[str, str]:
        """Return the headers that go on to the server."""
        headers = dict(passed_on(self._asked.headers, modern=modern))
        if modern or self._begun is None:
            return headers
        return self._begun.outward(headers, streams=streams)

    def _back(self, answer: Answer) -> list[Header]:
        """Return the headers of an answer that its client gets; its session keeps its id."""
        session = self._asked.session
        if session is None:
            return passed_back(answer)
        own = names.SESSION.lower()
        return [(name, session.id if name == own else value) for name, value in passed_back(answer)]

    async def _renewed(self, lost: str) -> bool:
        """Begin the session again that the server forgot; where it cannot be, it has ended."""
        session, begun = self._asked.session, self._begun
        assert session is not None
        assert begun is not None
        floor, sessions = self._asked.floor, self._sessions
        floor.log(f"server {self._far.name} has forgotten a session; it is begun again")
        try:
            if await begun.renew(
                self._far, lost, floor.answer_limit, lambda new: sessions.rename(session, new)
            ):
                return True
        except ExchangeFailed as error:
            floor.log(self._far.lost(error))
        sessions.forget(session)
        return False

    def _named(self, agent: str) -> None:
        self._caller = msgspec.structs.replace(self._caller, agent=agent)

    async def _pump(self, answer: Answer) -> None:
        cutter = EventCutter(self._asked.floor.answer_limit)
        async for chunk in answer.body():
            for event in cutter.feed(chunk):
                await self._pass(event)
        for event in cutter.end():
            await self._pass(event)

    async def _pass(self, event: Event) -> None:
        """Pass on an event; what carries no message, or none for the client, keeps its id.

        To go on after an event is for the client of its session alone, so that others have no ids.
        """
        event_id = event.id if self._in_session else None
        self._resumable = self._resumable or (
            event_id is not None and self._asked.session is not None
        )
        lines: list[bytes] = []
        if event.too_large:
            lines = await self._police(TooLong(event.data[:HEAD], event.ids))
        elif event.is_message:
            lines = await self._police(event.data)
        for line in lines[:-1]:
            await self._reply.event(line)
        retry_ms = None if event.retry_ms is None else max(event.retry_ms, LEAST_RETRY_MS)
        if lines or event_id is not None or retry_ms is not None:
            await self._reply.event(lines[-1] if lines else b"", event_id, retry_ms)

    async def _police(self, line: bytes | TooLong) -> list[bytes]:
        """Give the relay a message of the server; return what the client gets of it."""
        await self._look_at(line)
        lines = []
        while (item := self._outbox.take()) is not None:
            if item.to == "client":
                lines.append(item.line)
            else:
                await self._send_back(item.line)
        return lines

    async def _look_at(self, line: bytes | TooLong) -> None:
        """Let no notification wait for the ledger, and no long line keep the event loop."""
        relay, head = self._relay, _Head() if isinstance(line, TooLong) else _head(line)
        if head.method and head.id is None:
            await self._work.run(relay.from_server, line)
        elif self._called and not head.method and not isinstance(line, TooLong):
            await self._work.decide(self._desk, relay.from_server, line, size=len(line))
        else:
            await self._work.write(relay.from_server, line)

    async def _send_back(self, line: bytes) -> None:
        """Send the server an answer that the relay gave in the client's place."""
        wanted = (names.SESSION.lower(), names.VERSION.lower(), "accept")
        headers = {name: value for name in wanted if (value := self._asked.headers.get(name))}
        if self._begun is not None:
            headers = self._begun.outward(headers)
        try:
            async with self._far.open("POST", headers | {"content-type": JSON}, line):
                return
        except ExchangeFailed as error:
            self._asked.floor.log(self._far.lost(error))


def _head(line: bytes) -> _Head:
    try:
        return _HEAD.decode(line)
    except (msgspec.MsgspecError, RecursionError):
        return _Head()
