"""One server of one client: its relay, and the stream that each message of the relay goes out on.

On stdio everything that a client is told comes on one channel; over HTTP it goes out on the stream
of the request it belongs to, or on the one for what belongs to none.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from pktui import lasting
from pktui.gateway.http.threads import LARGE
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.jsonrpc import Refused, is_id, same_id
from pktui.gateway.upstream.last_words import quoted
from pktui.gateway.upstream.process import Upstream

if TYPE_CHECKING:
    from pktui.gateway.http.streams import Stream
    from pktui.gateway.http.threads import WorkerThreads
    from pktui.gateway.lineio.lines import TooLong
    from pktui.gateway.protocol.jsonrpc import Id, Message
    from pktui.gateway.protocol.server_messages import Unanswered
    from pktui.gateway.relay.in_flight import Pending
    from pktui.gateway.relay.relay_session import RelaySession
    from pktui.gateway.relay.server_context import ServerContext

_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"
_STATE: Final = b'"requestState"'
_CANCELLED: Final = "notifications/cancelled"
# How long the progress of a request that was given up is reckoned with.
_LATE_SECONDS: Final = 600
_MOST_BACKLOG: Final = 32
_LOOK_SECONDS: Final = 0.02
# How the methods end that belong to no request.
_UNSOLICITED: Final = ("list_changed", "resources/updated")


class _Params(msgspec.Struct, rename="camel"):
    progress_token: Any = None
    request_id: Any = None
    meta: dict[str, Any] = msgspec.field(name="_meta", default_factory=dict)


class _Result(msgspec.Struct, rename="camel"):
    request_state: str = ""


class _Line(msgspec.Struct):
    id: Any = None
    method: Any = None
    params: msgspec.Raw = msgspec.Raw(b"{}")
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()

    @property
    def asks(self) -> str:
        """The method of a request or notification, empty for a response."""
        if not isinstance(self.method, str):
            return ""
        carried = bytes(self.result) or bytes(self.error)
        return self.method if carried in (b"", b"null") else ""


_LINE: Final = msgspec.json.Decoder(_Line)
_PARAMS: Final = msgspec.json.Decoder(_Params)
_RESULT: Final = msgspec.json.Decoder(_Result)


class Started(Upstream, Protocol):
    """A server that has clients beside this one's thread: it is asked before it is sent more."""

    @property
    def full(self) -> bool:
        """Whether so much waits for it already that it should not be sent more."""


class Sink(Protocol):
    """Takes the messages for one HTTP request, in any thread."""

    def put(self, line: bytes, *, last: bool, wait: bool) -> None:
        """Take a message; the `last` one is the answer. It may `wait` for a slow client."""

    @property
    def behind(self) -> bool:
        """Whether the client has so much to take that it should not be sent more."""

    @property
    def trace(self) -> Mapping[str, str]:
        """The headers that tell to which trace the request belongs."""

    def finish(self) -> None:
        """Note that nothing more will come."""

    def cancelled(self) -> None:
        """Answer a request that its client has cancelled."""


class Channel:
    """A server that was started for one client. Safe from several threads.

    `relay` is set before it is started. `unsolicited` takes what belongs to no request; None where
    nobody listens for it.
    """

    relay: RelaySession

    def __init__(
        self,
        upstream: Started,
        name: str,
        pending: Pending,
        server: ServerContext,
        threads: WorkerThreads,
        *,
        log: Callable[[str], None],
        state_given: Callable[[str, Channel], None],
        clock: Callable[[], float],
    ) -> None:
        """`state_given` is told each `requestState` that the server gives."""
        self._upstream = upstream
        self._name = name
        self._in_flight = pending.in_flight
        self._server = server
        self._threads = threads
        self._backlog: deque[tuple[bytes | TooLong | Unanswered, ...]] = deque()
        self._own_thread = True  # the server has one, which may wait for a client
        self._log = log
        self._surviving = lasting.Survived(f"a message for a client of {name}", log)
        self._state_given = state_given
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[Id, Sink] = {}
        self._tokens: dict[str | int, Sink] = {}
        self._late: dict[str | int, float] = {}  # tokens of requests that were given up
        self.unsolicited: Stream | None = None
        self.used = clock()
        self.gone = False

    def start(self) -> None:
        """Begin to listen to the server."""
        self._upstream.start(self._from_server, self._ended)

    @property
    def busy(self) -> bool:
        """Whether requests are under way."""
        return bool(self._open)

    @property
    def full(self) -> bool:
        """Whether the server is too far behind to be sent more."""
        return self._upstream.full and not self.gone

    def is_free(self, message: Message) -> bool:
        """Tell whether a request's id and token are its own.

        The late answer to another request must not be taken for this one's.
        """
        assert message.id is not None
        token = jsonrpc.progress_token(message)
        with self._lock:
            self._forget_late()
            taken = same_id(message.id) in self._open or message.id in self._in_flight
            return not (
                self.gone
                or taken
                or (token is not None and (token in self._tokens or token in self._late))
            )

    def open(self, message: Message, sink: Sink) -> None:
        """Have what belongs to a request go there; raises `Refused` where its id is under way."""
        assert message.id is not None
        token = jsonrpc.progress_token(message) if message.meta else None
        with self._lock:
            if self._open.setdefault(same_id(message.id), sink) is not sink:
                why = "a request with this id still waits"
                raise Refused(jsonrpc.INVALID_REQUEST, why, message.id_text)
            if token is not None:
                self._tokens[token] = sink

    def waits_for(self, request_id: Id) -> bool:
        """Tell whether the server owes the answer to a request."""
        return self._in_flight.waits_for(request_id)

    def trace(self, request_id: Id) -> Mapping[str, str]:
        """Return the headers that tell to which trace a request belongs."""
        with self._lock:
            sink = self._open.get(same_id(request_id))
        return sink.trace if sink is not None else {}

    def cancelled(self, request_id: object) -> None:
        """Answer a request that its client has cancelled: its server will not."""
        sink = self._answered(request_id)
        if sink is not None:
            sink.cancelled()

    def close(self, message: Message, sink: Sink) -> None:
        """Send nothing more on the stream of a request."""
        assert message.id is not None
        token = jsonrpc.progress_token(message) if message.meta else None
        with self._lock:
            if self._open.get(same_id(message.id)) is sink:
                del self._open[same_id(message.id)]
                if token is not None:
                    self._late[token] = self._clock()
            if token is not None and self._tokens.get(token) is sink:
                del self._tokens[token]

    def to_server(self, *lines: bytes) -> None:
        """Send messages."""
        self.used = self._clock()
        self._upstream.send(*lines)

    def to_client(self, *lines: bytes) -> None:
        """Send each message on the stream that it belongs to."""
        for line in lines:
            try:
                self._pass_on(line, _LINE.decode(line))
            except Exception as error:  # noqa: BLE001  it is said, and the next one goes on
                self._surviving.say(error)

    def end(self, patience: float) -> None:
        """End the server, and everything that waits for it."""
        self._upstream.end(patience)
        self._ended()

    def _from_server(self, *lines: bytes | TooLong | Unanswered) -> None:
        self.used = self._clock()
        if threading.get_ident() != self._threads.thread:
            self.relay.from_server(*lines)
            return
        self._own_thread = False
        size = 0
        for line in lines:
            if isinstance(line, bytes):
                size += len(line)
        if size <= LARGE and not self._backlog and self._server.claim():
            try:
                self.relay.from_server(*lines)
            finally:
                self._server.let_go()
            return
        self._backlog.append(lines)
        if len(self._backlog) == 1:
            self._draining = self._threads.loop.create_task(self._drain())

    async def _drain(self) -> None:
        """Have what may wait for the ledger, or takes long, done beside the event loop."""
        while self._backlog:
            with lasting.Survived(f"a message of server {self._name}", self._log):
                await self._threads.write(self.relay.from_server, *self._backlog[0])
            self._backlog.popleft()

    async def room(self) -> None:
        """Wait until the clients have taken so much that they can be sent more."""
        while self._crowded and not self.gone:  # noqa: ASYNC110  a thread takes it
            await asyncio.sleep(_LOOK_SECONDS)

    @property
    def _crowded(self) -> bool:
        sinks = (
            *self._open.values(),
            *((self.unsolicited,) if self.unsolicited is not None else ()),
        )
        return len(self._backlog) > _MOST_BACKLOG or any(sink.behind for sink in sinks)

    def _ended(self) -> None:
        with self._lock:
            first, self.gone = not self.gone, True
        if not first:
            return
        self.relay.server_lost(
            f"server {self._name} ended and can't answer{quoted(self._upstream.said)}"
        )
        with self._lock:
            left = tuple(self._open.values())
        for sink in left:
            sink.finish()
        if self.unsolicited is not None:
            self.unsolicited.finish()
        self._upstream.end(0)

    def _pass_on(self, line: bytes, said: _Line) -> None:
        asks = said.method is not None and said.asks
        # A slow client may be waited for; in the event loop, which serves it, never.
        patient = self._own_thread and threading.get_ident() != self._threads.thread
        if not asks:
            sink = self._answered(said.id)
            if sink is None:
                self._log(f"server {self._name} answered what nobody waits for")
                return
            if _STATE in line:
                self._note_state(said)
            sink.put(line, last=True, wait=patient)
            return
        params = _params(said)
        if asks == _CANCELLED and self._gives_up(params.request_id):
            return
        out = self._stream_of(asks, params)
        if out is not None:
            out.put(line, last=False, wait=patient)

    def _answered(self, request_id: Any) -> Sink | None:
        if type(request_id) is not int and not is_id(request_id):
            return None
        with self._lock:
            return self._open.pop(same_id(request_id), None)

    def _stream_of(self, method: str, params: _Params) -> Sink | Stream | None:
        with self._lock:
            for named in (params.meta.get(_SUBSCRIPTION), params.request_id):
                if is_id(named) and same_id(named) in self._open:
                    return self._open[same_id(named)]
            if method == "notifications/progress":
                token = params.progress_token
                return self._tokens.get(token) if is_id(token) else None  # type: ignore[arg-type]
            if method.endswith(_UNSOLICITED) or not self._open:
                return self.unsolicited
            return next(reversed(self._open.values()))

    def _gives_up(self, request_id: Any) -> bool:
        """End the stream of a request that the server has given up; over HTTP, that says it."""
        sink = self._answered(request_id)
        if sink is not None:
            self.relay.close(request_id, "cancelled")
            sink.finish()
        return sink is not None

    def _forget_late(self) -> None:
        before = self._clock() - _LATE_SECONDS
        while self._late and next(iter(self._late.values())) < before:
            del self._late[next(iter(self._late))]

    def _note_state(self, said: _Line) -> None:
        try:
            state = _RESULT.decode(said.result or b"{}").request_state
        except msgspec.MsgspecError:
            return
        if state:
            self._state_given(state, self)


def _params(said: _Line) -> _Params:
    try:
        return _PARAMS.decode(said.params)
    except (msgspec.MsgspecError, RecursionError):
        return _Params()
