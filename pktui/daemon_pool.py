"""Threads for jobs that start at once and may wait long, none of which holds up leaving.

Where threads are few, bounded and waited for, the standard library's executor serves: for what an
HTTP gateway does beside its event loop, and for work on an open store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from pktui import lasting


class DaemonPool:
    """Runs each job at once, in an idle daemon thread or a new one.

    Threads are kept: starting one makes whoever starts it wait until it runs. What goes wrong in a
    job is told to `log`, and the thread goes on.
    """

    def __init__(self, name: str, log: lasting.Log = lasting.to_stderr) -> None:
        self._name = name
        self._log = log
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._idle = 0
        self._dismissed = False

    def do(self, job: Callable[[], object]) -> None:
        """Have the job done now, by a thread that does nothing else meanwhile."""
        with self._lock:
            free = self._idle > 0
            self._idle -= free
        self._jobs.put(job)
        if not free:
            lasting.start(self._name, self._work, log=self._log)

    def dismiss(self) -> None:
        """Let every thread go when it has done its job; what comes later is done all the same."""
        with self._lock:
            self._dismissed = True
            idle, self._idle = self._idle, 0
        for _ in range(idle):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            with lasting.Survived("a job", self._log):
                job()
            del job
            with self._lock:
                if self._dismissed:
                    return
                self._idle += 1
