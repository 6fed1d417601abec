from __future__ import annotations

import asyncio
import threading
import time

import pytest

from pktui.tui import threads
from pktui.tui.threads import DaemonThreads


def test_a_job_gives_its_result_or_its_error() -> None:
    pool = DaemonThreads()
    assert pool.submit(lambda number: number + 1, 1).result(5) == 2
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result(5)


def test_leaving_waits_for_short_work_and_not_for_stuck_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "GRACE_SECONDS", 0.3)
    stuck, began, short = threading.Event(), threading.Event(), []

    async def leave() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(DaemonThreads())
        loop.run_in_executor(None, stuck.wait)

        def work() -> None:
            began.wait(5)
            short.append(1)

        loop.run_in_executor(None, work)
        began.set()

    at = time.monotonic()
    asyncio.run(leave())
    assert time.monotonic() - at < 5
    assert short == [1]
    stuck.set()
