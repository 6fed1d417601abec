"""The stream of what a server says by itself: notifications and questions of the older era."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pktui import lasting
from pktui.gateway.protocol import headers
from pktui.gateway.protocol.unpacking import Unreadable
from pktui.gateway.upstream.pace import Pace
from pktui.gateway.upstream.remote_link import CONNECT_SECONDS, Exchange, Link, LinkFailed
from pktui.gateway.upstream.remote_replies import EVENTS, Place, TooLarge, messages

if TYPE_CHECKING:
    from pktui.gateway.upstream.remote_outgoing import Session


class Listener:
    """Keeps the stream of one session open until it is stopped, or the server offers none."""

    def __init__(
        self,
        link: Link,
        session: Session,
        own: Mapping[str, str],
        limit: int,
        *,
        deliver: Callable[[bytes], None],
        forgotten: Callable[[str], bool],
        log: Callable[[str], None],
    ) -> None:
        """`own` are the headers of every request to this server.

        `forgotten` is told of a session that the server knows no more; it tells whether there is
        another one now, which has a listener of its own.
        """
        self._link = link
        self._session = session
        self._own = own
        self._limit = limit
        self._deliver = deliver
        self._forgotten = forgotten
        self._log = log
        self._stopped = threading.Event()
        self._exchange = Exchange(link)
        self._place = Place()
        self._pace = Pace()
        self._offered = False

    def start(self) -> None:
        """Begin to listen."""
        lasting.start("server-stream", self._listen, log=self._log)

    def stop(self) -> None:
        """End the stream."""
        self._stopped.set()
        self._exchange.abort()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            with lasting.Survived("what the server says by itself", self._log):
                if not self._hear():
                    return
            self._stopped.wait(self._pace.next_wait(self._place.retry_ms))
            self._exchange = Exchange(self._link)

    def _hear(self) -> bool:
        """Read the stream to its end; False where there will be no other."""
        try:
            return self._read()
        except TooLarge:
            self._log("a message of the server is too large and was dropped")
        except (LinkFailed, Unreadable):
            pass  # the next round tells whether it is still so
        return True

    def _read(self) -> bool:
        """Read the stream to its end; False where the server offers none."""
        exchange = self._exchange
        try:
            if self._stopped.is_set():
                return False
            asked = self._headers()
            exchange.send("GET", asked, None, seconds=CONNECT_SECONDS)
            exchange.receive(None)
            if exchange.status == 404 and self._offered:
                return not self._forgotten(asked.get(headers.SESSION, ""))
            if exchange.status != 200 or exchange.content_type != EVENTS:
                return exchange.status >= 500
            self._offered = True
            for line in messages(exchange, self._limit, self._place):
                self._pace.succeeded()
                self._deliver(line)
        finally:
            exchange.finish(0)
        return True

    def _headers(self) -> dict[str, str]:
        place = {headers.LAST_EVENT: self._place.last_id} if self._place.last_id else {}
        return {**self._own, "Accept": EVENTS, **self._session.headers(), **place}
