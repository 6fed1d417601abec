"""What is typed, one thing at a time: a key goes to what the keys before it brought to the front.

Textual hands each key to what has the focus at that moment, while a focus change, a new view or a
screen that a key asks for only queues: of a burst read at once, every key goes to what was in
front of the first. Here the next key waits until all that the one before it caused has come to
rest, so it reaches the box that `/` opens and not the card behind it. Clicks and pastes wait in
the same line.

The time at which a key was typed stays with it: `age` lets a question refuse an answer that was
typed before the question was on the screen.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from textual import events

if TYPE_CHECKING:
    from textual.app import App
    from textual.dom import DOMNode
    from textual.message_pump import MessagePump

    Typed = events.Key | events.Paste | events.MouseDown | events.MouseUp

# A key's consequences are followed through so many changes of what is in front, at the most.
ROUNDS = 8
# A widget that keeps getting messages is waited for so many times, at the most.
TURNS = 10
# Keys that follow one another closer than this were read together: no hand types them.
RUN_SECONDS = 0.015
# How often a widget that does not answer is looked at: it may be gone.
LOOK_SECONDS = 0.1
TYPED = (events.Key, events.Paste, events.MouseDown, events.MouseUp)


class Keyboard:
    """The line in which keys, pastes and clicks wait; lives in the app's event loop.

    It is closed until `open` is called: what is typed before there is a view waits for it.
    """

    def __init__(self, app: App[int]) -> None:
        self._app = app
        self._line: deque[Typed] = deque()
        self._in_hand: Typed | None = None
        self._closed = True
        self._task: asyncio.Task[None] | None = None
        self._moved_at = 0.0
        self._before = 0.0
        """When the key before the one in hand was typed."""
        self._dropped_press = False

    @property
    def at_rest(self) -> bool:
        """Whether nothing waits and all that was typed has had its effect."""
        return self._in_hand is None and not self._line

    def age(self) -> float:
        """Return how many seconds ago the key in hand was typed; 0 where there is none."""
        return 0.0 if self._in_hand is None else max(0.0, time.monotonic() - self._in_hand.time)

    def in_a_run(self) -> bool:
        """Tell whether the key in hand came with others, as text that is pasted as keys does."""
        here = self._in_hand
        if not isinstance(here, events.Key):
            return False
        after = next((one.time for one in self._line if isinstance(one, events.Key)), None)
        close = here.time - self._before < RUN_SECONDS
        return close or (after is not None and after - here.time < RUN_SECONDS)

    def open(self) -> None:
        """There is something in front: hand on what waits."""
        if self._closed:
            self._closed = False
            self._moved_at = time.monotonic()
            if self._in_hand is None:
                self._next()

    def close(self) -> None:
        """The console ends: hand nothing on any more."""
        self._closed = True
        self._line.clear()
        if self._task is not None:
            self._task.cancel()

    # One event's way through the app: asked for, handed on, followed

    def takes_turn(self, event: Typed) -> bool:
        """Tell whether it is the event's turn; where it is not, it is posted again later."""
        if event is self._in_hand:
            return True
        if self._closed or self._in_hand is not None:
            self._line.append(event)
            return False
        if self._is_stale(event):
            return False
        self._in_hand = event
        return True

    def handed_on(self, target: DOMNode) -> None:
        """The event in hand went to `target`: follow it, then hand on the next."""
        self._task = asyncio.create_task(self._follow(target), name="keyboard")

    async def _follow(self, target: DOMNode) -> None:
        first = before = self._front()
        for count in range(ROUNDS):
            for node in tuple(target.ancestors_with_self):
                await _emptied(node)
            front = self._front()
            if front == before and count > 0:
                break
            before = front
            target = self._app.focused or self._app.screen
        if self._front() != first:
            self._moved_at = time.monotonic()
        if isinstance(self._in_hand, events.Key):
            self._before = self._in_hand.time
        self._in_hand = None
        self._next()

    def _next(self) -> None:
        while self._line and not self._closed:
            event = self._line.popleft()
            if not self._is_stale(event):
                self._in_hand = event
                self._app.post_message(event)
                return

    def _is_stale(self, event: Typed) -> bool:
        """Tell whether it is a click on what is no longer in front: its place means nothing."""
        if isinstance(event, events.MouseDown):
            self._dropped_press = event.time < self._moved_at
            return self._dropped_press
        return isinstance(event, events.MouseUp) and self._dropped_press

    def _front(self) -> tuple[object, ...]:
        app = self._app
        return app.screen, app.focused, getattr(app, "front", "")


async def _emptied(pump: MessagePump) -> None:
    """Wait until a widget has worked off what is in its queue, or is gone."""
    for _ in range(TURNS):
        done, empty = asyncio.Event(), False

        def look(done: asyncio.Event = done) -> None:
            nonlocal empty
            empty = pump.message_queue_size == 0
            done.set()

        if not pump.call_later(look):
            return
        while not done.is_set() and not _is_gone(pump):
            try:
                await asyncio.wait_for(done.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue
        if empty or _is_gone(pump):
            return


def _is_gone(pump: MessagePump) -> bool:
    return pump._closed  # noqa: SLF001  Textual has no other word for it
