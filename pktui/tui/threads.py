"""Threads for workers that never hold up leaving: what does not end in time dies with the process.

A worker can wait for a memory service that is stuck. The executor that asyncio makes by itself
would keep the process, and the person's terminal, until that answer comes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

GRACE_SECONDS = 1.0
"""What work under way gets when the console is left; writes to the ledger take milliseconds."""


class DaemonThreads(ThreadPoolExecutor):
    """Runs each job in a daemon thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._running: set[threading.Thread] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the job now."""
        future: Future[T] = Future()

        def run() -> None:
            _fulfil(future, lambda: fn(*args, **kwargs))
            self._running.discard(thread)

        thread = threading.Thread(target=run, name="console-worker", daemon=True)
        self._running.add(thread)
        thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for jobs under way, but not for long."""
        del wait, cancel_futures
        until = time.monotonic() + GRACE_SECONDS
        for thread in tuple(self._running):
            thread.join(max(0.0, until - time.monotonic()))


def _fulfil(future: Future[Any], job: Callable[[], object]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(job())
    except BaseException as error:  # noqa: BLE001  the future carries it to who waits for it
        future.set_exception(error)
