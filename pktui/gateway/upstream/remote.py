"""The server behind a URL, as the relay sees every server: lines in, lines out."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from pktui import __version__, lasting
from pktui.daemon_pool import DaemonPool
from pktui.gateway.protocol.server_messages import Unanswered
from pktui.gateway.servers.expand import prepared
from pktui.gateway.servers.url import checked_headers, parse_endpoint
from pktui.gateway.upstream.remote_errors import Words
from pktui.gateway.upstream.remote_link import Aborted, Exchange, Link, LinkFailed
from pktui.gateway.upstream.remote_listening import Listener
from pktui.gateway.upstream.remote_outbox import Outbox
from pktui.gateway.upstream.remote_outgoing import (
    CANCELLED,
    INITIALIZE,
    INITIALIZED,
    Outgoing,
    Session,
    ToolMarks,
    read_outgoing,
)
from pktui.gateway.upstream.remote_request import Desk, Errand, Expired, Refused
from pktui.gateway.upstream.renewal import Renewal

if TYPE_CHECKING:
    from pktui.gateway.protocol.jsonrpc import Id
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.gateway.upstream.process import Deliver

TELL_SECONDS: Final = 30.0
"""How long a server may take to accept a notification or an answer."""
GOODBYE_SECONDS: Final = 1.0
LOST: Final = 1
_LOOK: Final = 0.02
_LONG_LIVED: Final = "subscriptions/listen"


class RemoteServer:
    """A server that speaks streamable HTTP."""

    def __init__(self, entry: ServerEntry, say: Callable[[str], None], limit: int) -> None:
        """Begin to connect in the background; raises `SettingsError` for an unusable entry.

        `limit` is bytes of one message of the server. `say` takes a sentence for the log.
        """
        entry = prepared(entry, os.environ)
        endpoint = parse_endpoint(entry.url, entry.name)
        own = checked_headers(entry.headers, entry.name)
        if own and endpoint.in_the_open:
            say(f"the headers of server {entry.name} go over the network unencrypted; use https")
        self._say = say
        self._session = Session()
        self._link = Link(endpoint)
        self._own = {"User-Agent": f"pktui/{__version__}"} | own
        self._words = Words(entry.name, endpoint)
        self._desk = Desk(
            *(self._link, self._own, self._words, self._session, ToolMarks(), limit), self._hand_on
        )
        self._renewal = Renewal(self._desk, self._listen)
        self._limit = limit
        self._outbox = Outbox()
        self._pool = DaemonPool("server-request", say)
        self._lock = threading.Lock()
        self._handing_on = threading.Lock()
        self._running: dict[Id, Errand] = {}
        self._listener: Listener | None = None
        self._deliver: Deliver = _nowhere
        self._ended: Callable[[], None] = lambda: None
        self._status: int | None = None
        self._lost = False
        self._link.warm()

    def start(self, deliver: Deliver, ended: Callable[[], None]) -> None:
        """Begin to carry messages."""
        self._deliver = deliver
        self._ended = ended
        lasting.start("server-messages", self._carry, log=self._say, fatal=ended)

    def send(self, *lines: bytes) -> None:
        """Take lines of the client."""
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        message = read_outgoing(line)
        if self._cancelled_here(message):
            return
        if not self._outbox.put(message) and self._status is None:
            self._fail(message, self._words.overloaded(), sent=False)

    def end(self, patience: float) -> int:
        """Wait `patience` seconds for what is under way, end the session, let go of everything."""
        until = time.monotonic() + patience
        while self._busy() and time.monotonic() < until:
            time.sleep(_LOOK)
        with self._lock:
            if self._status is not None:
                return self._status
            self._status = LOST if self._lost else 0
            running = list(self._running.values())
        self._outbox.close()
        self._renewal.end()
        if self._listener is not None:
            self._listener.stop()
        for errand in running:
            errand.abort()
        if self._session.id and not self._lost:
            self._say_goodbye()
        self._link.close()
        self._pool.dismiss()
        return self._status

    @property
    def said(self) -> str:
        """Nothing: a server behind a URL says no more than its answers."""
        return ""

    # on the way out

    def _carry(self) -> None:
        while (message := self._outbox.take(self._launch)) is not None:
            if message.kind != "request":
                with lasting.Survived("a message to the server", self._say):
                    self._tell(message)

    def _launch(self, message: Outgoing) -> None:
        if message.method == INITIALIZE and not message.version:
            self._forget_session()
            self._renewal.note(message)
        errand = Errand(self._desk, message, self._outbox.written)
        with self._lock:
            if message.id is not None:
                self._running[message.id] = errand
        self._pool.do(lambda: self._run(errand))

    def _run(self, errand: Errand) -> None:
        message = errand.message
        try:
            with lasting.Survived("a request", self._say, partial(self._answer_for, errand)):
                self._attempt(errand)
        finally:
            with self._lock:
                if message.id is not None and self._running.get(message.id) is errand:
                    del self._running[message.id]
            self._outbox.finished(message)
            errand.close()

    def _attempt(self, errand: Errand) -> None:
        try:
            self._carry_out(errand)
        except Aborted:
            self._answer_for(errand, self._words.ended())
        except Refused as refused:
            self._answer_for(errand, str(refused))

    def _answer_for(self, errand: Errand, why: str) -> None:
        """Answer a request in the server's place, where anybody still waits."""
        if not errand.silent:
            self._fail(errand.message, why, sent=errand.sent)

    def _carry_out(self, errand: Errand) -> None:
        """Have a request answered; in a new session where the server refused it for want of one."""
        try:
            errand.run()
        except Expired as expired:
            self._renewal.renew(expired.session)
            if expired.accepted:
                raise Refused(self._words.forgotten_midway()) from expired
            errand.run(again=True)
        self._renewal.succeeded()

    def _tell(self, message: Outgoing) -> None:
        """Post a notification or an answer; the next message goes when the server has it."""
        self._renewal.note(message)
        errand = Errand(self._desk, message, lambda: None)
        try:
            self._post(errand)
        except Aborted:
            return
        except Refused as refused:
            self._say(str(refused))
        finally:
            errand.close()
            self._drop_cancelled(message)

    def _post(self, errand: Errand) -> None:
        """Have a message taken; where the session is forgotten, what belongs to it is let go."""
        message = errand.message
        began = message.method == INITIALIZED and not message.version
        try:
            errand.tell(TELL_SECONDS)
        except Expired as expired:
            self._renewal.renew(expired.session)
            if message.kind == "notification" and message.method != CANCELLED and not began:
                errand.tell(TELL_SECONDS, again=True)
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
        errand = self._running.get(request_id)
        if errand is None:
            return not self._session.opened
        errand.silent = True
        if errand.message.version:
            errand.abort()
            return True
        return False

    def _drop_cancelled(self, message: Outgoing) -> None:
        request_id = message.cancels
        errand = self._running.get(request_id) if request_id is not None else None
        if errand is not None and errand.silent:
            errand.abort()

    # the session

    def _listen(self) -> None:
        listener = Listener(
            *(self._link, self._session, self._own, self._limit),
            deliver=self._hand_on,
            forgotten=self._renewed,
            log=self._say,
        )
        with self._lock:
            before, self._listener = self._listener, listener
            ended = self._status is not None
        if before is not None:
            before.stop()
        if not ended:
            listener.start()

    def _forget_session(self) -> None:
        with self._lock:
            before, self._listener = self._listener, None
        if before is not None:
            before.stop()
        self._session.forget()

    def _renewed(self, lost: str) -> bool:
        """Begin a session anew; tell whether there is one."""
        try:
            self._renewal.renew(lost)
        except Refused as refused:
            self._say(str(refused))
            return False
        return True

    def _say_goodbye(self) -> None:
        exchange = Exchange(self._link)
        try:
            own = {**self._own, **self._session.headers()}
            exchange.send("DELETE", own, None, seconds=GOODBYE_SECONDS)
            exchange.receive(GOODBYE_SECONDS)
        except LinkFailed:
            return  # a server that is gone has no session left
        finally:
            exchange.finish(0)

    # on the way back

    def _hand_on(self, line: bytes | Unanswered) -> None:
        """Deliver from any thread, one line at a time; a relay that fails is at its end."""
        with self._handing_on:
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
        with self._lock:
            running = [errand.message.method for errand in self._running.values()]
        return not self._outbox.empty or any(method != _LONG_LIVED for method in running)


def _nowhere(*_lines: object) -> None:
    """Take what comes before anyone listens: there is nothing."""
