"""What can be taken back: the last ten changes, whichever view made them.

A change takes a moment, and `u` pressed meanwhile means that very change: what is taken back waits
until no change is under way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

STEPS = 10


@dataclass(frozen=True, slots=True)
class UndoStep:
    """A change that can be taken back.

    `revert` runs in a thread and returns a sentence about what it did; it may raise `PktuiError`.
    `done` runs in the event loop after it, to show the new state. `owner` names what the step is a
    part of, so that `forget` finds it. `with_pin` does what `revert` does where that raised
    `PinError`, with the PIN that was typed.
    """

    label: str
    revert: Callable[[], str]
    done: Callable[[], None]
    owner: str = ""
    with_pin: Callable[[str], str] | None = None


class UndoStack:
    """The latest changes; the oldest falls out. `changed` is called whenever something moved.

    Lives in the event loop. Who starts a change calls `begin`, and `end` once its step is pushed
    or it is known to have failed.
    """

    def __init__(self, changed: Callable[[], object] = lambda: None) -> None:
        self._steps: deque[UndoStep] = deque(maxlen=STEPS)
        self._changed = changed
        self._running = 0
        self.moves = 0
        """How many changes began or ended so far: what was read meanwhile may be out of date."""
        self._waiting: deque[Callable[[], object]] = deque()

    def push(self, step: UndoStep) -> None:
        """Remember a change."""
        self._steps.append(step)
        self._changed()

    def pop(self) -> UndoStep | None:
        """Take the latest change off the stack."""
        step = self._steps.pop() if self._steps else None
        self._changed()
        return step

    def forget(self, owner: str) -> None:
        """Take off all steps of an owner: what they changed is no longer there."""
        kept = [step for step in self._steps if step.owner != owner]
        self._steps = deque(kept, maxlen=STEPS)
        self._changed()

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back, or soon will be."""
        return bool(self._steps) or self.running

    @property
    def running(self) -> bool:
        """Whether a change is under way."""
        return self._running > 0

    def begin(self) -> None:
        """A change is under way."""
        self._running += 1
        self.moves += 1
        self._changed()

    def end(self) -> None:
        """A change came to its end."""
        self._running -= 1
        self.moves += 1
        while self._waiting and self._running == 0:
            self._waiting.popleft()()
        self._changed()

    def when_settled(self, then: Callable[[], object]) -> None:
        """Call `then` as soon as no change is under way: now, or after the last one's end."""
        if self._running or self._waiting:
            self._waiting.append(then)
        else:
            then()

    def __len__(self) -> int:
        return len(self._steps)
