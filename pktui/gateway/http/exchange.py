"""One posted message: decided by its session's relay, answered with what comes on its stream."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.gateway.http.errors import Refusal
from pktui.gateway.http.protocol import (
    EVENTS,
    KEEP_ALIVE,
    PROMPT_SECONDS,
    REQUEST_CANCELLED,
    accepts,
    status_of,
    writes,
)
from pktui.gateway.http.streams import Stream
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol import jsonrpc

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pktui.gateway.http.channels import Channel
    from pktui.gateway.http.client_sessions import Session
    from pktui.gateway.http.context import RequestContext
    from pktui.gateway.http.reply import Reply
    from pktui.gateway.http.threads import WorkerThreads
    from pktui.gateway.protocol.jsonrpc import Message
    from pktui.httpserver.serving import Post

# How often a message looks whether its server has taken those before it; every 20 ms.
LOOKS: Final = 500
_LOOK_SECONDS: Final = 0.02
# The version since which a stream may begin with an event that only names an id.
_PRIMED: Final = "2025-11-25"
_PLAIN: Final = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,511}")


# Told once that a request of the short way is over, with what waited for its answer.
Done = Callable[["ShortAnswer | None"], None]


class Exchange:
    """One posted message, from the client to its server and back. Made in the event loop."""

    def __init__(
        self,
        context: RequestContext,
        channel: Channel,
        message: Message,
        threads: WorkerThreads,
        new_scope: Callable[[], str],
        session: Session | None = None,
    ) -> None:
        """`new_scope` gives a name that no other has; raises `Refused` for an id in use."""
        self._context = context
        self._channel = channel
        self._message = message
        self._threads = threads
        self._new_scope = new_scope
        self._session = session
        self.takes_streams = accepts(context.headers, EVENTS)
        self._modern = session is None  # only the stateless era has requests outside of one
        self._taken = False
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._ahead: list[tuple[bytes, bool]] = []  # what came before there was a stream
        self._short: ShortAnswer | None = None
        if message.kind == "request":
            channel.open(message, self)

    # what its channel tells, from any thread

    def put(self, line: bytes, *, last: bool, wait: bool = False) -> None:
        """Take a message for the client."""
        with self._lock:
            stream = self._stream
            if stream is None:
                self._ahead.append((line, last))
        if stream is not None:
            stream.put(line, last=last, wait=wait)
        elif self._short is not None:
            self._short.wake()

    def finish(self) -> None:
        """Note that nothing more will come."""
        self.streamed().finish()
        if self._short is not None:
            self._short.wake()

    @property
    def trace(self) -> Mapping[str, str]:
        """The headers that tell to which trace the request belongs, for a server behind a URL."""
        headers = self._context.headers
        given = [(name, headers.get(name)) for name in names.TRACE if name in headers]
        return {name: value for name, value in given if _PLAIN.fullmatch(value)}

    @property
    def behind(self) -> bool:
        """Whether the client has so much to take that it should not be sent more."""
        return self._stream is not None and self._stream.behind

    def streamed(self) -> Stream:
        """Return the stream, which begins with what came before there was one."""
        with self._lock:
            if self._stream is None:
                self._stream = stream = Stream(self._threads.loop, self._new_scope())
                if self._session is not None:
                    self._session.keep(stream)
                for line, last in self._ahead:
                    stream.put(line, last=last, wait=False)
                self._ahead = []
            return self._stream

    # through ASGI

    async def post(self, reply: Reply) -> None:
        """Take the message, and answer it."""
        if self._message.kind != "request":
            await self._until_taken()
            await self._take()
            await reply.bare(HTTPStatus.ACCEPTED)
            return
        try:
            await self._until_taken()
            stream = self.streamed()
            reader = stream.attach()
            try:
                await self._take()
                await self._answer(reply, stream, reader)
            finally:
                stream.detach(reader)
        finally:
            self._leave(answered=self._stream is not None and self._stream.finished)

    async def stream(self, reply: Reply) -> None:
        """Answer a message that was taken with a stream: its answer takes its time."""
        stream = self.streamed()
        reader = stream.attach()
        try:
            await self._deliver(reply, stream, reader)
        finally:
            stream.detach(reader)
            self._leave(answered=stream.finished)

    async def _until_taken(self) -> None:
        """Wait for a server that is behind, before anything is decided; raises `Refusal` (503).

        A thread that waited for it would be missing everywhere else.
        """
        for _ in range(LOOKS):
            if not self._channel.full:
                return
            await asyncio.sleep(_LOOK_SECONDS)
        why = f"server {self._context.shared.entry.name} does not take what it was sent before"
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": "10"})

    async def _take(self) -> None:
        """Have the message decided and sent; servers take what they are sent without a wait."""
        message, relay = self._message, self._channel.relay
        self._taken = True
        if not writes(message):
            relay.take(message)
        elif message.method == "tools/call":
            server = self._context.shared.server
            await self._threads.decide(server, relay.take, message, size=len(message.raw))
        else:
            await self._threads.write(relay.take, message)

    async def _answer(self, reply: Reply, stream: Stream, reader: int) -> None:
        """Answer with one message where that comes at once, else with a stream."""
        streams = self.takes_streams
        entry = await stream.first(reader, PROMPT_SECONDS[self._modern] if streams else None)
        while entry is not None and not streams and not stream.ends_with(entry):
            entry = await stream.next(reader, entry.place)
        if entry is not None and stream.ends_with(entry):
            status = status_of(entry.line, modern=self._modern)
            await reply.message(status, entry.line, self._headers)
        elif not streams:
            await reply.bare(HTTPStatus.NO_CONTENT)
        else:
            await self._deliver(reply, stream, reader)

    async def _deliver(self, reply: Reply, stream: Stream, reader: int) -> None:
        await reply.stream(self._headers)
        primed = self._context.headers.get(names.VERSION) == _PRIMED
        if self._session is not None and primed:
            await reply.prime(f"{stream.name}/0")
        await deliver(reply, stream, reader, 0, resumable=self._session is not None)

    @property
    def _headers(self) -> list[tuple[str, str]]:
        return [(names.SESSION, self._session.id)] if self._session is not None else []

    # the short way

    def post_short(self, post: Post, done: Done, rest: ASGIApp) -> ShortAnswer | None:
        """Take the message and answer it as soon as its answer is here, without ASGI.

        `done` is called once, when that is over, with what waited for the answer. What takes its
        time, or comes in several messages, is left to `rest`. Returns what waits for the answer,
        None where nothing does.
        """
        if self._message.kind != "request":
            self._channel.relay.take(self._message)
            done(None)
            post.answer(HTTPStatus.ACCEPTED, b"")
            return None
        self._short = ShortAnswer(self, post, done, rest, self._threads.loop)
        self._taken = True
        self._channel.relay.take(self._message)
        self._short.wait(PROMPT_SECONDS[self._modern])
        return self._short

    def came(self) -> tuple[int, tuple[int, bytes, bytes] | None]:
        """Return how many messages came for the client before there was a stream; -1: there is one.

        And status, body and header lines of the answer, None where it is not here.
        """
        if self._stream is not None:
            return -1, None
        for line, last in self._ahead:
            if last:
                session = self._session.header if self._session is not None else b""
                answer = status_of(line, modern=self._modern), line, session
                return len(self._ahead), answer
        return len(self._ahead), None

    def leave(self) -> None:
        """Let go of it: it is answered, or its client has left."""
        answered = False
        for _, last in self._ahead:
            answered = answered or last
        if answered and not self._message.meta:
            return  # with its answer its channel has let go of all but its token
        self._leave(answered=answered)
        if not answered and self._session is not None:
            self.streamed()  # keeps little of what its client may never come back for

    # ends

    def cancelled(self) -> None:
        """Answer a request that the client has cancelled: its server will not."""
        why = "the request was cancelled"
        line = jsonrpc.error_line(REQUEST_CANCELLED, why, self._message.id_text)
        self.put(line, last=True)

    def _leave(self, *, answered: bool) -> None:
        if answered or not self._taken or self._session is None:
            self._channel.close(self._message, self)
        if not answered and self._taken and not self._kept:
            self._threads.soon(self._give_up)

    @property
    def _kept(self) -> bool:
        """Whether the client may come back for what the server owes it."""
        return self._session is not None and self._waits_for_server

    @property
    def _waits_for_server(self) -> bool:
        assert self._message.id is not None
        return self._channel.waits_for(self._message.id)

    def _give_up(self) -> None:
        """Take the request back: its client has left.

        In a session, a call that is neither held nor with the server is being decided or has just
        been answered: its stream stays, for the answer that is on its way to it.
        """
        assert self._message.id is not None
        if self._kept:
            return
        sent = self._waits_for_server
        if self._channel.relay.cancel(self._message.id):
            self._channel.close(self._message, self)
        elif sent:
            params = {"requestId": msgspec.Raw(self._message.id_text)}
            self._channel.to_server(jsonrpc.notification_line("notifications/cancelled", params))


class ShortAnswer:
    """The short way's wait for an answer; `wake` is for any thread, the rest for the loop's."""

    def __init__(
        self,
        exchange: Exchange,
        post: Post,
        done: Done,
        rest: ASGIApp,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._exchange = exchange
        self._post = post
        self._done = done
        self._rest = rest
        self._loop = loop
        self._thread = threading.get_ident()
        self._timer: asyncio.TimerHandle | None = None
        self.over = False
        post.gone = self.leave

    def wake(self) -> None:
        """Look at what came, in the loop's thread."""
        if threading.get_ident() == self._thread:
            self._look()
        else:
            try:
                self._loop.call_soon_threadsafe(self._look)
            except RuntimeError:  # the loop has ended, and nobody waits
                return

    def wait(self, seconds: float) -> None:
        """Answer with a stream after so many seconds, where the client takes one."""
        if not self.over and self._exchange.takes_streams:
            self._timer = self._loop.call_later(seconds, self._hand_over)

    def leave(self) -> None:
        """Let go of a request whose client has left."""
        if not self.over:
            self._end()
            self._exchange.leave()

    def cut(self) -> None:
        """End a request whose grant has ended, or the gateway."""
        if not self.over:
            self.leave()
            why = "the request was ended by pktui"
            line = jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, jsonrpc.NULL)
            self._post.answer(HTTPStatus.SERVICE_UNAVAILABLE, line)

    def _look(self) -> None:
        if self.over:
            return
        came, found = self._exchange.came()
        if came == 0 or (found is None and not self._exchange.takes_streams and came > 0):
            return
        if found is None or (came > 1 and self._exchange.takes_streams):
            self._hand_over()
            return
        self._end()
        self._exchange.leave()
        self._post.answer(*found)

    def _hand_over(self) -> None:
        if not self.over:
            self._end()
            self._post.hand_over(self._rest)

    def _end(self) -> None:
        self.over = True
        self._post.gone = None
        if self._timer is not None:
            self._timer.cancel()
        self._done(self)


async def deliver(
    reply: Reply, stream: Stream, reader: int, after: int, *, resumable: bool
) -> None:
    """Send everything after a place in a stream; where it is `resumable`, with ids."""
    place = after
    while True:
        try:
            async with asyncio.timeout(KEEP_ALIVE):
                entry = await stream.next(reader, place)
        except TimeoutError:
            await reply.comment()
            continue
        if entry is None:
            break
        await reply.event(entry.line, f"{stream.name}/{entry.place}" if resumable else None)
        place = entry.place
    await reply.end()
