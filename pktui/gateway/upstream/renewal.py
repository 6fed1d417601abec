"""A session that the server forgot, begun anew as its client began it.

The specification leaves this to the client (Streamable HTTP, "Session Management"). A client that
thinks it runs a command knows of no session, so it is done here: with the client's own `initialize`
and `notifications/initialized`, one at a time however many calls have met it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pktui.gateway.protocol import headers
from pktui.gateway.upstream.pace import Pace
from pktui.gateway.upstream.remote_link import Aborted
from pktui.gateway.upstream.remote_outgoing import INITIALIZE, INITIALIZED, Session, read_outgoing
from pktui.gateway.upstream.remote_replies import error_in
from pktui.gateway.upstream.remote_request import Desk, Errand, Expired, Refused

if TYPE_CHECKING:
    from pktui.gateway.upstream.remote_outgoing import Outgoing

SECONDS: Final = 30.0
"""How long a server may take to begin a session: calls wait for it."""
_PLAIN_INITIALIZED: Final = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


class Renewal:
    """Begins sessions anew. `begun` is told of each, `clock` is monotonic, in seconds."""

    def __init__(
        self,
        desk: Desk,
        begun: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._begun = begun
        self._clock = clock
        self._lock = threading.Lock()
        self._initialize: Outgoing | None = None
        self._initialized = read_outgoing(_PLAIN_INITIALIZED)
        self._under_way: Errand | None = None
        self._ended = False
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

    def renew(self, lost: str) -> None:
        """Return when there is another session than the lost one.

        Raises `Refused` where there will be none, and where the one before was of no use.
        """
        with self._lock:
            if self._desk.session.id != lost:
                return
            if self._ended or self._initialize is None or self._clock() < self._not_before:
                raise Refused(self._desk.words.forgetful())
            self._not_before = self._clock() + self._pace.next_wait()
            try:
                self._begin(self._initialize)
            except Aborted as error:
                raise Refused(self._desk.words.not_begun_again("it took too long")) from error
            except Expired as error:
                raise Refused(self._desk.words.forgetful()) from error
        self._begun()

    def end(self) -> None:
        """Begin nothing more; whoever waits for a session gets `Refused`."""
        self._ended = True
        under_way = self._under_way
        if under_way is not None:
            under_way.abort()

    def _begin(self, initialize: Outgoing) -> None:
        desk, session, lines = self._desk, Session(), list[bytes]()
        private = Desk(
            *(desk.link, desk.own, desk.words, session, desk.marks, desk.limit), lines.append
        )
        self._do(Errand(private, initialize, _nothing), Errand.run)
        if not session.opened:
            error = error_in(lines[-1]) if lines else None
            why = error[1].decode(errors="replace") if error else "its answer names no version"
            raise Refused(desk.words.not_begun_again(why))
        told = Errand(private, self._initialized, _nothing)
        self._do(told, lambda errand: errand.tell(SECONDS))
        given = session.headers()
        desk.session.open(given.get(headers.SESSION, ""), given.get(headers.VERSION, ""))

    def _do(self, errand: Errand, act: Callable[[Errand], None]) -> None:
        """Have an errand done within its time."""
        self._under_way = errand
        timer = threading.Timer(SECONDS, errand.abort)
        timer.daemon = True
        timer.start()
        try:
            if self._ended:
                errand.abort()
            act(errand)
        finally:
            timer.cancel()
            self._under_way = None
            errand.close()


def _nothing() -> None:
    """Nobody waits until it is written."""
