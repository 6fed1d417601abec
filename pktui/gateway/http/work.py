"""Threads for what may wait for the disk: deciding, recording, starting servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
_THREADS = 8
LARGE = 32 * 1024
"""Bytes from which on a message is looked at beside the event loop. A decision on a smaller one
takes less than to hand it over; calls wait for each other in the ledger in any case."""


class Work:
    """Runs what blocks beside the event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="police")

    async def run(
        self,
        function: Callable[_Given, _Result],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Result:
        """Run a function and return what it returns."""
        return await asyncio.wrap_future(self._pool.submit(function, *given, **named))

    def soon(
        self, function: Callable[_Given, object], *given: _Given.args, **named: _Given.kwargs
    ) -> None:
        """Run a function that nobody waits for."""
        self._pool.submit(function, *given, **named)

    def end(self) -> None:
        """Wait for what runs, and take nothing more."""
        self._pool.shutdown()
