"""What waits in a session: requests at the server, held calls, and calls that go on.

A call goes on where its server asked for more and the client calls again with its `requestState`.
Only a state that this server gave for a call of this caller, tool and arguments counts, and it
counts once: a made-up one, or one that comes again, is a new call, charged like any other. What
else the client adds is asked about and recorded as of any call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from pktui import lasting
from pktui.gateway.enforcement.decision import Ended, Outcome, ToolCall
from pktui.gateway.protocol.jsonrpc import EXACT, Message, same_id
from pktui.gateway.relay.held_calls import Holder, Pace
from pktui.gateway.relay.known_tools import ToolList
from pktui.gateway.relay.looks import LookUnderWay
from pktui.gateway.relay.tool_discovery import Lookup
from pktui.ledger.arguments.canonical import args_hash

if TYPE_CHECKING:
    from pktui.gateway.enforcement.enforcer import Enforcer
    from pktui.gateway.protocol.jsonrpc import Id

CAPACITY: Final = 16_384
# Bytes of requests above which no further one is forwarded, however few they are.
MOST_BYTES: Final = 64 * 1024 * 1024
# How long the answer to a request that was given up is reckoned with.
LATE_NS: Final = 600 * 1_000_000_000
MOST_STATES: Final = 256
STATE: Final = "requestState"


class Own(msgspec.Struct, frozen=True):
    """Who gets the answer to a request of the gateway's own, and for which call it was asked."""

    lookup: Lookup | LookUnderWay
    message: Message


class Waiting(msgspec.Struct, frozen=True):
    """One forwarded request; `call` is None for everything but a tool call.

    `seq` is the row of the call's decision in the ledger. `own`: the gateway asks for itself, and
    the client sees nothing of it.
    """

    message: Message
    call: ToolCall | None
    started_ns: int
    seq: int = 0
    own: Own | None = None

    @property
    def method(self) -> str:
        """What was asked."""
        return self.message.method

    @property
    def id_text(self) -> bytes:
        """The request's id as written, JSON text."""
        return self.message.id_text

    @property
    def modern(self) -> bool:
        """Whether it is answered as the stateless era answers."""
        return (self.own.message if self.own is not None else self.message).modern

    @property
    def cursor(self) -> str:
        """The page of a list of tools that was asked for, empty for the first."""
        cursor = self.message.params.get("cursor")
        return cursor if isinstance(cursor, str) else ""

    def end(
        self,
        call: ToolCall,
        outcome: Outcome,
        now_ns: int,
        *,
        sent: bool = True,
        result: bytes = b"",
    ) -> Ended:
        """Return how its call ended now; `sent`: its server may have seen it."""
        return Ended(call, outcome, (now_ns - self.started_ns) // 1000, self.seq, sent, result)


class InFlight:
    """The forwarded requests by id; ids that any reader takes for one are one here.

    So an answer to `1.0` that comes back as `1` still finds its request. The id of a request that
    was given up stays in use until its answer came: that must not be taken for another's.
    """

    def __init__(self, ticks: Callable[[], int]) -> None:
        """`ticks` is a monotonic clock in nanoseconds."""
        self._ticks = ticks
        self._lock = threading.Lock()
        self._emptied = threading.Condition(self._lock)
        # By what their ids are known by; read by others, changed here alone.
        self.waiting: dict[Id, Waiting] = {}
        self._given_up: dict[Id, int] = {}
        self._size = 0
        # Whether anybody ever waited until nothing was in flight.
        self._awaited = False

    def __contains__(self, request_id: Id) -> bool:
        key = same_id(request_id)
        return key in self.waiting or (bool(self._given_up) and self._is_given_up(key))

    def waits_for(self, request_id: Id) -> bool:
        """Tell whether somebody waits for the answer of that id."""
        return same_id(request_id) in self.waiting

    def admits(self, key: Id) -> str:
        """Return `free` for a request that may be forwarded, `in use`, or `full`."""
        if key in self.waiting or (self._given_up and self._is_given_up(key)):
            return "in use"
        many = len(self.waiting) + len(self._given_up) >= CAPACITY
        return "full" if many or self._size >= MOST_BYTES else "free"

    def add(self, request_id: Id, waiting: Waiting) -> None:
        """Remember a request before it is sent."""
        plain = type(request_id) is int and -EXACT <= request_id <= EXACT
        with self._lock:
            self.waiting[request_id if plain else same_id(request_id)] = waiting
            self._size += len(waiting.message.raw)

    def take(self, request_id: Id | None) -> Waiting | None:
        """Return and forget the request of that id: it was answered."""
        if request_id is None:
            return None
        plain = type(request_id) is int and -EXACT <= request_id <= EXACT
        key = request_id if plain else same_id(request_id)
        with self._lock:
            waiting = self.waiting.pop(key, None)
            if waiting is None:
                self._given_up.pop(key, None)
            else:
                self._size -= len(waiting.message.raw)
            if not self.waiting and self._awaited:
                self._emptied.notify_all()
            return waiting

    def give_up(self, request_id: Id) -> Waiting | None:
        """Return the request of that id, which nobody waits for any more."""
        with self._lock:
            key = same_id(request_id)
            waiting = self._pop(key)
            if waiting is not None:
                self._given_up[key] = self._ticks()
            if not self.waiting:
                self._emptied.notify_all()
            return waiting

    def take_all(self) -> tuple[Waiting, ...]:
        """Return and forget every request."""
        with self._lock:
            waiting = tuple(self.waiting.values())
            self.waiting.clear()
            self._size = 0
            self._emptied.notify_all()
            return waiting

    def _pop(self, key: Id) -> Waiting | None:
        waiting = self.waiting.pop(key, None)
        if waiting is not None:
            self._size -= len(waiting.message.raw)
        return waiting

    def _is_given_up(self, key: Id) -> bool:
        """Tell whether the answer of that id may still come; forget those that never came."""
        with self._lock:
            before = self._ticks() - LATE_NS
            while self._given_up and next(iter(self._given_up.values())) < before:
                del self._given_up[next(iter(self._given_up))]
            return key in self._given_up

    def wait_empty(self, seconds: float) -> bool:
        """Wait until nothing is in flight; tell whether that came about in time."""
        with self._lock:
            self._awaited = True
            return self._emptied.wait_for(lambda: not self.waiting, seconds)


class Continuations:
    """The states of the last calls that were answered so; safe from several threads."""

    def __init__(self) -> None:
        self._calls: dict[str, ToolCall] = {}
        self._lock = threading.Lock()

    def remember(self, state: str, call: ToolCall) -> None:
        """Remember that the server gave this state for this call."""
        with self._lock:
            if len(self._calls) >= MOST_STATES:
                del self._calls[next(iter(self._calls))]
            self._calls[state] = call

    def claim(self, call: ToolCall) -> str:
        """Return the id of the call that this one goes on with, empty where it is a new one.

        Its state is used up by that.
        """
        state = call.beside.get(STATE)
        if not isinstance(state, str):
            return ""
        with self._lock:
            earlier = self._calls.get(state)
            if earlier is None or not _same(earlier, call):
                return ""
            del self._calls[state]
        return earlier.continues or earlier.call_id

    def restore(self, call: ToolCall) -> None:
        """Let the state of a call that went on, but did not go out, count once more."""
        self.remember(str(call.beside[STATE]), call)


def _same(one: ToolCall, other: ToolCall) -> bool:
    """Compare arguments by their hash, as approvals do: to Python true is 1."""
    return (one.tool, one.caller) == (other.tool, other.caller) and (
        args_hash(one.arguments) == args_hash(other.arguments)
    )


class Pending(msgspec.Struct, frozen=True):
    """What waits: forwarded requests, held calls, and calls that the server asked more about.

    Relays of one client's connection share it, so that one can cancel what came through another.
    `scope` tells their held calls from those of other connections in the same holder. `tools` is
    what is known of the server's list, `parked` the calls that wait for it or for a look, and
    where.
    """

    holder: Holder
    in_flight: InFlight
    continuations: Continuations
    tools: ToolList
    scope: str = ""
    parked: dict[object, Lookup | LookUnderWay] = msgspec.field(default_factory=dict)

    @classmethod
    def of(
        cls,
        enforcer: Enforcer,
        pace: Pace,
        ticks: Callable[[], int],
        log: lasting.Log = lasting.to_stderr,
    ) -> Pending:
        """Return that of a connection of its own; `ticks` is monotonic, in nanoseconds."""
        holder = Holder(enforcer, pace, lambda: ticks() / 1e9, log)
        return cls(holder, InFlight(ticks), Continuations(), ToolList(ticks))
