"""The server behind a URL, as the relay sees every server: messages in, messages out.

One client for both ways in. Everything happens in one event loop: the listening gateway's, or one
of its own beside a client on stdio.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final

from pktui import __version__, lasting
from pktui.gateway.protocol.server_messages import Unanswered
from pktui.gateway.servers.expand import prepared
from pktui.gateway.servers.url import checked_headers, parse_endpoint
from pktui.gateway.upstream.http_client import Aborted, Exchange, Pool
from pktui.gateway.upstream.remote_errors import Words
from pktui.gateway.upstream.remote_outbox import CAPACITY_BYTES, Outbox
from pktui.gateway.upstream.remote_outgoing import (
    CANCELLED,
    INITIALIZE,
    INITIALIZED,
    Outgoing,
    Session,
    ToolMarks,
    read_outgoing,
)
from pktui.gateway.upstream.remote_request import (
    Expired,
    Refused,
    RemoteContext,
    RemoteRequest,
    untraced,
)
from pktui.gateway.upstream.remote_session import Listener, Renewal

if TYPE_CHECKING:
    from pktui.gateway.protocol.jsonrpc import Id
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.gateway.upstream.process import Deliver

# How long a server may take to accept a notification or an answer.
TELL_SECONDS: Final = 30.0
GOODBYE_SECONDS: Final = 1.0
LOST: Final = 1
_LOOK: Final = 0.02
_LONG_LIVED: Final = "subscriptions/listen"


async def _always() -> None:
    """There is room for more."""


class RemoteServer:
    """A server that speaks streamable HTTP. `start`, `send` and `end` are for any thread."""

    def __init__(
        self,
        entry: ServerEntry,
        say: Callable[[str], None],
        limit: int,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        pool: Pool | None = None,
        room: Callable[[], Awaitable[None]] = _always,
        trace: Callable[[Id], Mapping[str, str]] = untraced,
    ) -> None:
        """Begin to connect in the background; raises `SettingsError` for an unusable entry.

        `limit` is bytes of one message of the server. `say` takes a sentence for the log. Without
        a `loop` it has one of its own. `pool` holds connections that servers of one entry share,
        `room` waits until more can be delivered, `trace` returns the headers of a request's trace.
        """
        entry = prepared(entry, os.environ)
        self._pool = pool or open_pool(entry, say)
        self._shares = pool is not None
        self._say = say
        self._own_loop = loop is None
        self._loop = loop or _running_loop(say)
        self._thread = 0  # the loop's
        self._words = Words(entry.name, self._pool.endpoint)
        self._session = Session()
        self._remote = RemoteContext(
            *(self._pool, self._words, self._session, ToolMarks(), limit),
            *(self._hand_on, room, trace),
        )
        self._renewal = Renewal(self._remote, self._listen)
        self._outbox = Outbox()
        self._running: dict[Id, RemoteRequest] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listener: asyncio.Task[None] | None = None
        self._deliver: Deliver = _nowhere
        self._ended: Callable[[], None] = lambda: None
        self._status: int | None = None
        self._lost = False
        self._started = False
        if pool is None:
            self._in_loop(self._warm)

    def start(self, deliver: Deliver, ended: Callable[[], None]) -> None:
        """Begin to carry messages."""
        self._deliver = deliver
        self._ended = ended
        self._in_loop(self._begin)

    def send(self, *lines: bytes) -> None:
        """Take messages of the client."""
        if threading.get_ident() == self._thread:
            self._take(*lines)
        else:
            self._in_loop(self._take, *lines)

    @property
    def full(self) -> bool:
        """Whether so much waits that it should not be sent more."""
        return self._outbox.size > CAPACITY_BYTES // 2

    def end(self, patience: float) -> int:
        """Wait `patience` seconds for what is under way, end the session, let go of everything.

        Not for the loop's thread, where it ends behind what is under way.
        """
        if self._status is not None:
            return self._status
        if threading.get_ident() == self._thread:
            self._spawn(self._finish(patience))
            return 0
        try:
            status = asyncio.run_coroutine_threadsafe(self._finish(patience), self._loop).result()
        except RuntimeError:  # the loop has ended before
            return 0
        if self._own_loop:
            self._in_loop(self._loop.stop)
        return status

    @property
    def said(self) -> str:
        """Nothing: a server behind a URL says no more than its answers."""
        return ""

    # the loop

    def _in_loop(self, function: Callable[..., object], *given: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *given)
        except RuntimeError:  # the loop has ended, and nobody waits
            return

    def _begin(self) -> None:
        self._thread = threading.get_ident()
        self._started = True
        self._pump()

    def _warm(self) -> None:
        self._thread = threading.get_ident()
        self._pool.warm()

    def _spawn(self, work: Coroutine[Any, Any, int | None]) -> None:
        async def survive() -> None:
            with lasting.Survived("a request to the server", self._say):
                await work

        task = self._loop.create_task(survive())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # on the way out

    def _take(self, *lines: bytes) -> None:
        for line in lines:
            message = read_outgoing(line)
            if self._cancelled_here(message):
                continue
            if self._status is not None or not self._outbox.put(message):
                self._fail(message, self._words.overloaded(), sent=False)
        self._pump()

    def _pump(self) -> None:
        while self._started and (message := self._outbox.take()) is not None:
            if message.kind == "request":
                self._launch(message)
            else:
                self._spawn(self._tell(message))

    def _launch(self, message: Outgoing) -> None:
        if message.method == INITIALIZE and not message.version:
            self._forget_session()
            self._renewal.note(message)
        request = RemoteRequest(self._remote, message, self._outbox.written)
        if message.id is not None:
            self._running[message.id] = request
        request.begin(lambda exchange: self._answered(request, exchange))

    def _answered(self, request: RemoteRequest, exchange: Exchange) -> None:
        """Deliver what came; where more is to be done than that, begin it."""
        if exchange.body is None:
            self._spawn(self._follow(request, exchange))
            return
        with lasting.Survived("an answer of the server", self._say):
            if not request.took(exchange.body):
                self._answer_for(request, self._words.unanswered(), sent=True)
        self._renewal.succeeded()
        self._over(request)

    async def _follow(self, request: RemoteRequest, exchange: Exchange) -> None:
        try:
            with lasting.Survived(
                "a request", self._say, lambda why: self._answer_for(request, why)
            ):
                await self._attempt(request, exchange)
        finally:
            self._over(request)

    def _over(self, request: RemoteRequest) -> None:
        message = request.message
        request.close()
        if message.id is not None and self._running.get(message.id) is request:
            del self._running[message.id]
        self._outbox.finished(message)
        self._pump()

    async def _attempt(self, request: RemoteRequest, exchange: Exchange) -> None:
        try:
            await self._carry_out(request, exchange)
        except Aborted:
            self._answer_for(request, self._words.ended())
        except Refused as refused:
            self._answer_for(request, str(refused))

    def _answer_for(self, request: RemoteRequest, why: str, *, sent: bool = False) -> None:
        """Answer a request in the server's place, where anybody still waits."""
        if not request.silent:
            self._fail(request.message, why, sent=sent or request.sent)

    async def _carry_out(self, request: RemoteRequest, exchange: Exchange) -> None:
        """Have a request answered; in a new session where the server refused it for want of one."""
        try:
            await request.run(exchange)
        except Expired as expired:
            await self._renewal.renew(expired.session)
            if expired.accepted:
                raise Refused(self._words.forgotten_midway()) from expired
            await request.run(again=True)
        self._renewal.succeeded()

    async def _tell(self, message: Outgoing) -> None:
        """Post a notification or an answer; the next message goes when the server has it."""
        self._renewal.note(message)
        try:
            await self._post(RemoteRequest(self._remote, message))
        except Aborted:
            return
        except Refused as refused:
            self._say(str(refused))
        finally:
            self._drop_cancelled(message)
            self._outbox.finished(message)
            self._pump()

    async def _post(self, request: RemoteRequest) -> None:
        """Have a message taken; where the session is forgotten, what belongs to it is let go."""
        message = request.message
        began = message.method == INITIALIZED and not message.version
        try:
            await request.tell(TELL_SECONDS)
        except Expired as expired:
            await self._renewal.renew(expired.session)
            if message.kind == "notification" and message.method != CANCELLED and not began:
                await request.tell(TELL_SECONDS, again=True)
        else:
            if began:
                self._listen()

    # cancelling

    def _cancelled_here(self, message: Outgoing) -> bool:
        """Carry out a cancellation that the server is not told of in so many words.

        In the stateless era the end of the request's stream says it (MCP, Streamable HTTP,
        "Cancellation"); a request that was never sent needs none.
        """
        request_id = message.cancels
        if request_id is None:
            return False
        if self._outbox.withdraw(request_id):
            return True
        request = self._running.get(request_id)
        if request is None:
            return not self._session.opened
        request.silent = True
        if request.message.version:
            request.abort()
            return True
        return False

    def _drop_cancelled(self, message: Outgoing) -> None:
        request_id = message.cancels
        request = self._running.get(request_id) if request_id is not None else None
        if request is not None and request.silent:
            request.abort()

    # the session

    def _listen(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            self._listener = None
        if self._status is None:
            listener = Listener(self._remote, self._renewed, self._say)
            self._listener = self._loop.create_task(listener.listen())

    def _forget_session(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            self._listener = None
        self._session.forget()

    async def _renewed(self, lost: str) -> bool:
        """Begin a session anew; tell whether there is one."""
        try:
            await asyncio.shield(self._renewal.renew(lost))
        except Refused as refused:
            self._say(str(refused))
            return False
        return True

    async def _finish(self, patience: float) -> int:
        until = self._loop.time() + patience
        while self._busy() and self._loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)
        if self._status is not None:
            return self._status
        self._status = LOST if self._lost else 0
        self._outbox.close()
        for request in tuple(self._running.values()):
            request.abort()
        if self._session.id and not self._lost:
            await self._say_goodbye()
        left = {*self._tasks, *((self._listener,) if self._listener is not None else ())}
        left.discard(asyncio.current_task())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if not self._shares:
            self._pool.close()
        return self._status

    async def _say_goodbye(self) -> None:
        exchange = Exchange(self._pool, "DELETE", self._session.headers, None, limit=0)
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await exchange.ask()
        except TimeoutError:
            return  # a server that is gone has no session left
        finally:
            exchange.abort()

    # on the way back

    def _hand_on(self, line: bytes | Unanswered) -> None:
        """Deliver a message; a relay that fails is at its end."""
        if self._status is not None:
            return
        try:
            self._deliver(line)
        except BaseException:
            self._lost = True
            self._ended()
            raise

    def _fail(self, message: Outgoing, why: str, *, sent: bool) -> None:
        if self._status is not None:
            return
        self._say(why)
        if message.kind == "request":
            self._hand_on(Unanswered(message.id, why, sent))

    def _busy(self) -> bool:
        running = [request.message.method for request in self._running.values()]
        return not self._outbox.empty or any(method != _LONG_LIVED for method in running)


def open_pool(entry: ServerEntry, say: Callable[[str], None]) -> Pool:
    """Return the connections to a server; raises `SettingsError` for an unusable entry."""
    endpoint = parse_endpoint(entry.url, entry.name)
    own = checked_headers(entry.headers, entry.name)
    if own and endpoint.in_the_open:
        say(f"the headers of server {entry.name} go over the network unencrypted; use https")
    agent = (
        {}
        if "user-agent" in {name.lower() for name in own}
        else {"User-Agent": f"pktui/{__version__}"}
    )
    return Pool(endpoint, {**agent, "Accept-Encoding": "identity", **own})


def _running_loop(say: Callable[[str], None]) -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()

    def run() -> None:
        try:
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    lasting.start("server-messages", run, log=say)
    return loop


def _nowhere(*_lines: object) -> None:
    """Take what comes before anyone listens: there is nothing."""
