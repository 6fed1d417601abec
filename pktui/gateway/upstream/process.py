"""What stands behind a relay: a protocol, and the server that is a process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from operator import methodcaller
from typing import TYPE_CHECKING, Final, Protocol

from pktui import lasting
from pktui.gateway.lineio.io_loop import Loop, Outlet
from pktui.gateway.lineio.lines import TooLong, read_lines
from pktui.gateway.upstream.child import Child
from pktui.gateway.upstream.last_words import LastWords

if TYPE_CHECKING:
    from pktui.gateway.lineio.event_loop import EventLoop
    from pktui.gateway.protocol.server_messages import Unanswered
    from pktui.gateway.servers.entries import ServerEntry

_LOG_LINE: Final = 16 * 1024
# Seconds for what a server that has ended said on its stderr.
_LAST_WORDS: Final = 0.3
# Over HTTP a message may have line ends between its tokens; a text in JSON holds none.
_ON_ONE_LINE: Final = methodcaller("replace", b"\n", b" ")
# Seconds for the last lines of a server that has ended.
_DRAIN: Final = 0.5


class Deliver(Protocol):
    """Takes what came from a server together, in its order; of lines, without their newlines."""

    def __call__(self, *lines: bytes | TooLong | Unanswered) -> None:
        """Take them."""


class Upstream(Protocol):
    """A server, whatever it is made of."""

    def start(self, deliver: Deliver, ended: Callable[[], None]) -> None:
        """Begin to hand its lines to `deliver`; `ended` is called when it has gone by itself."""

    def send(self, *lines: bytes) -> None:
        """Take lines of the client; one that is gone takes them too."""

    def end(self, patience: float) -> int:
        """Tell it that no more will come, wait `patience` seconds, then end it.

        Returns its status as a shell gives it, after its last lines were delivered.
        """

    @property
    def said(self) -> str:
        """What it said last besides its messages, for who is told that it ended."""


class Quoting(Protocol):
    """Takes what a server says on its stderr; the gateway's narrator does."""

    def quote(self, server: str, words: bytes) -> None:
        """Take one line."""


class ProcessServer:
    """A server that was started as a command."""

    def __init__(
        self,
        entry: ServerEntry,
        narrator: Quoting,
        line_limit: int,
        loop: Loop | EventLoop | None = None,
        *,
        shared: bool = False,
    ) -> None:
        """Start the command, from the main thread; raises `UpstreamFailed`.

        `loop` carries its lines; where it is `shared`, its owner starts it and ends it.
        """
        self._name = entry.name
        self._narrator = narrator
        self._line_limit = line_limit
        self._shared = shared
        self._loop = Loop() if loop is None else loop
        self._child = Child(entry)
        self._inlet = Outlet(self._child.stdin, self._loop, broken=lambda: None)
        self._last_words = LastWords()
        self._heard_out = threading.Event()
        self._silent = threading.Event()
        self._silent.set()

    def start(self, deliver: Deliver, ended: Callable[[], None]) -> None:
        """Have its output read by the loop, and watch for its end."""
        stdout = self._child.stdout

        def read_out() -> None:
            os.close(stdout)
            self._silent.set()
            ended()

        self._silent.clear()
        self._loop.read(stdout, self._line_limit, deliver, read_out, regardless=self._inlet)
        if not self._shared:
            self._loop.start()
        lasting.start("server-words", self._pass_words_on)
        lasting.start("server-end", lambda: self._watch(ended), fatal=ended)

    def send(self, *lines: bytes) -> None:
        """Write lines to its stdin.

        On a shared loop, whose sources wait for a slow server, other threads wait for it too;
        whoever sends to one with a loop of its own asks first whether it is `full`.
        """
        self._inlet.send(*map(_ON_ONE_LINE, lines))
        if self._shared and self._inlet.kept:
            self._inlet.wait()

    @property
    def full(self) -> bool:
        """Tell whether so much waits for it already that it should not be sent more."""
        return self._inlet.full

    def end(self, patience: float) -> int:
        """Close its stdin, wait, end its group, and deliver what it wrote last."""
        self._inlet.close()
        status = self._child.end(patience)
        self._inlet.close(0)
        self._silent.wait(_DRAIN)
        if not self._shared:
            self._loop.end()
        return status

    def _watch(self, ended: Callable[[], None]) -> None:
        self._child.wait()
        ended()

    def _pass_words_on(self) -> None:
        for lines in read_lines(self._child.stderr, _LOG_LINE):
            for line in lines:
                with lasting.Survived("passing on what a server said", lasting.to_stderr):
                    self._hear(line.head if isinstance(line, TooLong) else line)
        self._heard_out.set()
        os.close(self._child.stderr)

    @property
    def said(self) -> str:
        """The line of its stderr that tells most of why it ended; waits a moment for the last."""
        self._heard_out.wait(_LAST_WORDS)
        return self._last_words.text

    def _hear(self, words: bytes) -> None:
        self._last_words.hear(words)
        self._narrator.quote(self._name, words)
