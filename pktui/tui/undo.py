"""What can be taken back: the last ten changes, whichever view made them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

STEPS = 10


@dataclass(frozen=True, slots=True)
class UndoStep:
    """A change that can be taken back.

    `revert` runs in a thread and returns a sentence about what it did; it may raise `PktuiError`.
    `done` runs in the event loop after it, to show the new state.
    """

    label: str
    revert: Callable[[], str]
    done: Callable[[], None]


class UndoStack:
    """The latest changes; the oldest falls out. `changed` is called after each push and pop."""

    def __init__(self, changed: Callable[[], object] = lambda: None) -> None:
        self._steps: deque[UndoStep] = deque(maxlen=STEPS)
        self._changed = changed

    def push(self, step: UndoStep) -> None:
        """Remember a change."""
        self._steps.append(step)
        self._changed()

    def pop(self) -> UndoStep | None:
        """Take the latest change off the stack."""
        step = self._steps.pop() if self._steps else None
        self._changed()
        return step

    def __len__(self) -> int:
        return len(self._steps)
