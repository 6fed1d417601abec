"""The store as the service holds it: opening at first, then open, or failed with a reason."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from pktui.errors import MemoryUnavailable, PktuiError, StoreError
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.memory.records import StoreState
    from pktui.memory.store import Store

T = TypeVar("T")

WORKERS = 32


class StoreHolder:
    """Opens the store in a thread of its own; work that comes meanwhile waits for it."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open_store = open_store
        self._opened: Future[Store] = Future()
        self._opened.set_running_or_notify_cancel()  # who stops waiting must not cancel it for all
        self._given_up = ending()
        self.workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="memory")
        """The threads that work on the store."""
        self.store: Store | None = None
        """The store once it is open."""
        self._opener = threading.Thread(target=self._open, name="memory-opener", daemon=True)

    def start(self) -> None:
        """Begin to open the store."""
        self._opener.start()

    @property
    def state(self) -> StoreState:
        """Tell whether the store is open yet."""
        if not self._opened.done():
            return "opening"
        return "ready" if self._opened.exception() is None else "failed"

    @property
    def failure(self) -> BaseException | None:
        """Return why the store could not be opened."""
        error = self._opened.exception() if self._opened.done() else None
        return None if error is self._given_up else error

    def wait(self) -> Store:
        """Return the store once it is open; raises what kept it from being opened."""
        return self._opened.result()

    async def run(self, work: Callable[[Store], T]) -> T:
        """Do the work with the open store, in a thread; raises what it raises."""
        store = await asyncio.wrap_future(self._opened)

        def told() -> T:
            with panics_told():
                return work(store)

        return await asyncio.get_running_loop().run_in_executor(self.workers, told)

    def give_up(self) -> None:
        """Let nobody wait for a store that is not open yet; that is no `failure`."""
        with suppress(InvalidStateError):
            self._opened.set_exception(self._given_up)

    def close(self) -> None:
        """Wait for the work under way and close the store; do not wait for one that opens yet."""
        if self.state == "ready":
            self.workers.shutdown(wait=True)
            self.wait().close()

    @property
    def running(self) -> bool:
        """Tell whether the store is still being opened."""
        return self._opener.is_alive()

    def _open(self) -> None:
        with suppress(InvalidStateError):  # given up meanwhile
            try:
                with panics_told():
                    store = self._open_store()
            except PktuiError as error:
                self._opened.set_exception(error)
            except Exception as error:  # noqa: BLE001  whatever it is, those who wait must hear of it
                failure = StoreError(
                    f"the memory cannot be opened: {type(error).__name__}: {error}",
                    "See the service's log; pktui doctor tells more",
                )
                failure.__cause__ = error
                self._opened.set_exception(failure)
            else:
                self._opened.set_result(store)
                self.store = store


@contextmanager
def panics_told() -> Iterator[None]:
    """Raise `StoreError` for a panic of the store's library, which is no `Exception`."""
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as panic:
        raise panic_error(panic) from panic


def panic_error(panic: BaseException) -> StoreError:
    """Return what a panic of the store's library is told as."""
    return StoreError(
        f"the memory's library failed: {type(panic).__name__}: {one_line(str(panic))}",
        "Try again; if it comes back, please report it",
    )


def ending() -> MemoryUnavailable:
    """Return what is told to those who wait for something when the service ends."""
    return MemoryUnavailable(
        "the memory service was told to end before it was ready", "Ask again: it starts anew"
    )
