"""One request on its way to the server and back: the answer, or a reason why there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.gateway.protocol import headers
from pktui.gateway.protocol.unpacking import Unreadable
from pktui.gateway.upstream.pace import Pace
from pktui.gateway.upstream.remote_link import CONNECT_SECONDS, Aborted, Exchange, Link, LinkFailed
from pktui.gateway.upstream.remote_outgoing import read_outgoing
from pktui.gateway.upstream.remote_replies import (
    EVENTS,
    JSON,
    Place,
    TooLarge,
    answers,
    as_line,
    error_in,
    messages,
    next_cursor_in,
    version_in,
)

if TYPE_CHECKING:
    from pktui.gateway.upstream.remote_errors import Words
    from pktui.gateway.upstream.remote_outgoing import Outgoing, Session, ToolMarks

ACCEPT: Final = f"{JSON}, {EVENTS}"
REDIRECTS: Final = 3
_REDIRECT: Final = (307, 308)
_CREDENTIALS: Final = (401, 403, 407)
_ATTEMPTS: Final = 3
_PAGES: Final = 100
_REASON_BYTES: Final = 4096
"""Of a refusal, to see whether it speaks of the session."""


class Refused(Exception):
    """A request that has no answer; the text says why and what to do."""


class Expired(Exception):
    """The server does not know the session any more.

    `accepted`: it may have taken the message before it forgot the session.
    """

    def __init__(self, session: str, *, accepted: bool) -> None:
        super().__init__(session)
        self.session = session
        self.accepted = accepted


class Desk:
    """What all errands to one server share."""

    def __init__(
        self,
        link: Link,
        own: Mapping[str, str],
        words: Words,
        session: Session,
        marks: ToolMarks,
        limit: int,
        deliver: Callable[[bytes], None],
    ) -> None:
        """`own` are the headers of every request; `limit` is bytes of one answer."""
        self.link = link
        self.own = own
        self.words = words
        self.session = session
        self.marks = marks
        self.limit = limit
        self.deliver = deliver

    def headers(self, message: Outgoing) -> dict[str, str]:
        """Return the headers of a message that is posted."""
        if message.version:
            era = headers.routing_headers(message.method, message.params, message.version)
            era |= self.marks.headers(message)
        elif message.method == "initialize":
            era = {}
        else:
            era = self.session.headers()
        return {**self.own, "Accept": ACCEPT, "Content-Type": JSON, **era}


class Errand:
    """A message that is posted. `abort` is for any thread, everything else for one."""

    def __init__(self, desk: Desk, message: Outgoing, written: Callable[[], None]) -> None:
        """`written` is called once: when the message is on its way, or never will be."""
        self.message = message
        self.silent = False
        """True: nobody waits for the answer any more."""
        self.sent = False
        """Whether the server may have seen the message."""
        self._desk = desk
        self._written: Callable[[], None] | None = written
        self._exchange = Exchange(desk.link)
        self._error: tuple[int, bytes] | None = None
        self._lister: Errand | None = None
        self._ended = threading.Event()
        self._session = ""
        self._reason = b""
        self._again = False

    def run(self, *, again: bool = False) -> None:
        """Post the request and deliver everything that comes back, its answer last.

        `again`: in a new session, after the server knew the one before no more. Raises `Refused`,
        `Expired` unless it is `again`, and `Aborted` where `abort` was called.
        """
        self._again = again
        try:
            self._post()
            if self._misses_headers():
                self._learn_headers()
                self._post()
            self._read_answer()
        except TooLarge as error:
            raise Refused(self._desk.words.too_large(self._desk.limit)) from error
        except Unreadable as error:
            raise Refused(self._desk.words.unreadable(str(error))) from error
        except LinkFailed as failure:
            raise self._told(failure) from failure
        finally:
            self._note_written()

    def tell(self, seconds: float, *, again: bool = False) -> None:
        """Post what has no answer; raises as `run` does, also where it takes too long."""
        self._again = again
        try:
            self._post(seconds)
            if not 200 <= self._exchange.status < 300:
                raise self._refusal()
        except Unreadable as error:
            raise Refused(self._desk.words.unreadable(str(error))) from error
        except LinkFailed as failure:
            raise self._told(failure) from failure
        finally:
            self._note_written()

    def abort(self) -> None:
        """End it."""
        self._ended.set()
        self._exchange.abort()
        if self._lister is not None:
            self._lister.abort()

    def close(self) -> None:
        """Let go of the connection, after everything else."""
        self._exchange.finish()

    # asking

    def _post(self, seconds: float | None = None) -> None:
        for _ in range(REDIRECTS + 1):
            self._renew()
            headers_now = self._desk.headers(self.message)
            self._session = headers_now.get(headers.SESSION, "")
            self._send(headers_now)
            self._note_written()
            self._exchange.receive(seconds)
            if self._exchange.status not in _REDIRECT:
                break
            there = self._desk.link.endpoint.redirected(self._exchange.header("location"))
            if there is None:
                break
            self._desk.link.endpoint = there
        self._read_error()

    def _send(self, own: Mapping[str, str]) -> None:
        try:
            self._exchange.send("POST", own, self.message.line, seconds=CONNECT_SECONDS)
        except LinkFailed as failure:
            self.sent = self.sent or failure.sent
            raise
        self.sent = True

    def _renew(self) -> None:
        """Begin a new exchange, on the connection of the last one where it can be used again."""
        self._exchange.finish()
        self._exchange = Exchange(self._desk.link)
        if self._ended.is_set():
            self._exchange.abort()

    def _note_written(self) -> None:
        if self._written is not None:
            self._written()
            self._written = None

    def _misses_headers(self) -> bool:
        """Tell whether the server wants arguments in headers that are not known to be marked."""
        code = self._error[0] if self._error is not None else 0
        called = self.message.method == "tools/call" and bool(self.message.version)
        return called and code == headers.HEADER_MISMATCH

    def _learn_headers(self) -> None:
        """List the server's tools for their marks, as the specification advises."""
        meta = self.message.params["_meta"]
        asked: dict[str, Any] = {"_meta": {k: v for k, v in meta.items() if k != "progressToken"}}
        desk = self._desk
        for page in range(_PAGES):
            request = {"jsonrpc": "2.0", "id": page, "method": "tools/list", "params": asked}
            lines: list[bytes] = []
            private = Desk(
                *(desk.link, desk.own, desk.words, desk.session, desk.marks, desk.limit),
                lines.append,
            )
            message = read_outgoing(msgspec.json.encode(request))
            self._lister = Errand(private, message, lambda: None)
            self._lister.run()
            self._lister.close()
            cursor = next_cursor_in(lines[-1])
            if not cursor:
                return
            asked["cursor"] = cursor

    # reading

    def _read_answer(self) -> None:
        exchange = self._exchange
        if exchange.status != 200:
            self._hand_error_on()
        elif exchange.content_type == EVENTS:
            self._follow()
        elif exchange.content_type == JSON:
            body = as_line(self._body())
            self._exchange.finish()  # before the client has it: the next request may use it
            self._hand_over(body)
            if not answers(body, self.message.id):
                raise Refused(self._desk.words.unanswered())
        else:
            raise self._refusal()

    def _body(self) -> bytes:
        body = self._exchange.read(self._desk.limit)
        if len(body) > self._desk.limit:
            raise TooLarge
        return body

    def _follow(self) -> None:
        """Read the stream up to the answer; go on with it where it breaks off and can be resumed.

        The stateless era has no such thing: there a stream that ends is lost.
        """
        place, pace = Place(), Pace()
        failures = 0
        while True:
            before = place.last_id
            try:
                if self._exchange.content_type == EVENTS and self._read_stream(place, pace):
                    return
                failures = 0
            except Aborted:
                raise
            except LinkFailed:
                failures = 1 if place.last_id != before else failures + 1
                if not self._resumable(place) or failures > _ATTEMPTS:
                    raise
            if not self._resumable(place):
                raise Refused(self._desk.words.broken_off())
            self._resume(place, pace)

    def _read_stream(self, place: Place, pace: Pace) -> bool:
        """Deliver the messages of the stream; tell whether the answer was among them."""
        for line in messages(self._exchange, self._desk.limit, place):
            pace.succeeded()
            self._hand_over(line)
            if answers(line, self.message.id):
                return True
        return False

    def _resumable(self, place: Place) -> bool:
        return bool(place.last_id) and not self.message.version

    def _resume(self, place: Place, pace: Pace) -> None:
        """Wait, then ask for what follows the last event that came."""
        if self._ended.wait(pace.next_wait(place.retry_ms)):
            raise Aborted("ended", sent=True)
        self._renew()
        desk = self._desk
        asked = {headers.LAST_EVENT: place.last_id, "Accept": EVENTS}
        own = {**desk.own, **desk.session.headers(), **asked}
        self._exchange.send("GET", own, None, seconds=CONNECT_SECONDS)
        self._exchange.receive(None)
        if self._exchange.status == 404 and self._session:
            raise Expired(self._session, accepted=True)
        if self._exchange.status != 200 or self._exchange.content_type != EVENTS:
            raise self._refusal()

    def _hand_over(self, line: bytes) -> None:
        message = self.message
        if message.method == "initialize" and not message.version and answers(line, message.id):
            version = version_in(line)
            if version:
                self._desk.session.open(self._exchange.header(headers.SESSION), version)
        elif message.method == "tools/list" and b"x-mcp-header" in line:
            self._desk.marks.learn(line)
        if not self.silent:
            self._desk.deliver(line)

    # refusals

    def _read_error(self) -> None:
        """Keep the JSON-RPC error that came instead of an answer, if one did."""
        self._error = None
        self._reason = b""
        if self._exchange.status < 400:
            return
        asked = self.message.kind == "request"
        if asked and self._exchange.content_type == JSON:
            body = self._body()
            self._error = error_in(body)
            self._reason = body[:_REASON_BYTES]
        elif self._exchange.status == 400:
            self._reason = self._exchange.read(_REASON_BYTES)

    def _hand_error_on(self) -> None:
        """Deliver that error as the answer to this request; raises where there is none."""
        if self._error is None or self._exchange.status in _CREDENTIALS or self._expired:
            raise self._refusal()
        raw = b'{"jsonrpc":"2.0","id":' + self.message.id_text + b',"error":' + self._error[1]
        self._hand_over(raw + b"}")

    @property
    def _expired(self) -> bool:
        return not self._again and self._speaks_of_session

    @property
    def _speaks_of_session(self) -> bool:
        """Tell whether the server refused the message because it knows no such session.

        The specification wants 404; some servers say 400, with "session" in their words.
        """
        status = self._exchange.status
        unknown = status == 404 or (status == 400 and b"session" in self._reason.lower())
        return bool(self._session) and unknown

    def _refusal(self) -> Refused | Expired:
        """Return what an answer that holds no message means."""
        exchange, words = self._exchange, self._desk.words
        if self._expired:
            return Expired(self._session, accepted=False)
        if self._speaks_of_session:
            return Refused(words.forgetful())
        location = exchange.header("location")
        there = self._desk.link.endpoint.resolved(location)
        return Refused(words.refused(exchange.status, exchange.content_type, location, there))

    def _told(self, failure: LinkFailed) -> Exception:
        if isinstance(failure, Aborted):
            return failure
        return Refused(self._desk.words.failed(failure, self._desk.link.endpoint))
