"""Lines carried in an event loop that others share, in place of a thread for each server."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.gateway.lineio.lines import LineCutter, read_some

if TYPE_CHECKING:
    from pktui.gateway.lineio.io_loop import Outlet, Take

# Reads, and bytes, after which a source waits until more can be taken.
_READS: Final = 32
_BYTES: Final = 256 * 1024
_LOOK_SECONDS: Final = 0.1


class EventLoop:
    """Reads from one descriptor, and writes to outlets, as `io_loop.Loop` does.

    What is told of the end of the source is told in a thread of its own, which may wait.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: int,
        room: Callable[[], Awaitable[None]],
        log: lasting.Log,
    ) -> None:
        """`thread` is the loop's; `room` waits until more can be taken of what is read."""
        self._loop = loop
        self._thread = thread
        self._room = room
        self._log = log
        self._surviving = lasting.Survived("taking lines", log)
        self._source = -1
        self._cutter = LineCutter(0)
        self._take: Take
        self._ended: Callable[[], None]
        self._reads = self._bytes = 0
        self._waiting: asyncio.Task[None] | None = None

    def read(
        self,
        descriptor: int,
        limit: int,
        take: Take,
        ended: Callable[[], None],
        *,
        regardless: Outlet | None = None,
    ) -> None:
        """Hand the lines of a descriptor to `take` until it ends, which is told to `ended`."""
        self._source, self._cutter = descriptor, LineCutter(limit)
        self._take, self._ended = take, ended

    def start(self) -> None:
        """Begin to read."""
        os.set_blocking(self._source, False)
        self._in_loop(self._resume)

    @property
    def here(self) -> bool:
        """Tell whether the caller runs in the loop's thread."""
        return threading.get_ident() == self._thread

    @property
    def waits(self) -> bool:
        """Whether nothing is read until more can be taken."""
        return self._waiting is not None and not self._waiting.done()

    def attend(self, outlet: Outlet) -> None:
        """Write what an outlet keeps as soon as its reader takes it."""
        self._in_loop(self._write, outlet)

    def end(self) -> None:
        """Read no more; return after that. Not for the loop's thread."""
        left = threading.Event()
        self._in_loop(self._leave, left)
        while not left.wait(_LOOK_SECONDS) and not self._loop.is_closed():
            pass

    def _in_loop(self, function: Callable[..., object], *given: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(function, *given)

    def _resume(self) -> None:
        if self._source >= 0:
            self._loop.add_reader(self._source, self._read)

    def _read(self) -> None:
        chunk = read_some(self._source)
        if chunk is None:
            return
        lines = self._cutter.feed(chunk) if chunk else self._cutter.end()
        if lines:
            try:
                self._take(*lines)
            except Exception as error:  # noqa: BLE001  it is said, and the loop goes on
                self._surviving.say(error)
        self._reads += 1
        self._bytes += len(chunk)
        if not chunk:
            self._end_source()
        elif self._reads > _READS or self._bytes > _BYTES:
            self._reads = self._bytes = 0
            self._loop.remove_reader(self._source)
            self._waiting = self._loop.create_task(self._until_room())

    async def _until_room(self) -> None:
        with lasting.Survived("waiting for a slow client", self._log):
            await self._room()
        self._resume()

    def _leave(self, left: threading.Event) -> None:
        self._end_source()
        left.set()

    def _end_source(self) -> None:
        source, self._source = self._source, -1
        if source >= 0:
            self._loop.remove_reader(source)
            lasting.start("server-end", self._ended, log=self._log)

    def _write(self, outlet: Outlet) -> None:
        if outlet.flush():
            self._loop.add_writer(outlet.descriptor, self._write, outlet)
        else:
            self._loop.remove_writer(outlet.descriptor)
