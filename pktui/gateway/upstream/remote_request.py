"""One message to a server behind a URL: its answer, or a reason why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.gateway.protocol import headers
from pktui.gateway.protocol.unpacking import Unreadable
from pktui.gateway.upstream.http_client import JSON, Aborted, Exchange, ExchangeFailed, TooLarge
from pktui.gateway.upstream.pace import Pace
from pktui.gateway.upstream.remote_outgoing import INITIALIZE, read_outgoing
from pktui.gateway.upstream.remote_replies import (
    EVENTS,
    Place,
    answers,
    as_line,
    error_in,
    messages,
    next_cursor_in,
    version_in,
)

if TYPE_CHECKING:
    from pktui.gateway.protocol.jsonrpc import Id
    from pktui.gateway.upstream.http_client import Pool
    from pktui.gateway.upstream.remote_errors import Words
    from pktui.gateway.upstream.remote_outgoing import Outgoing, Session, ToolMarks

ACCEPT: Final = f"{JSON}, {EVENTS}"
REDIRECTS: Final = 3
_REDIRECT: Final = (307, 308)
_CREDENTIALS: Final = (401, 403, 407)
_ATTEMPTS: Final = 3
_PAGES: Final = 100
_REASON_BYTES: Final = 4096  # of a refusal, to see whether it speaks of the session


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


def untraced(_request_id: Id) -> Mapping[str, str]:
    """Return the headers of a request that belongs to no trace."""
    return {}


class RemoteContext:
    """What all requests to one server share."""

    def __init__(
        self,
        pool: Pool,
        words: Words,
        session: Session,
        marks: ToolMarks,
        limit: int,
        deliver: Callable[[bytes], None],
        room: Callable[[], Awaitable[None]],
        trace: Callable[[Id], Mapping[str, str]] = untraced,
    ) -> None:
        """`limit` is bytes of one answer; `room` waits until more can be delivered.

        `trace` returns the headers that tell to which trace a request belongs.
        """
        self.pool = pool
        self.words = words
        self.session = session
        self.marks = marks
        self.limit = limit
        self.deliver = deliver
        self.room = room
        self._trace = trace

    def apart(self, session: Session, deliver: Callable[[bytes], None]) -> RemoteContext:
        """Return the same server for requests that no client made, or of another session."""
        shared = (self.pool, self.words, session, self.marks, self.limit)
        return RemoteContext(*shared, deliver, self.room)

    def headers(self, message: Outgoing) -> dict[str, str]:
        """Return the headers of a message that is posted."""
        if message.version:
            era = headers.routing_headers(message.method, message.params, message.version)
            era |= self.marks.headers(message)
        elif message.method == INITIALIZE:
            era = {}
        else:
            era = self.session.headers
        asked = message.id if message.kind == "request" else None
        trace = self._trace(asked) if asked is not None else {}
        return {"Accept": ACCEPT, "Content-Type": JSON, **era, **trace}


class RemoteRequest:
    """A message that is posted; for the event loop's thread."""

    def __init__(
        self, remote: RemoteContext, message: Outgoing, written: Callable[[], None] = lambda: None
    ) -> None:
        """`written` is called once: when the message is on its way, or never will be."""
        self.message = message
        self.silent = False  # nobody waits for the answer any more
        self.sent = False  # the server may have seen the message
        self._remote = remote
        self._written: Callable[[], None] | None = written
        self._exchange: Exchange | None = None
        self._lister: RemoteRequest | None = None
        self._aborted = False
        self._session = ""
        self._error: tuple[int, bytes] | None = None
        self._reason = b""
        self._again = False

    def begin(self, answered: Callable[[Exchange], None]) -> None:
        """Post it, and have its answer, or the head of one, told."""
        self._prepared(answered).start()

    def _prepared(self, answered: Callable[[Exchange], None] = lambda _exchange: None) -> Exchange:
        own = self._remote.headers(self.message)
        self._session = own.get(headers.SESSION, "")
        self._exchange = Exchange(
            *(self._remote.pool, "POST", own, self.message.line),
            limit=self._remote.limit,
            done=answered,
            written=self._note_written,
        )
        return self._exchange

    def took(self, body: bytes) -> bool:
        """Deliver what came at once and whole; tell whether it is the answer."""
        line = as_line(body)
        self._hand_over(line)
        return answers(line, self.message.id)

    async def run(self, exchange: Exchange | None = None, *, again: bool = False) -> None:
        """Deliver everything that comes back, the answer last; post it where there is none yet.

        `again`: in a new session, after the server knew the one before no more. Raises `Refused`,
        `Expired` unless it is `again`, and `Aborted` where `abort` was called.
        """
        self._again = again
        try:
            exchange = await self._redirected(exchange or await self._post())
            if self._misses_headers():
                await self._learn_headers()
                exchange = await self._redirected(await self._post())
            await self._read_answer(exchange)
        except TooLarge as error:
            raise Refused(self._remote.words.too_large(self._remote.limit)) from error
        except Unreadable as error:
            raise Refused(self._remote.words.unreadable(str(error))) from error
        except ExchangeFailed as failure:
            raise self._told(failure) from failure
        finally:
            self.close()

    async def tell(self, seconds: float, *, again: bool = False) -> None:
        """Post what has no answer; raises as `run` does, also where it takes too long."""
        self._again = again
        try:
            async with asyncio.timeout(seconds):
                exchange = await self._redirected(await self._post())
            if not 200 <= exchange.status < 300:
                raise self._refusal(exchange)
        except TimeoutError as error:
            failure = ExchangeFailed("it took too long", sent=self.sent)
            raise self._told(failure) from error
        except Unreadable as error:
            raise Refused(self._remote.words.unreadable(str(error))) from error
        except ExchangeFailed as failure:
            raise self._told(failure) from failure
        finally:
            self.close()

    def abort(self) -> None:
        """End it."""
        self._aborted = True
        if self._exchange is not None:
            self._exchange.abort()
        if self._lister is not None:
            self._lister.abort()

    def close(self) -> None:
        """Let go of the connection, after everything else."""
        self._note_written()
        if self._exchange is not None:
            self._exchange.release()

    # asking

    async def _post(self) -> Exchange:
        if self._aborted:
            raise Aborted("ended", sent=False)
        exchange = self._prepared()
        await exchange.ask()
        return exchange

    async def _redirected(self, exchange: Exchange) -> Exchange:
        """Return the answer, which may be found elsewhere on the same server."""
        for _ in range(REDIRECTS + 1):
            self.sent = self.sent or exchange.sent
            if exchange.failure is not None:
                raise exchange.failure
            if exchange.status not in _REDIRECT:
                break
            there = self._remote.pool.endpoint.redirected(exchange.header("location"))
            if there is None or _ == REDIRECTS:
                break
            self._remote.pool.redirect(there)
            exchange.release()
            exchange = await self._post()
        await self._read_error(exchange)
        return exchange

    def _note_written(self) -> None:
        if self._written is not None:
            written, self._written = self._written, None
            written()

    def _misses_headers(self) -> bool:
        """Tell whether the server wants arguments in headers that are not known to be marked."""
        code = self._error[0] if self._error is not None else 0
        called = self.message.method == "tools/call" and bool(self.message.version)
        return called and code == headers.HEADER_MISMATCH

    async def _learn_headers(self) -> None:
        """List the server's tools for their marks, as the specification advises."""
        meta = self.message.params["_meta"]
        asked: dict[str, Any] = {"_meta": {k: v for k, v in meta.items() if k != "progressToken"}}
        for page in range(_PAGES):
            request = {"jsonrpc": "2.0", "id": page, "method": "tools/list", "params": asked}
            lines: list[bytes] = []
            private = self._remote.apart(self._remote.session, lines.append)
            self._lister = RemoteRequest(private, read_outgoing(msgspec.json.encode(request)))
            await self._lister.run()
            cursor = next_cursor_in(lines[-1])
            if not cursor:
                return
            asked["cursor"] = cursor

    # reading

    async def _read_answer(self, exchange: Exchange) -> None:
        if exchange.status != 200:
            self._hand_error_on(exchange)
        elif exchange.content_type == EVENTS:
            await self._follow(exchange)
        elif exchange.content_type == JSON:
            body = await exchange.read(self._remote.limit)
            if len(body) > self._remote.limit:
                raise TooLarge("the answer is too large")
            if not self.took(body):
                raise Refused(self._remote.words.unanswered())
        else:
            raise self._refusal(exchange)

    async def _follow(self, exchange: Exchange) -> None:
        """Read the stream up to the answer; go on with it where it breaks off and can be resumed.

        The stateless era has no such thing: there a stream that ends is lost.
        """
        place, pace = Place(), Pace()
        failures = 0
        while True:
            before = place.last_id
            try:
                if exchange.failure is not None:
                    raise exchange.failure
                if exchange.content_type == EVENTS and await self._read_stream(
                    exchange, place, pace
                ):
                    return
                failures = 0
            except (Aborted, TooLarge):
                raise
            except ExchangeFailed:
                failures = 1 if place.last_id != before else failures + 1
                if not self._resumable(place) or failures > _ATTEMPTS:
                    raise
            if not self._resumable(place):
                raise Refused(self._remote.words.broken_off())
            exchange = await self._resume(exchange, place, pace)

    async def _read_stream(self, exchange: Exchange, place: Place, pace: Pace) -> bool:
        """Deliver the messages of the stream; tell whether the answer was among them."""
        async for line in messages(exchange, self._remote.limit, place):
            pace.succeeded()
            self._hand_over(line)
            if answers(line, self.message.id):
                return True
            await self._remote.room()
        return False

    def _resumable(self, place: Place) -> bool:
        return bool(place.last_id) and not self.message.version

    async def _resume(self, before: Exchange, place: Place, pace: Pace) -> Exchange:
        """Wait, then ask for what follows the last event that came."""
        before.release()
        await asyncio.sleep(pace.next_wait(place.retry_ms))
        if self._aborted:
            raise Aborted("ended", sent=True)
        remote = self._remote
        asked = {"Accept": EVENTS, **remote.session.headers, headers.LAST_EVENT: place.last_id}
        exchange = self._exchange = Exchange(remote.pool, "GET", asked, None, limit=remote.limit)
        await exchange.ask()
        if exchange.failure is not None:
            return exchange
        if exchange.status == 404 and self._session:
            raise Expired(self._session, accepted=True)
        if exchange.status != 200 or exchange.content_type != EVENTS:
            raise self._refusal(exchange)
        return exchange

    def _hand_over(self, line: bytes) -> None:
        message, remote = self.message, self._remote
        if message.method == INITIALIZE and not message.version and answers(line, message.id):
            given = self._exchange.header(headers.SESSION.lower()) if self._exchange else ""
            if b'"result"' in line:
                remote.session.open(given, version_in(line))
        elif message.method == "tools/list" and b"x-mcp-header" in line:
            remote.marks.learn(line)
        if not self.silent:
            remote.deliver(line)

    # refusals

    async def _read_error(self, exchange: Exchange) -> None:
        """Keep the JSON-RPC error that came instead of an answer, if one did."""
        self._error, self._reason = None, b""
        if exchange.status < 400:
            return
        if self.message.kind == "request" and exchange.content_type == JSON:
            body = await exchange.read(self._remote.limit)
            self._error = error_in(body)
            self._reason = body[:_REASON_BYTES]
        elif exchange.status == 400:
            self._reason = await exchange.read(_REASON_BYTES)

    def _hand_error_on(self, exchange: Exchange) -> None:
        """Deliver that error as the answer to this request; raises where there is none."""
        if self._error is None or exchange.status in _CREDENTIALS or self._expired(exchange):
            raise self._refusal(exchange)
        raw = b'{"jsonrpc":"2.0","id":' + self.message.id_text + b',"error":' + self._error[1]
        self._hand_over(raw + b"}")

    def _expired(self, exchange: Exchange) -> bool:
        return not self._again and self._speaks_of_session(exchange)

    def _speaks_of_session(self, exchange: Exchange) -> bool:
        """Tell whether the server refused the message because it knows no such session.

        The specification wants 404; some servers say 400, with "session" in their words.
        """
        unknown = exchange.status == 404 or (
            exchange.status == 400 and b"session" in self._reason.lower()
        )
        return bool(self._session) and unknown

    def _refusal(self, exchange: Exchange) -> Refused | Expired:
        """Return what an answer that holds no message means."""
        words = self._remote.words
        if self._expired(exchange):
            return Expired(self._session, accepted=False)
        if self._speaks_of_session(exchange):
            return Refused(words.forgetful())
        location = exchange.header("location")
        there = self._remote.pool.endpoint.resolved(location)
        return Refused(words.refused(exchange.status, exchange.content_type, location, there))

    def _told(self, failure: ExchangeFailed) -> Exception:
        self.sent = self.sent or failure.sent
        if isinstance(failure, Aborted):
            return failure
        return Refused(self._remote.words.failed(failure, self._remote.pool.endpoint))
