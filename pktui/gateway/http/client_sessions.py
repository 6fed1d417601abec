"""Sessions of the handshake protocols: whose they are, and when they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pktui.gateway.http.errors import Refusal
from pktui.gateway.protocol.headers import SESSION

if TYPE_CHECKING:
    from pktui.gateway.http.channels import Channel
    from pktui.gateway.http.context import SharedContext
    from pktui.gateway.http.streams import Stream
    from pktui.ledger.records import Caller, Grant

_RETRY: Final = {"Retry-After": "60"}
# Streams of a session that a client may come back to.
_STREAMS: Final = 32


class Session:
    """One client's connection to one server; `channel` leads to what was started for it."""

    def __init__(
        self, session_id: str, grant: Grant, shared: SharedContext, caller: Caller, channel: Channel
    ) -> None:
        self.id = session_id
        self.header = b"%b: %b\r\n" % (SESSION.lower().encode(), session_id.encode())
        self.grant = grant
        self.shared = shared
        self.caller = caller
        self.channel = channel
        self.streams: dict[str, Stream] = {}
        self.open = 0
        self.used = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by."""
        return self.shared.entry.name, self.id

    def keep(self, stream: Stream) -> None:
        """Keep a stream for a client that comes back, and forget the oldest that is done."""
        self.streams[stream.name] = stream
        done = [name for name, one in self.streams.items() if one.finished]
        for name in done[: max(0, len(self.streams) - _STREAMS)]:
            del self.streams[name]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it from being idle while a request is served."""
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


class Sessions:
    """The open sessions; `clock` is monotonic, in seconds. For one thread."""

    def __init__(self, capacity: int, idle_seconds: float, clock: Callable[[], float]) -> None:
        self._capacity = capacity
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._open: dict[tuple[str, str], Session] = {}
        self._ended: list[Session] = []

    def __len__(self) -> int:
        return len(self._open)

    def check_room(self) -> None:
        """Raise `Refusal` (503) where no further session may begin."""
        if len(self._open) >= self._capacity:
            why = "too many sessions are open; see http.max_sessions"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, why, _RETRY)

    def add(self, session: Session) -> None:
        """Keep a new session."""
        session.used = self._clock()
        self._open[session.key] = session

    def find(self, server: str, session_id: str, grant: Grant) -> Session:
        """Return the session; raises `Refusal` (404) where the grant has none of that id there."""
        session = self._open.get((server, session_id))
        if session is None or grant.key != session.grant.key:  # one of the same name is another
            raise Refusal(HTTPStatus.NOT_FOUND, "there is no such session; initialize a new one")
        session.used = self._clock()
        return session

    def __contains__(self, session: Session) -> bool:
        return self._open.get(session.key) is session

    def forget(self, session: Session) -> None:
        """End a session: its id means nothing from now on."""
        if self._open.get(session.key) is session:
            del self._open[session.key]
            self._ended.append(session)

    def ended(self) -> list[Session]:
        """Return the sessions that have ended since this was asked last."""
        ended, self._ended = self._ended, []
        return ended

    def idle(self) -> list[Session]:
        """Return the sessions that nobody has used for too long."""
        before = self._clock() - self._idle_seconds
        return [one for one in self._open.values() if not one.open and one.used < before]

    def every(self) -> list[Session]:
        """Return all sessions."""
        return list(self._open.values())
