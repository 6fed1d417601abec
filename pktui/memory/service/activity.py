"""Whether anybody uses the service: what decides that it ends, and when upkeep may run."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Activity:
    """Requests under way and the time since the last one. Usable from several threads.

    `monotonic` tells seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic
        self._last = monotonic()
        self.changed = self._last
        """When something was committed last, or the beginning."""
        self._running = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Count a request, which uses the service until it is ended."""
        with self._lock:
            self._running += 1

    def end(self) -> None:
        """Say that a request was answered."""
        with self._lock:
            self._running -= 1
            self._last = self.monotonic()

    def unchanged_seconds(self) -> float:
        """Return the seconds since something was committed, or since the beginning."""
        return self.monotonic() - self.changed

    @property
    def running(self) -> int:
        """The number of requests under way."""
        with self._lock:
            return self._running

    @property
    def busy(self) -> bool:
        """Tell whether a request is under way."""
        return self.running > 0

    def idle_seconds(self) -> float:
        """Return the seconds since the last request ended; 0 while one is under way."""
        with self._lock:
            return 0.0 if self._running else self.monotonic() - self._last
