"""Threads for what may wait: for the ledger, for the disk, for a server to start."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, Protocol, TypeVar

from pktui import lasting

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
_Taken = TypeVar("_Taken")
_THREADS = 8
# Bytes from which on a message is looked at beside the event loop.
LARGE = 32 * 1024


class Claimable(Protocol):
    """What is written to; a `ServerContext` is."""

    @property
    def claim(self) -> Callable[[], bool]:
        """Keeps other threads out until `let_go`; False where it has to be waited for."""

    @property
    def let_go(self) -> Callable[[], object]:
        """Lets other threads in again."""


class WorkerThreads:
    """Runs what blocks beside the event loop.

    What writes to a ledger has threads of its own: where another process keeps the ledger locked
    for seconds, everything else goes on.
    """

    def __init__(self, log: lasting.Log = lasting.to_stderr) -> None:
        self._log = log
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self._writing: set[Future[Any]] = set()
        self._writers = ThreadPoolExecutor(_THREADS, thread_name_prefix="police")
        self._others = ThreadPoolExecutor(_THREADS, thread_name_prefix="work")

    async def run(
        self,
        function: Callable[_Given, _Result],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Result:
        """Run a function that writes to no ledger; return what it returns."""
        return await asyncio.wrap_future(self._others.submit(function, *given, **named))

    async def write(
        self,
        function: Callable[_Given, _Result],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Result:
        """Run a function that may wait for a ledger; return what it returns."""
        return await asyncio.wrap_future(self._write(function, *given, **named))

    def _write(
        self,
        function: Callable[_Given, _Result],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> Future[_Result]:
        written = self._writers.submit(function, *given, **named)
        self._writing.add(written)
        written.add_done_callback(self._writing.discard)
        return written

    async def written(self) -> None:
        """Wait until nothing runs that may write to a ledger, whoever has ceased to wait for it."""
        while writing := tuple(self._writing):
            await asyncio.gather(*map(asyncio.wrap_future, writing), return_exceptions=True)

    async def decide(
        self,
        claimed: Claimable,
        function: Callable[[_Taken], _Result],
        taken: _Taken,
        *,
        size: int,
    ) -> _Result:
        """Run a function that writes to a ledger once, on a message of so many bytes.

        A short one is done here where it need not wait: handing it over takes longer.
        """
        if size <= LARGE and claimed.claim():
            try:
                return function(taken)
            finally:
                claimed.let_go()
        return await self.write(function, taken)

    def soon(
        self, function: Callable[_Given, object], *given: _Given.args, **named: _Given.kwargs
    ) -> None:
        """Run a function that nobody waits for, and that may wait for a ledger."""

        def do() -> None:
            with lasting.Survived("what nobody waits for", self._log):
                function(*given, **named)

        self._write(do)

    def end(self) -> None:
        """Wait for what runs, and take nothing more."""
        self._others.shutdown()
        self._writers.shutdown()
