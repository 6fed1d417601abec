"""Calls that wait for a person: one thread looks after all of them, and only while there are any.

It looks at the ledger a few times a second, asks the Enforcer again whenever something changed
there or a call's time is up, and tells waiting clients that their call is still alive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from pktui import lasting
from pktui.gateway.enforcement.decision import Decision, Ruling, ToolCall
from pktui.gateway.protocol.jsonrpc import Message
from pktui.ledger.records import Looked

if TYPE_CHECKING:
    from pktui.gateway.enforcement.enforcer import Enforcer

CAPACITY: Final = 64
_LOOK_SECONDS: Final = 0.03
# What an end waits at most for a call that is being released.
_RELEASE_SECONDS: Final = 5


class Pace(msgspec.Struct, frozen=True):
    """How long a call is held, and how often its client hears of it; seconds."""

    hold: float = 45
    progress: float = 5


class Held(msgspec.Struct):
    """A call that waits here, and who is told of it. Times are of the monotonic clock, in seconds.

    `key`, a scope and an id, tells it from all others that are held here. `release` gets it with
    its answer, `progress` whenever its client may be told that it still waits. `look` begins the
    look that is made before an allowed call goes out; `looked` is what that showed.
    """

    key: tuple[str, object]
    message: Message
    call: ToolCall
    decision: Decision
    release: Callable[[Held, Decision], None]
    progress: Callable[[Held], None]
    look: Callable[[Held, Decision], None]
    until: float = 0
    next_progress: float = 0
    steps: int = 0
    looking: bool = False
    looked: Looked | None = None


class Holder:
    """The held calls to one server; `clock` is monotonic, in seconds."""

    def __init__(
        self,
        enforcer: Enforcer,
        pace: Pace,
        clock: Callable[[], float],
        log: lasting.Log = lasting.to_stderr,
    ) -> None:
        self._log = log
        self._enforcer = enforcer
        self._pace = pace
        self._clock = clock
        self._changed = threading.Condition()
        # What waits, by its key; read by others, changed here alone.
        self.held: dict[tuple[str, object], Held] = {}
        # The call that has its answer and does not wait any more, while it is released.
        self._released: Held | None = None
        self._thread: threading.Thread | None = None

    def __contains__(self, key: tuple[str, object]) -> bool:
        return key in self.held

    def hold(self, held: Held) -> None:
        """Keep a call until it is decided, its time is up or its client leaves."""
        now = self._clock()
        held.until = now + self._pace.hold
        held.next_progress = now
        with self._changed:
            self.held[held.key] = held
            if self._thread is None:
                self._thread = lasting.start("approvals", self._watch, log=self._log)
            self._changed.notify()

    def looked(self, held: Held, looked: Looked) -> None:
        """Take what a look showed that was begun for a held call; it is decided again."""
        with self._changed:
            held.looked, held.looking = looked, False
            self._changed.notify()

    def withdraw(self, key: tuple[str, object]) -> bool:
        """Take back one call; tell whether it was held here."""
        with self._changed:
            held = self.held.pop(key, None)
        if held is None:
            return False
        self._enforcer.withdraw(held.call, held.decision)
        return True

    def withdraw_all(self, scope: str | None = None) -> tuple[tuple[Held, Decision], ...]:
        """Take back every call, or those of one scope; return them with what to tell of them."""
        with self._changed:
            every = tuple(h for h in self.held.values() if scope is None or h.key[0] == scope)
            for held in every:
                del self.held[held.key]
        return tuple((held, self._enforcer.withdraw(held.call, held.decision)) for held in every)

    def wait_released(self, scope: str) -> None:
        """Wait until a call of a scope that is just being released has gone its way.

        Whoever ends the session then finds it in flight, or answered. Not for an event loop.
        """
        if threading.current_thread() is not self._thread:
            with self._changed:
                self._changed.wait_for(lambda: not self._is_releasing(scope), _RELEASE_SECONDS)

    def _is_releasing(self, scope: str) -> bool:
        return self._released is not None and self._released.key[0] == scope

    def _watch(self) -> None:
        seen: object = None
        while True:
            with self._changed:
                while not self.held:
                    seen = None
                    self._changed.wait()
                self._changed.wait(_LOOK_SECONDS)
            state = object()
            with lasting.Survived("looking at held calls", self._log):
                state = self._enforcer.state()
                self._look(changed=state != seen)
            seen = state

    def _look(self, *, changed: bool) -> None:
        now = self._clock()
        for held in tuple(self.held.values()):
            with lasting.Survived("a held call", self._log, partial(self._give_up, held)):
                self._look_at(held, now, changed=changed)

    def _look_at(self, held: Held, now: float, *, changed: bool) -> None:
        decision = self._answer(held, now, changed=changed)
        if decision is not None and decision.ruling is Ruling.LOOK:
            held.look(held, decision)
        elif decision is not None:
            self._release(held, decision)
        elif now >= held.next_progress:
            held.steps += 1
            held.next_progress = now + self._pace.progress
            held.progress(held)

    def _give_up(self, held: Held, why: str) -> None:
        """Deny a call that cannot be looked at; one that was let go of has had its answer."""
        with self._changed:
            if self.held.pop(held.key, None) is not held:
                return
            self._released = held
        call = held.call
        self._release(held, Decision(call.call_id, call.tool, Ruling.BROKEN, "(failed)", why))

    def _release(self, held: Held, decision: Decision) -> None:
        try:
            held.release(held, decision)
        finally:
            with self._changed:
                self._released = None
                self._changed.notify_all()

    def _answer(self, held: Held, now: float, *, changed: bool) -> Decision | None:
        """Return the call's answer and let go of it; None where it goes on waiting.

        One that is to be looked at first goes on waiting, too, until that was done.
        """
        with self._changed:
            if self.held.get(held.key) is not held or held.looking:
                return None
            looked, held.looked, time_is_up = held.looked, None, now >= held.until
            if not (changed or looked or time_is_up or self._enforcer.is_over(held.decision)):
                return None
            call = msgspec.structs.replace(held.call, looked=looked)
            decision = self._enforcer.resume(call, held.decision, hold=not time_is_up)
            if decision.ruling is Ruling.HOLD:
                held.decision = decision
                return None
            if decision.ruling is Ruling.LOOK:
                held.looking = True
                return decision
            del self.held[held.key]
            self._released = held
            return decision
