"""One started server, and whom each thing it says is for.

On stdio everything a server says comes on one channel; over HTTP it goes out on the stream of the
request it belongs to, or on the one for what belongs to none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from pktui import lasting
from pktui.gateway.lineio.lines import TooLong
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.ids import Ids, ids_in
from pktui.gateway.protocol.jsonrpc import is_id, same_id
from pktui.gateway.protocol.server_messages import (
    NOT_JSON,
    SEVERAL_IDS,
    TOO_MUCH,
    Unanswered,
    ids_doubted,
    ids_waited_for,
    mended,
    names_several,
    not_passed_on,
)
from pktui.gateway.upstream.last_words import quoted
from pktui.gateway.upstream.process import Upstream
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.gateway.http.streams import Stream
    from pktui.gateway.protocol.jsonrpc import Id, Message
    from pktui.gateway.relay.relay_session import RelaySession

_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"
_STATE: Final = b'"requestState"'
_LATE_SECONDS: Final = 600
"""How long the answer to a request that was given up is reckoned with."""
_SHOWN: Final = 500
_UNASKED: Final = ("list_changed", "resources/updated")
"""How the methods end that belong to no request."""


class _Params(msgspec.Struct, rename="camel"):
    progress_token: Any = None
    request_id: Any = None
    meta: dict[str, Any] = msgspec.field(name="_meta", default_factory=dict)


class _Result(msgspec.Struct, rename="camel"):
    request_state: str = ""


class _Said(msgspec.Struct):
    id: Any = None
    method: Any = None
    params: msgspec.Raw = msgspec.Raw(b"{}")
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()

    @property
    def carried(self) -> bytes:
        """Return what a response carries, empty for what is none."""
        return bytes(self.result) or bytes(self.error)

    @property
    def asks(self) -> str:
        """Return the method of a request or notification, empty for what may be a response."""
        if not isinstance(self.method, str):
            return ""
        return self.method if self.carried in (b"", b"null") else ""


_SAID: Final = msgspec.json.Decoder(_Said)
_PARAMS: Final = msgspec.json.Decoder(_Params)
_RESULT: Final = msgspec.json.Decoder(_Result)
_BATCH: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Started(Upstream, Protocol):
    """A server that has clients beside this one's thread: it is asked before it is sent more."""

    @property
    def full(self) -> bool:
        """Tell whether so much waits for it already that it should not be sent more."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Where messages go out, and the relay that looks at them before."""

    stream: Stream
    relay: RelaySession
    token: str | int | None = None
    """The request's progress token."""
    id_text: bytes = jsonrpc.NULL
    """The request's id as it was written; empty: it is one of the gateway's own."""


class Link:
    """A server that was started for one client. Safe from several threads.

    `unasked` takes what belongs to no request; None where nobody listens for it.
    """

    def __init__(
        self,
        upstream: Started,
        name: str,
        log: Callable[[str], None],
        state_given: Callable[[str, Link], None],
        clock: Callable[[], float],
    ) -> None:
        """`state_given` is told each `requestState` that the server gives."""
        self._upstream = upstream
        self._name = name
        self._log = log
        self._state_given = state_given
        self._clock = clock
        self._lock = threading.Lock()
        self._channels: dict[Id, Channel] = {}
        self._tokens: dict[object, Channel] = {}
        self._reserved: set[tuple[str, object]] = set()
        self._late: dict[tuple[str, object], float] = {}
        """Requests that were given up and may be answered yet."""
        self.unasked: Channel | None = None
        self.used = clock()
        self.gone = False

    def start(self) -> None:
        """Begin to listen to the server."""
        self._upstream.start(self._take, self._ended)

    @property
    def busy(self) -> bool:
        """Tell whether requests are under way."""
        return bool(self._reserved or self._channels)

    @property
    def full(self) -> bool:
        """Tell whether the server is too far behind to be sent more."""
        return self._upstream.full and not self.gone

    def reserve(self, message: Message) -> bool:
        """Keep a request's id and token for it; False where another request has them.

        The late answer to another request must not be taken for this one's.
        """
        wanted = _names(message)
        with self._lock:
            self._forget_late()
            if self.gone or wanted & self._reserved or wanted & self._late.keys():
                return False
            self._reserved |= wanted
            return True

    def release(self, message: Message) -> None:
        """Let others have a request's id and token."""
        with self._lock:
            self._reserved -= _names(message)
        self.forget(message)

    def forward(self, message: Message, channel: Channel) -> None:
        """Send a request; its answer, and what belongs to it, goes out on that channel."""
        assert message.id is not None
        with self._lock:
            self._channels[same_id(message.id)] = channel
            if channel.token is not None:
                self._tokens[channel.token] = channel
            gone = self.gone
        if gone:
            self._lose(message.id, channel, sent=False)
        else:
            self.send(message.raw)

    def ask(self, request_id: str, line: bytes, channel: Channel) -> None:
        """Send a request of the gateway's own; its answer goes to the channel's relay alone."""
        with self._lock:
            self._channels[request_id] = channel
            gone = self.gone
        if gone:
            self._lose(request_id, channel)
        else:
            self.send(line)

    def unask(self, request_id: str) -> None:
        """Wait no longer for the answer to a request of the gateway's own."""
        with self._lock:
            self._channels.pop(request_id, None)

    def send(self, *lines: bytes) -> None:
        """Send messages, one a line; text in JSON holds no line ends, so only spaces change."""
        self.used = self._clock()
        self._upstream.send(*(line.replace(b"\n", b" ") for line in lines))

    def forget(self, message: Message) -> None:
        """Send nothing more on the channel of a request."""
        with self._lock:
            self._forget_late()
            if message.id is not None and self._drop(message.id) is not None:
                self._late[_name(message.id)] = self._clock()

    def end(self, patience: float) -> None:
        """End the server, and everything that waits for it."""
        self._upstream.end(patience)
        self._ended()

    def _ended(self) -> None:
        with self._lock:
            first, self.gone = not self.gone, True
            waiting = tuple(self._channels.items())
            self._channels.clear()
            self._tokens.clear()
        for request_id, channel in waiting:
            self._lose(request_id, channel)
        if self.unasked is not None:
            self.unasked.stream.finish()
        if first:
            self._upstream.end(0)

    def _lose(self, request_id: Id, channel: Channel, *, sent: bool = True) -> None:
        channel.relay.close(request_id, "lost", sent=sent)
        if not channel.id_text:
            return
        why = f"server {self._name} ended and can't answer{quoted(self._upstream.said)}"
        channel.stream.put(jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, channel.id_text))
        channel.stream.finish()

    def _take(self, *lines: bytes | TooLong | Unanswered) -> None:
        """Take lines of the server, those of a batch one by one."""
        self.used = self._clock()
        for line in lines:
            with lasting.Survived(f"a message of server {self._name}", self._log):
                self._take_any(line)

    def _take_any(self, line: bytes | TooLong | Unanswered) -> None:
        if isinstance(line, TooLong):
            self._fail(line.ids, TOO_MUCH, line.head)
        elif isinstance(line, Unanswered):
            self._pass_on(line)
        elif line.lstrip().startswith(b"["):
            self._take_batch(line)
        else:
            self._take_one(line)

    def _take_batch(self, line: bytes) -> None:
        batch = _batch(line)
        if batch is None:
            self._fail(ids_in(line), NOT_JSON, line)
        for one in batch or ():
            self._take_one(one)

    def _take_one(self, line: bytes) -> None:
        said = _read(line)
        if said is None:
            whole = mended(line)
            if whole is not None:
                self._take_one(whole)
            elif line.strip():
                self._fail(ids_in(line), NOT_JSON, line)
            return
        if names_several(line) and (several := ids_doubted(line, said.carried)) is not None:
            self._fail(several, SEVERAL_IDS, line)
            return
        channel = self._channel(said)
        if channel is None:
            if said.method or said.id is not None:
                self._log(f"server {self._name} said what nobody waits for: {said.asks}")
            return
        if said.asks == "notifications/cancelled" and self._ends(said, channel):
            return
        if not said.asks and _STATE in line:
            self._note_state(said)
        channel.relay.from_server(line)

    def _pass_on(self, line: Unanswered) -> None:
        with self._lock:
            channel = self._answered(line.request_id)
        if channel is not None:
            channel.relay.from_server(line)

    def _fail(self, ids: Ids, why: str, line: bytes) -> None:
        """Tell whoever waits for a message that is not passed on; without an answer they hang."""
        shown = one_line(line.decode(errors="replace"), _SHOWN)
        self._log(f"server {self._name} said what is {why}: {shown}")
        for request_id in ids_waited_for(ids):
            self._pass_on(Unanswered(request_id, not_passed_on(why), sent=True))

    def _channel(self, said: _Said) -> Channel | None:
        method = said.asks
        with self._lock:
            if not method:
                return self._answered(said.id) if is_id(said.id) else None
            params = _params(said)
            for named in (params.meta.get(_SUBSCRIPTION), params.request_id):
                key = same_id(named) if is_id(named) else None
                if key is not None and key in self._channels:
                    return self._channels[key]
            if method == "notifications/progress":
                token = params.progress_token
                return self._tokens.get(token) if is_id(token) else None
            if method.endswith(_UNASKED) or not self._channels:
                return self.unasked
            return next(reversed(self._channels.values()))

    def _answered(self, request_id: Id) -> Channel | None:
        channel = self._drop(request_id)
        if channel is None:
            self._late.pop(_name(request_id), None)
        return channel

    def _drop(self, request_id: Id) -> Channel | None:
        channel = self._channels.pop(same_id(request_id), None)
        if channel is not None and channel.token is not None:
            self._tokens.pop(channel.token, None)
        return channel

    def _forget_late(self) -> None:
        before = self._clock() - _LATE_SECONDS
        while self._late and next(iter(self._late.values())) < before:
            del self._late[next(iter(self._late))]

    def _ends(self, said: _Said, channel: Channel) -> bool:
        """End the stream of a request that the server has given up; over HTTP, that says it."""
        request_id = _params(said).request_id
        with self._lock:
            known = is_id(request_id) and self._drop(request_id) is channel
        if known:
            channel.relay.close(request_id, "cancelled")
            channel.stream.finish()
        return known

    def _note_state(self, said: _Said) -> None:
        try:
            state = _RESULT.decode(said.result or b"{}").request_state
        except msgspec.MsgspecError:
            return
        if state:
            self._state_given(state, self)


def _read(line: bytes) -> _Said | None:
    try:
        line.decode()
        return _SAID.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _batch(line: bytes) -> list[bytes] | None:
    try:
        return [bytes(one) for one in _BATCH.decode(line)]
    except (msgspec.MsgspecError, RecursionError):
        return None


def _params(said: _Said) -> _Params:
    try:
        return _PARAMS.decode(said.params)
    except (msgspec.MsgspecError, RecursionError):
        return _Params()


def _names(message: Message) -> set[tuple[str, object]]:
    names = set() if message.id is None else {_name(message.id)}
    token = jsonrpc.progress_token(message)
    return names if token is None else names | {("token", token)}


def _name(request_id: Id) -> tuple[str, object]:
    return "id", same_id(request_id)
