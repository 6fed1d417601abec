"""What the service does when nobody asks: load the model, make vectors, tidy up, end sessions.

One thread, one piece of work at a time, and each piece is small: while requests are under way it
waits for a gap, though never for long, so that searches do not stall and the backlog still ends.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from pktui import lasting
from pktui.errors import PktuiError
from pktui.memory.service.c_library import give_back
from pktui.memory.service.holder import panics_told

if TYPE_CHECKING:
    from pktui.memory.embed import Embedder
    from pktui.memory.service.activity import Activity
    from pktui.memory.service.holder import StoreHolder
    from pktui.memory.store import Store

BATCH_TEXTS = 32
# Of a backlog so many are embedded at once, which the packaged model leaves to a process.
BACKLOG_TEXTS, LARGE_BATCH_TEXTS = 256, 128
# Messages seldom come alone: vectors for what came within this time are made together.
GATHER_S = 0.25
GAP_S = 0.05
# Vectors are made in gaps of at least that long between requests; without one, after this wait.
LONGEST_WAIT_FOR_GAP_S = 0.5
ROUND_S = 30.0
RETRY_S = 30.0
# After this long without a request, what was committed since the last upkeep is tidied up.
QUIET_S = 5.0
# How much less of a processor the background gets than requests, where the system can tell.
NICENESS = 10


class Background:
    """The thread that does it; `wake` it when something was committed.

    `say` takes a sentence for the log.
    """

    def __init__(
        self,
        holder: StoreHolder,
        activity: Activity,
        load_embedder: Callable[[], Embedder],
        say: Callable[[str], None],
    ) -> None:
        self._holder = holder
        self._activity = activity
        self._load_embedder = load_embedder
        self._say = say
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._untidy = False
        self._loading = False
        self.done = False
        """Nothing is left to do until somebody asks for something."""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; the store may still be opening."""
        self._thread = lasting.start("memory-background", self._run, log=self._say)

    def wake(self) -> None:
        """Say that something was committed."""
        self._untidy = True
        self._activity.changed = self._activity.monotonic()
        self._woken.set()

    def ask_to_stop(self) -> None:
        """End after the piece of work under way."""
        self._stopping.set()
        self._woken.set()

    def stop(self, timeout_s: float) -> None:
        """End after the piece of work under way, and wait for that, though not for ever.

        There is no waiting for a model that is loading: that cannot be ended, and leaves nothing.
        """
        self.ask_to_stop()
        if not self._loading and self._thread is not None:
            self._thread.join(timeout_s)

    @property
    def stopping(self) -> bool:
        """Tell whether it was told to end."""
        return self._stopping.is_set()

    @property
    def running(self) -> bool:
        """Tell whether the thread is still at work."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        try:
            store = self._holder.wait()
        except PktuiError:
            return  # every request says why
        self._load_model(store)  # somebody may wait for it
        _stand_back()
        with lasting.Survived("looking at the store", self._say), panics_told():
            self._untidy |= store.upkeep_due(quiet=True)  # the last owner may not have tidied up
        while not self._stopping.is_set() and store.read_words():
            self._give_way()
        while not self._stopping.is_set():
            pause = self._round(store)
            self.done = not self._untidy
            woken = self._woken.wait(pause)
            self._woken.clear()
            self.done = False
            if woken:
                self._stopping.wait(GATHER_S)

    def _load_model(self, store: Store) -> None:
        failed = functools.partial(store.model_waiting, "failed")
        with lasting.Survived("loading the model", self._say, failed), panics_told():
            store.attach(self._loaded())

    def _loaded(self) -> Embedder:
        self._loading = True
        try:
            return self._load_embedder()
        finally:
            self._loading = False

    def _round(self, store: Store) -> float:
        """Do what there is to do; returns for how many seconds there is nothing more."""
        with lasting.Survived("upkeep, which is tried again,", self._failed), panics_told():
            while not self._stopping.is_set() and store.embed_pending(_batch(store)):
                self._untidy = True
                self._tidy(store, at_rest=False)
                if store.pending_vectors() < BATCH_TEXTS:
                    self._stopping.wait(GATHER_S)
                self._give_way()
            self._tidy(store, at_rest=self._activity.unchanged_seconds() >= QUIET_S)
            store.end_inactive()
            return QUIET_S if self._untidy else ROUND_S
        self._untidy = False
        return RETRY_S

    def _failed(self, why: str) -> None:
        if not self._stopping.is_set():  # then the model is ended under it
            self._say(why)

    def _tidy(self, store: Store, *, at_rest: bool) -> None:
        quiet = self._untidy and self._activity.idle_seconds() >= QUIET_S
        due = store.upkeep_due(quiet=quiet)
        if quiet:
            self._untidy = False
        if quiet or store.flush_due():
            store.flush()
        if due:
            store.optimize(worn_only=True, quiet=quiet)
        saved = store.save_index(quiet=at_rest)
        if due or quiet or saved:
            give_back()

    def _give_way(self) -> None:
        waited = 0.0
        while waited < LONGEST_WAIT_FOR_GAP_S and self._activity.idle_seconds() < GAP_S:
            if self._stopping.wait(GAP_S):
                return
            waited += GAP_S


def _batch(store: Store) -> int:
    return LARGE_BATCH_TEXTS if store.pending_vectors() >= BACKLOG_TEXTS else BATCH_TEXTS


def _stand_back() -> None:
    """Let requests go before the upkeep, and before the threads that the model starts for it."""
    if sys.platform != "linux":  # elsewhere the number of a thread is that of no process
        return
    with suppress(OSError):  # a sandbox may not let it
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
