"""Sessions of the handshake protocols: whose they are, and when they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from pktui.gateway.http.errors import Refusal
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.jsonrpc import Refused, same_id

if TYPE_CHECKING:
    from pktui.gateway.http.backend import Backend
    from pktui.gateway.http.floor import Floor
    from pktui.gateway.protocol.jsonrpc import Id, Message
    from pktui.gateway.relay.pending import Pending
    from pktui.ledger.records import Caller, Grant

_RETRY: Final = {"Retry-After": "60"}


class Cancellable(Protocol):
    """A request under way that a later one may cancel."""

    def cancelled(self) -> None:
        """Answer it, unless the server does."""


class Session:
    """One client's connection to one server. `backing` is what the server side keeps for it."""

    def __init__(
        self,
        session_id: str,
        grant: Grant,
        floor: Floor,
        caller: Caller,
        pending: Pending,
        server: Backend,
        backing: Any = None,
    ) -> None:
        """`server` is what it began with, whatever becomes of the server's entry."""
        self.id = session_id
        self.grant = grant
        self.floor = floor
        self.caller = caller
        self.pending = pending
        self.server = server
        self.backing = backing
        self.under_way: dict[Id, Cancellable] = {}
        self.open = 0
        self.used = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """Return what it is found by."""
        return self.floor.entry.name, self.id

    def enter(self, message: Message, request: Cancellable) -> None:
        """Note a request that begins; raises `Refused` where one of its id is under way.

        Requests come side by side, so that they cannot be told apart later.
        """
        assert message.id is not None
        if self.under_way.setdefault(same_id(message.id), request) is not request:
            why = "a request with this id still waits"
            raise Refused(jsonrpc.INVALID_REQUEST, why, message.id_text)

    def leave(self, request_id: Id, request: Cancellable) -> None:
        """Note that a request has ended."""
        if self.under_way.get(same_id(request_id)) is request:
            del self.under_way[same_id(request_id)]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it from being idle while a request is served."""
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    def belongs_to(self, grant: Grant) -> bool:
        """Tell whether the grant made it; a later grant of the same name did not."""
        return grant.key == self.grant.key


class Sessions:
    """The open sessions; `clock` is monotonic, in seconds. For one thread."""

    def __init__(self, capacity: int, idle_seconds: float, clock: Callable[[], float]) -> None:
        self._capacity = capacity
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._open: dict[tuple[str, str], Session] = {}
        self._renamed: dict[tuple[str, str], Session] = {}
        self._ended: list[Session] = []

    def __len__(self) -> int:
        return len(self._open)

    def check_room(self) -> None:
        """Raise `Refusal` (503) where no further session may begin."""
        if len(self._open) >= self._capacity:
            why = "too many sessions are open; see http.max_sessions"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, why, _RETRY)

    def add(self, session: Session) -> bool:
        """Keep a new session; False where another grant's has that id, or has it by now."""
        if self._renamed.get(session.key, session) is not session:
            return False
        other = self._open.get(session.key)
        if other is not None and not other.belongs_to(session.grant):
            return False
        if other is not None:
            self._ended.append(other)
        session.used = self._clock()
        self._open[session.key] = session
        return True

    def rename(self, session: Session, server_id: str) -> bool:
        """Note the id that its server has for a session now; False where another has that id."""
        key = session.key[0], server_id
        for known in (self._open, self._renamed):
            if known.get(key, session) is not session:
                return False
        self._forget_names(session)
        self._renamed[key] = session
        return True

    def _forget_names(self, session: Session) -> None:
        for key in [key for key, one in self._renamed.items() if one is session]:
            del self._renamed[key]

    def find(self, server: str, session_id: str, grant: Grant) -> Session:
        """Return the session; raises `Refusal` (404) where the grant has none of that id there."""
        session = self._open.get((server, session_id))
        if session is None or not session.belongs_to(grant):
            raise Refusal(HTTPStatus.NOT_FOUND, "there is no such session; initialize a new one")
        session.used = self._clock()
        return session

    def __contains__(self, session: Session) -> bool:
        return self._open.get(session.key) is session

    def forget(self, session: Session) -> None:
        """End a session: its id means nothing from now on."""
        if self._open.get(session.key) is session:
            del self._open[session.key]
            self._forget_names(session)
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
