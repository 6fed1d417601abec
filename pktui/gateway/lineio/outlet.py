"""A descriptor that whole lines are written to, from any thread, without ever waiting."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pktui.gateway.lineio.io_loop import Loop

FULL: Final = 256 * 1024
"""Bytes kept for a slow reader above which nothing more is read that could add to them."""


class Outlet:
    """Writes what the reader takes at once and leaves the rest to the loop.

    `broken` is called, once, when the reader is gone; what is sent from then on is dropped.
    The descriptor stays blocking, as others may share it: a pipe that is ready takes `PIPE_BUF`
    bytes without a wait (POSIX).
    """

    def __init__(self, descriptor: int, loop: Loop, broken: Callable[[], None]) -> None:
        self.descriptor = descriptor
        self._loop = loop
        self._broken = broken
        self._lock = threading.Lock()
        self._written = threading.Condition(self._lock)
        self._kept = bytearray()
        self._open = True
        self._closed = False
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)

    @property
    def full(self) -> bool:
        """Tell whether more is kept than should be."""
        return len(self._kept) > FULL

    def send(self, *lines: bytes) -> None:
        """Write the lines, each with a newline."""
        data = b"\n".join((*lines, b""))
        with self._lock:
            if not self._open:
                return
            if self._kept:
                self._kept += data
                return
            done = self._write(data)
            if done == len(data):
                return
            self._kept += memoryview(data)[done:]
        self._loop.attend(self)

    def flush(self) -> bool:
        """Write what was kept; tell whether something still is."""
        with self._lock:
            if self._kept:
                del self._kept[: self._write(self._kept)]
            if not self._kept:
                self._written.notify_all()
            return bool(self._kept)

    def lost(self) -> None:
        """Take note that the reader is gone."""
        with self._lock:
            if self._open:
                self._open = False
                self._broken()
            self._kept.clear()
            self._written.notify_all()

    def wait(self) -> None:
        """Wait, where that is no harm, until no more is kept than should be."""
        if self.full and not self._loop.here:
            self.drain(None)

    def drain(self, patience: float | None) -> bool:
        """Wait until everything is written, for at most `patience` seconds; tell whether it is."""
        with self._lock:
            return self._written.wait_for(lambda: not self._kept, patience)

    def close(self, patience: float = 0.2) -> None:
        """Close the descriptor once everything is written; not where that takes longer."""
        if not self.drain(patience):
            return
        with self._lock:
            self._open = False
            if not self._closed:
                self._closed = True
                os.close(self.descriptor)

    def _write(self, data: bytes | bytearray) -> int:
        """Write as much as the reader takes now and tell how much; all of it once it is gone."""
        done = 0
        with memoryview(data) as view:
            try:
                while self._open and done < len(view) and self._ready.poll(0):
                    done += os.write(self.descriptor, view[done : done + select.PIPE_BUF])
            except BlockingIOError:
                return done
            except OSError:
                self._open = False
                self._broken()
            return done if self._open else len(view)
