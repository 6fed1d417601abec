"""Lines on their way out: in order where order matters, side by side where it does not.

A request waits for nothing but a free slot. Notifications and answers go one at a time, each after
every earlier request was written, so that a cancellation never overtakes its request; what comes
after one waits until the server has taken it, so that `initialized` is there before the first call.
While `initialize` is not answered nothing follows it, because its answer names the session. Where
all slots are taken, requests wait, and the rest goes past them: an answer that the server waits for
may be what frees a slot.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pktui.gateway.protocol.jsonrpc import Id
    from pktui.gateway.upstream.remote_outgoing import Outgoing

# Requests that the server may work on at the same time.
SLOTS: Final = 128
CAPACITY_BYTES: Final = 64 * 1024 * 1024


class Outbox:
    """What waits to be sent; for one thread."""

    def __init__(self, slots: int = SLOTS, capacity: int = CAPACITY_BYTES) -> None:
        self._slots = slots
        self._capacity = capacity
        self._requests: deque[tuple[int, Outgoing]] = deque()
        self._others: deque[tuple[int, Outgoing]] = deque()
        self._number = 0
        self._size = 0
        self._running = 0
        self._unwritten = 0
        self._opening = False
        self._telling = False

    def put(self, message: Outgoing) -> bool:
        """Take a message; False where too much waits already."""
        size = self._size + len(message.line)
        if size > self._capacity and self._size:
            return False
        self._size = size
        self._number += 1
        queue = self._requests if message.kind == "request" else self._others
        queue.append((self._number, message))
        return True

    def withdraw(self, request_id: Id) -> bool:
        """Take back a request that was not sent yet; tell whether there was one."""
        for item in self._requests:
            if item[1].id == request_id:
                self._requests.remove(item)
                self._size -= len(item[1].line)
                return True
        return False

    def take(self) -> Outgoing | None:
        """Return the next message that may go now.

        For every request `written` and `finished` must be called, in this order; for everything
        else `finished`.
        """
        queue = self._ready()
        if queue is None:
            return None
        _, message = queue.popleft()
        self._size -= len(message.line)
        if message.kind == "request":
            self._running += 1
            self._unwritten += 1
            self._opening = message.method == "initialize"
        else:
            self._telling = True
        return message

    def written(self) -> None:
        """Note that a request is on its way, or never will be."""
        self._unwritten -= 1

    def finished(self, message: Outgoing) -> None:
        """Note that a message was answered, taken, or failed."""
        if message.kind != "request":
            self._telling = False
            return
        self._running -= 1
        if message.method == "initialize":
            self._opening = False

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not (self._requests or self._others)

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    def close(self) -> None:
        """Let go of what waits."""
        self._requests.clear()
        self._others.clear()
        self._size = 0

    def _ready(self) -> deque[tuple[int, Outgoing]] | None:
        if self._opening or self._telling:
            return None
        request = self._requests[0][0] if self._requests else None
        other = self._others[0][0] if self._others else None
        room = self._running < self._slots
        if request is not None and room and (other is None or request < other):
            return self._requests
        return self._others if other is not None and not self._unwritten else None
