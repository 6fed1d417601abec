"""What stands behind a relay: a protocol, and the server that is a process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from pktui.gateway.child import Child
from pktui.gateway.lines import Outlet, TooLong, read_lines

if TYPE_CHECKING:
    from pktui.gateway.narrator import Narrator
    from pktui.gateway.servers import ServerEntry

_LOG_LINE: Final = 16 * 1024
_DRAIN: Final = 0.5
"""Seconds for the last lines of a server that has ended."""

Deliver = Callable[["bytes | TooLong"], None]


class Upstream(Protocol):
    """A server, whatever it is made of."""

    def start(self, deliver: Deliver, ended: Callable[[], None]) -> None:
        """Begin to hand its lines to `deliver`; `ended` is called when it has gone by itself."""

    def send(self, line: bytes) -> None:
        """Take one line of the client; one that is gone takes it too."""

    def end(self, patience: float) -> int:
        """Tell it that no more will come, wait `patience` seconds, then end it.

        Returns its status as a shell gives it, after its last lines were delivered.
        """


class ProcessServer:
    """A server that was started as a command."""

    def __init__(self, entry: ServerEntry, narrator: Narrator, line_limit: int) -> None:
        """Start the command, from the main thread; raises `UpstreamFailed`."""
        self._name = entry.name
        self._narrator = narrator
        self._line_limit = line_limit
        self._child = Child(entry)
        self._inlet = Outlet(self._child.stdin, broken=lambda: None)
        self._reader: threading.Thread | None = None

    def start(self, deliver: Deliver, ended: Callable[[], None]) -> None:
        """Begin to read its output and to watch for its end."""
        self._reader = _thread("server-lines", lambda: self._read(deliver, ended))
        _thread("server-words", self._pass_words_on)
        _thread("server-end", lambda: self._watch(ended))

    def send(self, line: bytes) -> None:
        """Write one line to its stdin."""
        self._inlet.send(line)

    def end(self, patience: float) -> int:
        """Close its stdin, wait, end its group, and deliver what it wrote last."""
        self._inlet.close()
        status = self._child.end(patience)
        if self._reader is not None:
            self._reader.join(_DRAIN)
        return status

    def _read(self, deliver: Deliver, ended: Callable[[], None]) -> None:
        try:
            for lines in read_lines(self._child.stdout, self._line_limit):
                for line in lines:
                    deliver(line)
        finally:
            ended()

    def _watch(self, ended: Callable[[], None]) -> None:
        self._child.wait()
        ended()

    def _pass_words_on(self) -> None:
        for lines in read_lines(self._child.stderr, _LOG_LINE):
            for line in lines:
                words = line.head if isinstance(line, TooLong) else line
                self._narrator.quote(self._name, words)


def _thread(name: str, target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
