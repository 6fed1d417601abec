from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future, wait
from typing import Any

import pytest

from pktui.tui import threads
from pktui.tui.threads import GRACE_SECONDS, DaemonThreads

PATIENCE = 60.0


def test_a_job_gives_its_result_or_its_error() -> None:
    pool = DaemonThreads()
    assert pool.submit(lambda number: number + 1, 1).result(PATIENCE) == 2
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result(PATIENCE)


def test_leaving_waits_for_short_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "GRACE_SECONDS", PATIENCE)
    leaving, done = threading.Event(), []

    def wait_for(jobs: Collection[Future[Any]], timeout: float) -> None:
        leaving.set()
        wait(jobs, timeout)

    monkeypatch.setattr(threads, "wait_for", wait_for)

    def work() -> None:
        leaving.wait(PATIENCE)
        done.append(1)

    _leave_while(work)
    assert done == [1]


def test_leaving_does_not_wait_for_stuck_work(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GRACE_SECONDS < 5
    monkeypatch.setattr(threads, "GRACE_SECONDS", 0.01)
    stuck, done = threading.Event(), []

    def work() -> None:
        stuck.wait()
        done.append(1)

    _leave_while(work)
    assert not done
    stuck.set()


def _leave_while(work: Callable[[], None]) -> None:
    async def leave() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(DaemonThreads())
        loop.run_in_executor(None, work)

    asyncio.run(leave())
