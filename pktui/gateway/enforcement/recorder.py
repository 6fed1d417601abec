"""What tools answered, put on record behind the calls, on a thread of its own.

A call waits for nothing of this: it hands over what it was answered, and what is collected so is
masked and written once calls come less fast, a second later at most. A gateway that is killed loses
what it had not written yet.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.ledger.results import Answered

if TYPE_CHECKING:
    from pktui.gateway.enforcement.decision import Ended
    from pktui.ledger.results import Results

# Seconds in which results are collected: waking a thread for each costs more than writing it.
_COLLECT: Final = 0.05
# Calls come fast where that many end meanwhile: then writing waits, so that it takes no time from
# them, but for no longer than those seconds and no more than those bytes.
_FAST: Final = 20
_LATEST: Final = 1.0
_LATEST_BYTES: Final = 8 * 1024 * 1024
# Results in one write.
_AT_ONCE: Final = 32
# Bytes that wait to be written; what comes beyond them is not kept, and that is said.
_MOST_BYTES: Final = 64 * 1024 * 1024
_FULL: Final = (
    "tools answer more than can be put on record: until that is written, results are not kept"
)
_END_SECONDS: Final = 5.0


class Recorder:
    """Takes how calls ended from any thread, and writes what they were answered."""

    def __init__(self, results: Callable[[], Results], server: str, log: lasting.Log) -> None:
        """`results` opens what is written to, once there is something to write."""
        self._results = results
        self._server = server
        self._log = log
        self._lock = threading.Lock()
        # Without the calls, whose arguments may be large.
        self._waiting: deque[Answered] = deque()
        self._size = 0
        self._full = False
        self._bell = threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None
        self._said = ""

    def take(self, ended: Iterable[Ended]) -> None:
        """Take what calls were answered; returns at once."""
        with self._lock:
            was_full = self._full
            for end in ended:
                if end.result and self._size <= _MOST_BYTES:
                    self._size += len(end.result)
                    self._waiting.append(self._answered(end))
                elif end.result:
                    self._full = True
            told = was_full or not self._full
            if self._waiting and not self._bell.is_set():
                self._bell.set()
                if self._thread is None:
                    self._thread = lasting.start("results", self._run, log=self._log)
        if not told:
            self._log(_FULL)

    def close(self) -> None:
        """Write what is left; takes at most some seconds."""
        with self._lock:
            self._ending = True
            thread = self._thread
            if thread is not None:
                self._bell.set()
        if thread is not None:
            thread.join(_END_SECONDS)
            if left := len(self._waiting):
                self._log(f"pktui ends, and what {left:,} calls were answered is not on record")

    def _run(self) -> None:
        # What was taken just before the end is written yet.
        while not self._ending or self._waiting:
            self._bell.wait()
            self._collect()
            self._bell.clear()
            while self._waiting:
                with lasting.Survived("recording what tools answered", self._say):
                    self._write()
            self._full = False

    def _collect(self) -> None:
        """Wait until there is time to write, or too much to be written."""
        until = time.monotonic() + _LATEST
        before = -_FAST
        while not self._ending and len(self._waiting) - before >= _FAST:
            if time.monotonic() >= until or self._size >= _LATEST_BYTES:
                return
            before = len(self._waiting)
            time.sleep(_COLLECT)

    def _write(self) -> None:
        """Write some of what waits."""
        with self._lock:
            some = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            self._size -= sum(len(one.result) for one in some)
        self._results().add(some)
        self._said = ""

    def _answered(self, end: Ended) -> Answered:
        call = end.call
        return Answered(call.call_id, self._server, call.tool, end.outcome, end.result, end.seq)

    def _say(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._log(sentence)
