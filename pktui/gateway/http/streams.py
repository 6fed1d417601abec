"""What a client was told on one stream: kept a while, so that it can go on after a break."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Final

import msgspec

# Kept of each stream for a client that comes back, and sent ahead of one that is slow.
KEEP_BYTES: Final = 1024 * 1024
_WAIT: Final = 1.0


class Entry(msgspec.Struct, frozen=True):
    """One message and its place in the stream, from 1 on."""

    place: int
    line: bytes


class Stream:
    """Written from any thread, read by one task at a time: a new reader takes over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self.name = name
        self._loop = loop
        self._kept: deque[Entry] = deque()
        self._size = 0
        self._places = 0
        self._sent = 0
        self._reader = 0
        self._finished = False
        self._changed = threading.Condition()
        self._filled = asyncio.Event()

    @property
    def finished(self) -> bool:
        """Tell whether nothing more will come."""
        return self._finished

    @property
    def sent(self) -> int:
        """Return the place of the last message that a reader is known to have been sent."""
        return self._sent

    def put(self, line: bytes, *, last: bool = False, wait: bool = True) -> None:
        """Add a message; where it may `wait`, it does while a reader is too far behind."""
        with self._changed:
            while wait and self.behind:
                if not self._changed.wait(_WAIT) and not self._reader:
                    break
            if self._finished:
                return
            self._places += 1
            self._kept.append(Entry(self._places, line))
            self._size += len(line)
            self._drop()
            self._finished = last
        self._wake()

    def finish(self) -> None:
        """Let the stream end after what it holds."""
        with self._changed:
            self._finished = True
        self._wake()

    def attach(self) -> int:
        """Return the number of a new reader; the one before ends."""
        with self._changed:
            self._reader += 1
        self._filled.set()
        return self._reader

    def detach(self, reader: int) -> None:
        """Let nobody wait for this reader any more."""
        with self._changed:
            if self._reader == reader:
                self._reader = 0
            self._changed.notify_all()

    async def next(self, reader: int, after: int) -> Entry | None:
        """Return the message that follows a place; None at the end, or for a reader replaced."""
        while True:
            with self._changed:
                self._sent = max(self._sent, after)
                self._changed.notify_all()
                if self._reader != reader:
                    return None
                found = next((entry for entry in self._kept if entry.place > after), None)
                if found is not None or self._finished:
                    return found
                self._filled.clear()
            await self._filled.wait()

    async def first(self, reader: int, patience: float | None) -> Entry | None:
        """Return the first message, None where none comes within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                return await self.next(reader, 0)
        return None

    def ends_with(self, entry: Entry) -> bool:
        """Tell whether a message is the last one."""
        return self._finished and entry.place == self._places

    @property
    def behind(self) -> bool:
        """Whether a reader has so much to take that it should not be sent more."""
        return bool(self._reader and self._size > KEEP_BYTES and self._kept[0].place > self._sent)

    def _drop(self) -> None:
        """Forget the oldest messages; of those not yet sent, only where nobody reads."""
        while self._size > KEEP_BYTES and len(self._kept) > 1:
            if self.behind:
                return
            self._size -= len(self._kept.popleft().line)

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody reads
            self._loop.call_soon_threadsafe(self._filled.set)
