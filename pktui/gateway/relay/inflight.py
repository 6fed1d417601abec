"""Requests that went to the server and wait for its answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.gateway.enforcement.calls import Ended, Outcome, ToolCall

if TYPE_CHECKING:
    from pktui.gateway.messages.jsonrpc import Id

CAPACITY: Final = 16_384


class Waiting(msgspec.Struct, frozen=True):
    """One forwarded request; `call` is None for everything but a tool call.

    `seq` is the row of the call's decision in the ledger; `cursor` is the page of a list of tools
    that was asked for, empty for the first.
    """

    id_text: bytes
    method: str
    modern: bool
    call: ToolCall | None
    started_ns: int
    seq: int = 0
    cursor: str = ""

    def end(self, call: ToolCall, outcome: Outcome, now_ns: int) -> Ended:
        """Return how its call ended now."""
        return Ended(call, outcome, (now_ns - self.started_ns) // 1000, self.seq)


class InFlight:
    """The forwarded requests by id; a number equals itself in every spelling (1 and 1.0).

    That is how clients and servers that keep numbers as floats see them, so an answer to `1.0`
    that comes back as `1` still finds its request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._emptied = threading.Condition(self._lock)
        self._waiting: dict[Id, Waiting] = {}

    def __contains__(self, request_id: Id) -> bool:
        return request_id in self._waiting

    @property
    def full(self) -> bool:
        """Tell whether no further request may be forwarded now."""
        return len(self._waiting) >= CAPACITY

    def add(self, request_id: Id, waiting: Waiting) -> None:
        """Remember a request before it is sent."""
        with self._lock:
            self._waiting[request_id] = waiting

    def take(self, request_id: Id | None) -> Waiting | None:
        """Return and forget the request of that id."""
        with self._lock:
            waiting = self._waiting.pop(request_id, None) if request_id is not None else None
            if not self._waiting:
                self._emptied.notify_all()
            return waiting

    def take_all(self) -> tuple[Waiting, ...]:
        """Return and forget every request."""
        with self._lock:
            waiting = tuple(self._waiting.values())
            self._waiting.clear()
            self._emptied.notify_all()
            return waiting

    def wait_empty(self, seconds: float) -> bool:
        """Wait until nothing is in flight; tell whether that came about in time."""
        with self._lock:
            return self._emptied.wait_for(lambda: not self._waiting, seconds)
