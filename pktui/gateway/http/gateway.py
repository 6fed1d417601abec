"""All that one listening gateway has open: servers, policies, sessions, requests under way."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.gateway.http.admission import Admission, GrantWatch
from pktui.gateway.http.client_sessions import Sessions
from pktui.gateway.http.context import ANSWER_LINES, SharedContext
from pktui.gateway.http.errors import Refusal
from pktui.gateway.http.threads import WorkerThreads
from pktui.gateway.http.upstreams import ConfiguredServers, StartedServers
from pktui.gateway.lineio.event_loop import EventLoop
from pktui.gateway.servers.expand import prepared
from pktui.gateway.servers.watch import LiveServers
from pktui.gateway.upstream.memory import MemoryServer
from pktui.gateway.upstream.process import ProcessServer
from pktui.gateway.upstream.remote import RemoteServer, open_pool
from pktui.memory.records import Identity

if TYPE_CHECKING:
    from pktui.gateway.http.channels import Channel
    from pktui.gateway.http.client_sessions import Session
    from pktui.gateway.http.exchange import ShortAnswer
    from pktui.gateway.http.upstreams import Room, Start
    from pktui.gateway.lineio.stderr import Narrator
    from pktui.gateway.servers.entries import ServerEntry, Servers
    from pktui.gateway.upstream.http_client import Pool
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Caller, Grant
    from pktui.settings import Paths, Settings

SWEEP_SECONDS: Final = 2.0
# How long a grant that has ended may still be served.
WATCH_SECONDS: Final = 0.25
# Between looks for clients that may see other tools.
LOOK_SECONDS: Final = 0.5
_MINUTE: Final = 60
# Messages of the largest size that one grant may have under way.
MESSAGES: Final = 16


class Gateway:
    """Made in the event loop it serves."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        entries: Servers,
        ledger: Ledger,
        narrator: Narrator,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`entries` are the servers to begin with; `ledger` is asked about grants.

        Every server's policy opens its own ledger.
        """
        self.settings = settings
        self.ledger = ledger
        self.threads = WorkerThreads(narrator.say)
        http = settings.http
        self.sessions = Sessions(http.max_sessions, http.idle_minutes * _MINUTE, clock)
        self._narrator = narrator
        self._paths = paths
        self.servers = ConfiguredServers(
            LiveServers(paths, entries, narrator.say), self.sessions, self._make
        )
        self._contexts: dict[tuple[str, str], asyncio.Future[SharedContext]] = {}
        self._under_way: dict[asyncio.Task[None], tuple[Grant, bool]] = {}
        most_bytes = MESSAGES * settings.gateway.max_message_bytes
        self._admission = Admission(http.max_requests, most_bytes)
        self._used: Counter[StartedServers] = Counter()
        # Requests of the short way that are not answered yet.
        self.short: dict[ShortAnswer, Grant] = {}
        self._grants = GrantWatch(ledger)
        self._numbers = 0
        self._stopping = False
        self._left = asyncio.Event()  # a request is over

    def log(self, sentence: str) -> None:
        """Say a sentence to whoever runs the gateway."""
        self._narrator.say(sentence)

    def entry(self, name: str, grant: Grant) -> ServerEntry:
        """Return a server; raises `Refusal` where the grant does not open it, or there is none."""
        if not grant.opens(name):
            raise Refusal(HTTPStatus.FORBIDDEN, f"grant {grant.name} does not open this server")
        entry = self.servers.entry(name)
        if entry is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "no server of this name is configured")
        return entry

    async def shared(self, entry: ServerEntry, grant: Grant) -> SharedContext:
        """Return the server's policy and what waits there; raises `PktuiError`."""
        key = entry.name, grant.policy
        if key not in self._contexts:
            policy = Path(grant.policy) if grant.policy else None
            self._contexts[key] = asyncio.ensure_future(
                self.threads.run(
                    SharedContext, self._paths, self.settings, entry, policy, self._narrator.say
                )
            )
        try:
            shared = await asyncio.shield(self._contexts[key])
        except Exception:
            self._contexts.pop(key, None)
            raise
        shared.follow(entry)
        return shared

    def shared_now(self, entry: ServerEntry, grant: Grant) -> SharedContext | None:
        """Return the server's policy and what waits there, where it is open."""
        opened = self._contexts.get((entry.name, grant.policy))
        if opened is None or not opened.done() or opened.cancelled() or opened.exception():
            return None
        shared = opened.result()
        shared.follow(entry)
        return shared

    def _make(self, entry: ServerEntry) -> StartedServers:
        http = self.settings.http
        pool = None
        if entry.url:
            entry = prepared(entry, os.environ)
            pool = open_pool(entry, self._narrator.say)
        return StartedServers(
            entry.name,
            self._starter(entry, pool),
            self.sessions,
            self.threads,
            self.new_scope,
            capacity=http.max_sessions,
            idle_seconds=http.idle_minutes * _MINUTE,
            closed=pool.close if pool is not None else lambda: None,
        )

    def _starter(self, entry: ServerEntry, pool: Pool | None) -> Start:
        if entry.builtin:
            return partial(_memory, self._paths, self._narrator.say)
        limit = self.settings.gateway.max_message_bytes * ANSWER_LINES
        threads, say = self.threads, self._narrator.say
        if pool is not None:
            loop = threads.loop
            return lambda _caller, room, trace: RemoteServer(
                entry, say, limit, loop=loop, pool=pool, room=room, trace=trace
            )

        def start(_caller: Caller, room: Room, _trace: object) -> ProcessServer:
            lines = EventLoop(threads.loop, threads.thread, room, say)
            return ProcessServer(entry, self._narrator, limit, lines)

        return start

    def new_scope(self) -> str:
        """Return a name that no other request or session has."""
        self._numbers += 1
        return f"http-{self._numbers}"

    @contextmanager
    def admitted(
        self, grant: Grant, entry: ServerEntry
    ) -> Iterator[tuple[StartedServers, Callable[[int], None]]]:
        """Count a request of a grant while it is served.

        Yields what is started of its server, and what is told of each part of its message. Raises
        `Refusal` (429, 503), and `PktuiError` where the entry cannot be used.
        """
        self.check_open(grant)
        with self._admission.request(grant) as take:
            servers = self.servers.started(entry)
            self._used[servers] += 1
            try:
                yield servers, take
            finally:
                self._used[servers] -= 1

    def check_open(self, grant: Grant) -> None:
        """Note that a grant is used; raises `Refusal` (503, 401) where nothing is taken of it."""
        if self._stopping:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "pktui is ending", {"Retry-After": "5"})
        if not self._grants.serve(grant):
            raise Refusal(HTTPStatus.UNAUTHORIZED, f"grant {grant.name} has ended")

    @contextmanager
    def serving(
        self, task: asyncio.Task[None], grant: Grant, session: Session | None, *, endless: bool
    ) -> Iterator[None]:
        """Keep a request's task in sight, so that it ends when its grant or the gateway does.

        `endless`: it waits for whatever the server may say, not for an answer. Raises `Refusal`
        (401) where its grant has ended while its message was read.
        """
        if not self._grants.serve(grant):
            task.cancel()
            raise Refusal(HTTPStatus.UNAUTHORIZED, f"grant {grant.name} has ended")
        self._under_way[task] = grant, endless
        try:
            with session.in_use() if session is not None else nullcontext():
                yield
        finally:
            del self._under_way[task]
            self._left.set()

    def enter_short(self, grant: Grant, session: Session | None) -> None:
        """Count a request of the short way until it leaves; raises `Refusal` (429, 503)."""
        self.check_open(grant)
        self._admission.enter(grant)
        if session is not None:
            session.open += 1

    def leave_short(
        self, grant: Grant, session: Session | None, answer: ShortAnswer | None = None
    ) -> None:
        """Note that a request of the short way is over; `answer` waited for it, if anything did."""
        self._admission.leave(grant)
        if session is not None:
            session.open -= 1
        if answer is not None:
            self.short.pop(answer, None)
            self._left.set()

    async def sweep(self) -> None:
        """End now and then what nobody uses."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with lasting.Survived("ending sessions", self.log):
                for session in self.sessions.idle():
                    self.sessions.forget(session)
                await self._tell_left()
            with lasting.Survived("ending servers", self.log):
                self._used = +self._used  # without those that nobody uses
                await self.servers.sweep(self._used.keys())

    async def _tell_left(self) -> None:
        """End what was allowed until sessions end that have ended."""
        for session in self.sessions.ended():
            left = session.shared.server.enforcer.left
            await self.threads.write(left, session.caller.session)
        for shared in self._opened():
            if shared.departed:
                await self.threads.write(shared.end_departed)

    async def watch_grants(self) -> None:
        """End what a grant was given as soon as it was revoked, or its time has passed."""
        surviving = lasting.Survived("looking up grants", self.log)
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                for key in await self.threads.run(self._grants.ended):
                    await self._end_grant(key)
            except Exception as error:  # noqa: BLE001  it is said, and looked at again
                surviving.say(error)

    async def watch_lists(self) -> None:
        """Tell clients that listen where they may see other tools than they were shown."""
        surviving = lasting.Survived("looking for other lists of tools", self.log)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                channels = self.servers.stateless()
                await self.threads.write(_look_for_lists, self.sessions.every(), channels)
            except Exception as error:  # noqa: BLE001  it is said, and looked for again
                surviving.say(error)

    async def _end_grant(self, key: str) -> None:
        """End the requests, streams, sessions and servers of a grant."""
        for task, (grant, _) in tuple(self._under_way.items()):
            if grant.key == key:
                task.cancel()
        for answer, grant in tuple(self.short.items()):
            if grant.key == key:
                answer.cut()
        for session in self.sessions.every():
            if session.grant.key == key:
                self.sessions.forget(session)
        await self.servers.end_grant(key)
        await self._tell_left()

    async def stop(self) -> None:
        """Take nothing more; answer held calls, end streams, give the other requests their time."""
        self._stopping = True
        for shared in self._opened():
            await self.threads.write(shared.release_held)
        for task, (_, endless) in tuple(self._under_way.items()):
            if endless:
                task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.gateway.grace_seconds):
                await self._until_idle()
        for answer in tuple(self.short):
            answer.cut()
        for task in tuple(self._under_way):
            task.cancel()

    async def _until_idle(self) -> None:
        while self._under_way or self.short:
            self._left.clear()
            await self._left.wait()

    async def close(self) -> None:
        """End every server that was started, and close every ledger."""
        await self.servers.close()
        for session in self.sessions.every():
            self.sessions.forget(session)
        await self._tell_left()
        await self.threads.written()  # a call that is being decided ends on record
        for shared in self._opened():
            await self.threads.write(shared.close)
        self.threads.end()

    def _opened(self) -> list[SharedContext]:
        done = [one for one in self._contexts.values() if one.done() and not one.cancelled()]
        return [one.result() for one in done if one.exception() is None]


def _look_for_lists(sessions: list[Session], stateless: list[Channel]) -> None:
    """Tell of other lists; where nobody takes it the news is kept, and looked for again."""
    for channel in stateless:
        channel.relay.look()
    for session in sessions:
        stream = session.channel.unsolicited
        if stream is not None and not stream.behind:
            session.channel.relay.look()


def _memory(
    paths: Paths, log: Callable[[str], None], caller: Caller, _room: object, _trace: object
) -> MemoryServer:
    who = Identity(caller.agent, caller.grant, caller.project, caller.session)
    return MemoryServer(paths, lambda: who, log)
