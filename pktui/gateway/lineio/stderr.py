"""What a gateway says on stderr, so that a client that never reads it holds nothing up."""

from __future__ import annotations

import os
from queue import Full, Queue
from typing import Final

from pktui import lasting
from pktui.gateway.lineio.lines import write_all
from pktui.text import one_line, visible

_CAPACITY: Final = 1000
_LONGEST: Final = 2000
_STDERR: Final = 2


class Narrator:
    """Writes lines from a thread of its own; `say` never waits and drops what does not fit."""

    def __init__(self, descriptor: int = _STDERR) -> None:
        self._descriptor = descriptor
        self._lines: Queue[bytes | None] = Queue(_CAPACITY)
        self._thread = lasting.start("stderr", self._write)

    def say(self, sentence: str) -> None:
        """Say one sentence of the gateway itself."""
        try:
            self._lines.put_nowait(_encoded(f"pktui: {one_line(sentence, _LONGEST)}"))
        except Full:
            return

    def quote(self, server: str, words: bytes) -> None:
        """Pass on one line that a server wrote to its stderr; waits while the reader is slow."""
        self._lines.put(_encoded(f"[{server}] {visible(words.decode(errors='replace'))}"))

    def finish(self, patience: float = 0.2) -> None:
        """Write what is left, for at most `patience` seconds."""
        try:
            self._lines.put(None, timeout=patience)
        except Full:
            return
        self._thread.join(patience)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                write_all(self._descriptor, line)
            except OSError:
                self._descriptor = os.open(os.devnull, os.O_WRONLY)


def _encoded(line: str) -> bytes:
    return line.encode(errors="backslashreplace") + b"\n"
