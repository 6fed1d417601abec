"""Run the service in the foreground: own the data directory, serve, and end in good order.

The socket listens before anything heavy is imported, so that clients find it within a fraction
of a second; what they ask waits until it can be answered. The service ends when it was idle for
long enough, on SIGTERM and SIGINT, when it is told to stop, when the store cannot be opened, and
when its data directory goes away.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from pktui import lasting
from pktui.errors import PktuiError
from pktui.files import make_private_directory
from pktui.memory.service.activity import Activity
from pktui.memory.service.c_library import share_arenas
from pktui.memory.service.ownership import Ownership
from pktui.memory.store_location import place_of
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.memory.embed import Embedder
    from pktui.memory.importers.calls import Masks
    from pktui.memory.service.context import Context
    from pktui.memory.service.follow import Following
    from pktui.memory.service.lease_renewal import LeaseRenewal
    from pktui.memory.service.listening import Entrance
    from pktui.memory.service.serving import LocalServer
    from pktui.memory.store import Store
    from pktui.memory.store.lease import Lease
    from pktui.memory.store.tables import Database
    from pktui.settings import Paths, Settings

CHECK_S = 1.0
# In the data directory, where the store itself is no directory.
INDEX_NAME = "memory.index"
# How long a thread keeps the interpreter from the others; a request is passed on five times.
SWITCH_S = 0.0005
# What the files of the store are not for.
NOBODY_ELSE = 0o077
# What giving the lease back may take.
RELEASE_S = 5


def main(
    paths: Paths,
    settings: Settings,
    entrance: Entrance | None = None,
    masks: Masks | None = None,
) -> int:
    """Serve until there is reason to end; returns the exit status, 0 or 1.

    With an entrance also for other machines, and then also while nobody asks; with `masks`, what
    takes secrets out of tool calls, adopted agents' stores are followed. What it makes, the
    library's files too, is for this user alone.
    """
    before = os.umask(NOBODY_ELSE)
    share_arenas()
    try:
        return _main(paths, settings, entrance, masks)
    finally:
        os.umask(before)


def _main(paths: Paths, settings: Settings, entrance: Entrance | None, masks: Masks | None) -> int:
    try:
        ownership = Ownership.take(paths)
    except PktuiError as error:
        say(f"pktui: {error}")
        return 1
    try:
        service = Service(paths, settings, ownership, entrance=entrance, masks=masks)
        service.serve()
        status = 0 if service.failure is None else 1
        if service.lingering:
            ownership.retire()
            sys.stderr.flush()
            os._exit(status)
    except PktuiError as error:
        say(f"pktui: {error}")
        status = 1
    finally:
        ownership.release()
    return status


def say(words: str) -> None:
    """Write a line to standard error, which is the log where the service was started on demand."""
    with suppress(OSError, ValueError):  # on a full disk the service goes on without a log
        print(one_line(words, 2_000), file=sys.stderr, flush=True)


def _nothing() -> None:
    """Do nothing: where there is nothing to end."""


class Service:
    """One running service. The seams are for tests: the model, the clock of idleness."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        ownership: Ownership,
        *,
        load_embedder: Callable[[], Embedder] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        check_s: float = CHECK_S,
        entrance: Entrance | None = None,
        masks: Masks | None = None,
    ) -> None:
        self._masks = masks
        self._paths = paths
        self._settings = settings.memory
        self._ownership = ownership
        self._load_embedder = load_embedder or self._load_model
        self._check_s = check_s
        self._entrance = entrance
        self._server: LocalServer | None = None
        self._running: Context | None = None
        self._close_embedder: Callable[[], None] = _nothing
        self._place = place_of(paths, settings)
        self._renewal: LeaseRenewal | None = None
        self._following: Following | None = None
        self.activity = Activity(monotonic)
        self.failure: BaseException | None = None

    def serve(self) -> None:
        """Serve until there is reason to end."""
        sys.setswitchinterval(SWITCH_S)
        asyncio.run(self._serve())

    def stop(self) -> None:
        """End after the answers under way; callable from any thread once it serves.

        Who waits for the store to be opened is told at once that it will not be.
        """
        if self._server is not None and self._running is not None:
            self._server.should_exit = True
            self._running.holder.give_up()

    @property
    def lingering(self) -> bool:
        """Tell whether a thread could not be ended: it loads a library, the model or the store."""
        running = self._running
        if running is None:
            return False
        return running.background.running or running.holder.running

    @property
    def stopping(self) -> bool:
        """Tell whether it is about to end, or has ended."""
        return self._server is not None and self._server.should_exit

    async def _serve(self) -> None:
        from pktui.memory.service.app import build_app
        from pktui.memory.service.serving import LocalServer, TcpServer
        from pktui.memory.service.verbs import Verbs

        context = self._running = self._context()
        verbs = Verbs(context, say)
        app = build_app(context, verbs, say)
        others = None
        if self._entrance is not None:
            others = TcpServer(app, self._entrance, self._settings.allowed_hosts)
        self._server = LocalServer(
            app, verbs.post_short, others, functools.partial(self._ending, context)
        )
        loop = asyncio.get_running_loop()
        with _signals(loop, self.stop):
            watch = loop.create_task(self._watch(context))
            self._follow(context)
            await self._server.serve(sockets=[self._ownership.listener])
            watch.cancel()
        self._failed(context)
        if self._renewal is not None and not self.lingering:
            await asyncio.to_thread(self._renewal.end, RELEASE_S)

    def _follow(self, context: Context) -> None:
        """Follow adopted agents' stores, on a thread that loads what that takes."""
        if self._masks is None:
            return
        from pktui.memory.service.follow import Following

        self._following = Following(self._paths, context, self._masks, say)
        self._following.start()

    def _ending(self, context: Context) -> None:
        """Let those who wait for something wait no more, before the answers under way are due."""
        if self._following is not None:
            self._following.stop()
        context.background.ask_to_stop()
        self._close_embedder()
        self._ownership.end()

    def _context(self) -> Context:
        from pktui.memory.service.background import Background
        from pktui.memory.service.context import Context
        from pktui.memory.service.holder import StoreHolder
        from pktui.memory.service.ingest import Ingest
        from pktui.memory.service.usage import UsageBook

        holder = StoreHolder(self._open_store)
        background = Background(holder, self.activity, self._load_embedder, say)
        usage = UsageBook(self._paths.usage_file)
        return Context(
            self._place.shown,
            holder,
            background,
            self.activity,
            self.stop,
            usage=usage,
            ingest=Ingest(usage),
        )

    def _open_store(self) -> Store:
        from pktui.memory.store import Store
        from pktui.memory.store.tables import Database

        if self._place.directory is not None:
            make_private_directory(self._place.directory)
        database = Database(self._place)
        database.guard = self._ownership.check
        if self._place.shared:
            self._take_lease(database)
        timeout = timedelta(minutes=self._settings.session_timeout_minutes)
        index = None if self._place.directory is not None else self._paths.data_dir / INDEX_NAME
        store = Store.open(
            database, session_timeout=timeout, index=index, sync=self._settings.fsync
        )
        if store.damage:
            say(f"pktui: {store.damage}")
        store.model_waiting("loading", "the model is being loaded")
        return store

    def _take_lease(self, database: Database) -> None:
        from pktui.memory.service.lease_renewal import LeaseRenewal, holder_of
        from pktui.memory.store.lease import Lease

        lease = Lease.take(database, holder_of(self._paths.memory_owner))
        database.guard = functools.partial(self._check_own, lease)
        self._renewal = LeaseRenewal(lease, say)
        self._renewal.start()

    def _check_own(self, lease: Lease) -> None:
        self._ownership.check()
        lease.check()

    def _load_model(self) -> Embedder:
        from pktui.memory.embed import load_embedder
        from pktui.memory.embed.packaged import PackagedModel
        from pktui.memory.service.c_library import give_back, keep_freed_memory

        keep_freed_memory()
        embedder = load_embedder(self._settings.model, self._paths.models_dir)
        if isinstance(embedder, PackagedModel):
            self._close_embedder = embedder.close
            if embedder.degraded:
                say(f"pktui: {embedder.degraded}")
        gc.collect()
        give_back()  # a model is read into memory before it is in its place
        gc.freeze()  # store and model stay: looking through them again is a pause for every request
        return embedder

    async def _watch(self, context: Context) -> None:
        """Look for reasons to end until there is one."""
        while True:
            await asyncio.sleep(self._check_s)
            with lasting.Survived("looking after the service", say):
                if self._is_over(context):
                    self.stop()
                    return

    def _is_over(self, context: Context) -> bool:
        if self._failed(context):
            return True
        if self._ownership.lost:
            say(f"The data directory {self._paths.data_dir} is gone: ending.")
            return True
        if self._ownership.unreachable:
            say(f"The socket {self._ownership.socket} is gone: ending, so that another one starts.")
            return True
        return self._idle() and context.background.done

    def _failed(self, context: Context) -> bool:
        """Tell whether the store could not be opened, or is not ours any more; say why, once."""
        lost = self._renewal.failure if self._renewal is not None else None
        failure = context.holder.failure or lost
        if failure is not None and self.failure is None:
            self.failure = failure
            say(f"pktui: {failure}")
        return failure is not None

    def _idle(self) -> bool:
        idle = self.activity.idle_seconds() >= self._settings.idle_minutes * 60
        return idle and self._entrance is None


@contextmanager
def _signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> Iterator[None]:
    """End in good order on SIGTERM and SIGINT, where this is the main thread."""
    handled = (signal.SIGTERM, signal.SIGINT)
    try:
        for one in handled:
            loop.add_signal_handler(one, stop)
    except (ValueError, RuntimeError):
        yield
        return
    try:
        yield
    finally:
        for one in handled:
            loop.remove_signal_handler(one)
