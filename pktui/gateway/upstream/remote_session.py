"""The session with a server behind a URL: the stream of what it says unasked, and its renewal.

The specification leaves it to the client to begin a session anew that the server forgot (Streamable
HTTP, "Session Management"). pktui's client knows of no such session, so it is done here: with the
client's own `initialize` and `notifications/initialized`, one at a time however many calls met it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.gateway.protocol import headers
from pktui.gateway.protocol.unpacking import Unreadable
from pktui.gateway.upstream.http_client import Exchange, ExchangeFailed, TooLarge
from pktui.gateway.upstream.pace import Pace
from pktui.gateway.upstream.remote_outgoing import INITIALIZE, INITIALIZED, Session, read_outgoing
from pktui.gateway.upstream.remote_replies import EVENTS, Place, error_in, messages
from pktui.gateway.upstream.remote_request import Expired, Refused, RemoteContext, RemoteRequest

if TYPE_CHECKING:
    from pktui.gateway.upstream.remote_outgoing import Outgoing

# How long a server may take to begin a session: calls wait for it.
SECONDS: Final = 30.0
_PLAIN_INITIALIZED: Final = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


class Renewal:
    """Begins sessions anew. `begun` is told of each, `clock` is monotonic, in seconds."""

    def __init__(
        self,
        remote: RemoteContext,
        begun: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remote = remote
        self._begun = begun
        self._clock = clock
        self._lock = asyncio.Lock()
        self._initialize: Outgoing | None = None
        self._initialized = read_outgoing(_PLAIN_INITIALIZED)
        self._pace = Pace()
        self._not_before = 0.0

    def note(self, message: Outgoing) -> None:
        """Remember what the client begins its session with."""
        if message.version:
            return
        if message.method == INITIALIZE:
            self._initialize = message
        elif message.method == INITIALIZED:
            self._initialized = message

    def succeeded(self) -> None:
        """Note that the session is good for something."""
        if self._not_before:
            self._not_before = 0.0
            self._pace.succeeded()

    async def renew(self, lost: str) -> None:
        """Return when there is another session than the lost one.

        Raises `Refused` where there will be none, and where the one before was of no use.
        """
        words = self._remote.words
        async with self._lock:
            if self._remote.session.id != lost:
                return
            if self._initialize is None or self._clock() < self._not_before:
                raise Refused(words.forgetful())
            self._not_before = self._clock() + self._pace.next_wait()
            try:
                async with asyncio.timeout(SECONDS):
                    await self._begin(self._initialize)
            except TimeoutError as error:
                raise Refused(words.not_begun_again("it took too long")) from error
            except Expired as error:
                raise Refused(words.forgetful()) from error
        self._begun()

    async def _begin(self, initialize: Outgoing) -> None:
        remote, session, lines = self._remote, Session(), list[bytes]()
        private = remote.apart(session, lines.append)
        await RemoteRequest(private, initialize).run()
        if not session.opened:
            error = error_in(lines[-1]) if lines else None
            why = error[1].decode(errors="replace") if error else "its answer names no version"
            raise Refused(remote.words.not_begun_again(why))
        await RemoteRequest(private, self._initialized).tell(SECONDS)
        given = session.headers
        remote.session.open(given.get(headers.SESSION, ""), given.get(headers.VERSION, ""))


class Listener:
    """Keeps the stream of one session open until it is cancelled, or the server offers none."""

    def __init__(
        self,
        remote: RemoteContext,
        forgotten: Callable[[str], Awaitable[bool]],
        log: Callable[[str], None],
    ) -> None:
        """`forgotten` is told of a session that the server knows no more.

        It tells whether there is another one now, which has a listener of its own.
        """
        self._remote = remote
        self._forgotten = forgotten
        self._log = log
        self._place = Place()
        self._pace = Pace()
        self._offered = False

    async def listen(self) -> None:
        """Deliver what the server says by itself."""
        while True:
            with lasting.Survived("what the server says by itself", self._log):
                if not await self._hear():
                    return
            await asyncio.sleep(self._pace.next_wait(self._place.retry_ms))

    async def _hear(self) -> bool:
        """Read the stream to its end; False where there will be no other."""
        asked = self._headers()
        exchange = Exchange(self._remote.pool, "GET", asked, None, limit=self._remote.limit)
        try:
            await exchange.ask()
            if exchange.failure is not None:
                return True  # the next round tells whether it is still so
            if exchange.status == 404 and self._offered:
                return not await self._forgotten(asked.get(headers.SESSION, ""))
            if exchange.status != 200 or exchange.content_type != EVENTS:
                return exchange.status >= 500
            self._offered = True
            async for line in messages(exchange, self._remote.limit, self._place):
                self._pace.succeeded()
                self._remote.deliver(line)
                await self._remote.room()
        except TooLarge:
            self._log("a message of the server is too large and was dropped")
        except (ExchangeFailed, Unreadable):
            return True
        finally:
            exchange.abort()
        return True

    def _headers(self) -> dict[str, str]:
        place = {headers.LAST_EVENT: self._place.last_id} if self._place.last_id else {}
        return {"Accept": EVENTS, **self._remote.session.headers, **place}
