"""Threads for workers that never hold up leaving: what does not end in time dies with the process.

A worker can wait for a memory service that is stuck. The executor that asyncio makes by itself
would keep the process, and the person's terminal, until that answer comes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any, ParamSpec, TypeVar

from pktui.daemon_pool import DaemonPool

P = ParamSpec("P")
T = TypeVar("T")

# What work under way gets when the console is left; writes to the ledger take milliseconds.
GRACE_SECONDS = 1.0


class DaemonThreads(ThreadPoolExecutor):
    """The executor that asyncio asks for, over a `DaemonPool`."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = DaemonPool("console-worker")
        self._open: set[Future[Any]] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the job now."""
        future: Future[T] = Future()
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        self._pool.do(lambda: _fulfil(future, lambda: fn(*args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for jobs under way, but not for long."""
        del wait, cancel_futures
        wait_for(tuple(self._open), timeout=GRACE_SECONDS)
        self._pool.dismiss()


def _fulfil(future: Future[Any], job: Callable[[], object]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(job())
    except BaseException as error:  # noqa: BLE001  the future carries it to who waits for it
        future.set_exception(error)
