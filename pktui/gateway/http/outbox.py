"""What a relay wants sent, handed from its threads to the task that sends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Literal

import msgspec


class Item(msgspec.Struct, frozen=True):
    """One message on its way, and to whom; with `request_id` the gateway asks for itself."""

    to: Literal["client", "server"]
    line: bytes
    request_id: str = ""


class Outbox:
    """Filled from any thread, emptied by one task, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[Item] = deque()
        self._filled = asyncio.Event()
        self._awaited = False

    def to_client(self, *lines: bytes) -> None:
        """Leave messages for the client."""
        self._put(*(Item("client", line) for line in lines))

    def to_server(self, *lines: bytes) -> None:
        """Leave messages for the server."""
        self._put(*(Item("server", line) for line in lines))

    def ask(self, request_id: str, line: bytes) -> None:
        """Leave a request of the gateway's own for the server."""
        self._put(Item("server", line, request_id))

    def take(self) -> Item | None:
        """Return the next message, None where there is none yet."""
        return self._items.popleft() if self._items else None

    async def wait(self) -> None:
        """Wait until there is a message."""
        self._awaited = True
        try:
            while not self._items:
                self._filled.clear()
                if not self._items:
                    await self._filled.wait()
        finally:
            self._awaited = False

    def _put(self, *items: Item) -> None:
        """Add messages; the loop is woken only for one who waits, for that takes its time."""
        self._items += items
        if not self._awaited:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._filled.set)
