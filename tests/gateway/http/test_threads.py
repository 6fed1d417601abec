"""What may wait for a ledger runs to its end, whoever has ceased to wait for it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from pktui.gateway.http.threads import WorkerThreads


async def test_what_nobody_waits_for_any_more_is_waited_for_at_the_end() -> None:
    threads = WorkerThreads()
    begun, going_on = threading.Event(), threading.Event()
    done: list[str] = []

    def write(what: str) -> None:
        begun.set()
        going_on.wait()
        done.append(what)

    left = asyncio.ensure_future(threads.write(write, "left"))
    await asyncio.to_thread(begun.wait)
    left.cancel()
    with suppress(asyncio.CancelledError):
        await left
    threads.soon(write, "soon")
    ended = asyncio.ensure_future(threads.written())
    await asyncio.sleep(0)
    assert not ended.done()
    going_on.set()
    await ended
    assert sorted(done) == ["left", "soon"]
    await threads.written()
    threads.end()


async def test_what_fails_is_waited_for_too() -> None:
    threads = WorkerThreads()

    def fail() -> None:
        raise OSError("full")

    failing = asyncio.ensure_future(threads.write(fail))
    await asyncio.sleep(0)
    await threads.written()
    with suppress(OSError):
        await failing
    threads.end()
