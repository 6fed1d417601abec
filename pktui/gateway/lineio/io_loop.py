"""One thread that carries lines both ways, so that no call waits for a hand-over between threads.

Nothing here ever blocks on a slow reader: what cannot be written yet is kept, and whoever could
add to it is not read until it is gone. So nothing grows without bound.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from pktui import lasting
from pktui.gateway.lineio.lines import LineCutter, read_some

if TYPE_CHECKING:
    from pktui.gateway.lineio.lines import TooLong


# Bytes kept for a slow reader above which nothing more is read that could add to them.
FULL: Final = 256 * 1024
# Reads of what a source that is left has sent already, at most: it may send without an end.
_LAST_READS: Final = 64
_LOOK: Final = 0.1
_GONE: Final = select.POLLERR | select.POLLHUP | select.POLLNVAL


class Take(Protocol):
    """Takes lines that came together, in their order, without their newlines."""

    def __call__(self, *lines: bytes | TooLong) -> None:
        """Take them."""


class _Source(msgspec.Struct):
    """What is read from, and while which outlet is full it is read all the same."""

    descriptor: int
    cutter: LineCutter
    take: Take
    ended: Callable[[], None]
    regardless: Outlet | None
    read: bool = True


class Loop:
    """Reads from some descriptors and writes to outlets, whichever is ready.

    Sources are added before `start`; any thread may send to an outlet.
    """

    def __init__(
        self, *, log: lasting.Log = lasting.to_stderr, fatal: Callable[[], object] | None = None
    ) -> None:
        """`log` is told of what goes wrong, `fatal` where the loop itself cannot go on."""
        self._log = log
        self._surviving = lasting.Survived("taking lines", log)
        self._fatal = fatal
        self._poll = select.poll()
        self._sources: dict[int, _Source] = {}
        self._slow: set[Outlet] = set()
        self._watched: dict[int, Outlet] = {}
        self._thread: threading.Thread | None = None
        self._going = True
        self._leaving: list[tuple[int, threading.Event]] = []
        self._bell = threading.Lock()
        self._bell_out, self._bell_in = os.pipe()
        os.set_blocking(self._bell_in, False)
        self._poll.register(self._bell_out, select.POLLIN)

    def read(
        self,
        descriptor: int,
        limit: int,
        take: Take,
        ended: Callable[[], None],
        *,
        regardless: Outlet | None = None,
    ) -> None:
        """Hand the lines of a descriptor to `take` until it ends, which is told to `ended`.

        It is not read while an outlet is full, other than the one it is read regardless of.
        """
        source = _Source(descriptor, LineCutter(limit), take, ended, regardless)
        self._sources[descriptor] = source
        self._poll.register(descriptor, select.POLLIN)

    def watch(self, outlet: Outlet) -> None:
        """Notice when an outlet's reader is gone, also while nothing is written to it."""
        self._watched[outlet.descriptor] = outlet
        self._poll.register(outlet.descriptor, 0)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = lasting.start("relay", self._run, log=self._log)

    def leave(self, descriptor: int) -> None:
        """Take what a descriptor has sent already, then read no more of it; return after that."""
        left = threading.Event()
        self._leaving.append((descriptor, left))
        self._ring()
        while self._thread is not None and self._thread.is_alive() and not left.wait(_LOOK):
            pass

    @property
    def here(self) -> bool:
        """Tell whether the caller runs in the loop's thread."""
        return threading.current_thread() is self._thread

    def attend(self, outlet: Outlet) -> None:
        """Write what an outlet keeps as soon as its reader takes it."""
        self._slow.add(outlet)
        if not self.here:
            self._ring()

    def end(self) -> None:
        """Stop, and let go of everything that is its own."""
        self._going = False
        self._ring()
        if self._thread is None:
            self._still_the_bell()
        elif not self.here:
            self._thread.join()

    def _ring(self) -> None:
        with self._bell:
            if self._bell_in < 0:
                return
            try:
                os.write(self._bell_in, b"!")
            except BlockingIOError:
                return  # it rings already

    def _still_the_bell(self) -> None:
        with self._bell:
            if self._bell_in >= 0:
                os.close(self._bell_in)
                os.close(self._bell_out)
            self._bell_in = -1

    def _run(self) -> None:
        try:
            while self._going:
                self._turn()
        except BaseException:
            if self._fatal is not None:
                self._fatal()
            raise
        finally:
            for source in self._sources.values():
                source.ended()
            self._still_the_bell()

    def _turn(self) -> None:
        for descriptor, event in self._poll.poll():
            source = self._sources.get(descriptor)
            if source is not None:
                self._read(source)
            elif event & _GONE and descriptor in self._watched:
                self._poll.unregister(descriptor)
                self._watched.pop(descriptor).lost()
            elif descriptor == self._bell_out:
                read_some(descriptor)
        while self._leaving:
            self._leave(*self._leaving.pop())
        if self._slow:
            self._arrange()

    def _leave(self, descriptor: int, left: threading.Event) -> None:
        source = self._sources.get(descriptor)
        if source is not None and source.read:
            ready = select.poll()
            ready.register(descriptor, select.POLLIN)
            for _ in range(_LAST_READS):
                if descriptor not in self._sources or not ready.poll(0):
                    break
                self._read(source)
            if self._sources.pop(descriptor, None) is not None:
                self._poll.unregister(descriptor)
        else:
            self._sources.pop(descriptor, None)
        left.set()

    def _read(self, source: _Source) -> None:
        chunk = read_some(source.descriptor)
        if chunk is None:
            return
        lines = source.cutter.feed(chunk) if chunk else source.cutter.end()
        if lines:
            try:
                source.take(*lines)
            except Exception as error:  # noqa: BLE001  it is said, and the loop goes on
                self._surviving.say(error)
        if not chunk:
            self._poll.unregister(source.descriptor)
            del self._sources[source.descriptor]
            source.ended()

    def _arrange(self) -> None:
        """Write what can be written; wait for the readers of the rest, and read what may be."""
        for outlet in tuple(self._slow):
            self._slow.discard(outlet)  # first: from now on whoever sends may put it back
            if outlet.flush():
                self._slow.add(outlet)
                self._poll.register(outlet.descriptor, select.POLLOUT)
            else:
                self._forget(outlet.descriptor)
        full = [outlet for outlet in tuple(self._slow) if outlet.full]
        for source in self._sources.values():
            self._set(source, read=all(outlet is source.regardless for outlet in full))

    def _set(self, source: _Source, *, read: bool) -> None:
        if read and not source.read:
            self._poll.register(source.descriptor, select.POLLIN)
        elif source.read and not read:
            self._poll.unregister(source.descriptor)
        source.read = read

    def _forget(self, descriptor: int) -> None:
        if descriptor in self._watched:
            self._poll.register(descriptor, 0)
            return
        try:
            self._poll.unregister(descriptor)
        except KeyError:
            return  # it was written at once


class Carrier(Protocol):
    """What an outlet leaves to be written later; `Loop` is one."""

    @property
    def here(self) -> bool:
        """Tell whether the caller runs in its thread."""

    def attend(self, outlet: Outlet) -> None:
        """Write what an outlet keeps as soon as its reader takes it."""


class Outlet:
    """Writes what the reader takes at once and leaves the rest to the loop.

    `broken` is called, once, when the reader is gone; what is sent from then on is dropped.
    The descriptor stays blocking, as others may share it: a pipe that is ready takes `PIPE_BUF`
    bytes without a wait (POSIX).
    """

    def __init__(self, descriptor: int, loop: Carrier, broken: Callable[[], None]) -> None:
        self.descriptor = descriptor
        self._loop = loop
        self._broken = broken
        self._lock = threading.Lock()
        self._written = threading.Condition(self._lock)
        # What its reader did not take yet.
        self.kept = bytearray()
        self._open = True
        self._closed = False
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)

    @property
    def full(self) -> bool:
        """Tell whether more is kept than should be."""
        return len(self.kept) > FULL

    def send(self, *lines: bytes) -> None:
        """Write the lines, each with a newline."""
        data = b"\n".join((*lines, b""))
        with self._lock:
            if not self._open:
                return
            if self.kept:
                self.kept += data
                return
            done = 0
            if len(data) <= select.PIPE_BUF and self._ready.poll(0):  # as most are
                with suppress(BlockingIOError, BrokenPipeError):
                    done = os.write(self.descriptor, data)
            if done < len(data):
                done += self._write(data[done:])
            if done == len(data):
                return
            self.kept += memoryview(data)[done:]
        self._loop.attend(self)

    def flush(self) -> bool:
        """Write what was kept; tell whether something still is."""
        with self._lock:
            if self.kept:
                del self.kept[: self._write(self.kept)]
            if not self.kept:
                self._written.notify_all()
            return bool(self.kept)

    def lost(self) -> None:
        """Take note that the reader is gone."""
        with self._lock:
            if self._open:
                self._open = False
                self._broken()
            self.kept.clear()
            self._written.notify_all()

    def wait(self) -> None:
        """Wait, where that is no harm, until no more is kept than should be."""
        if self.full and not self._loop.here:
            self.drain(None)

    def drain(self, patience: float | None) -> bool:
        """Wait until everything is written, for at most `patience` seconds; tell whether it is."""
        with self._lock:
            return self._written.wait_for(lambda: not self.kept, patience)

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
