"""All that one listening gateway has open: servers, policies, sessions, requests under way."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.gateway.http.admission import Admission
from pktui.gateway.http.behind import Behind
from pktui.gateway.http.client_sessions import Sessions
from pktui.gateway.http.errors import Refusal
from pktui.gateway.http.floor import ANSWER_LINES, Floor
from pktui.gateway.http.grant_watch import GrantWatch
from pktui.gateway.http.threads import Work
from pktui.gateway.http.upstreams import StartedServers
from pktui.gateway.http.urls import UrlServer
from pktui.gateway.servers.expand import prepared
from pktui.gateway.servers.watch import LiveServers
from pktui.gateway.upstream.memory import MemoryServer
from pktui.gateway.upstream.process import ProcessServer
from pktui.memory.records import Identity

if TYPE_CHECKING:
    from pktui.gateway.http.asked import Asked
    from pktui.gateway.http.backend import Backend
    from pktui.gateway.http.upstreams import Start
    from pktui.gateway.lineio.stderr import Narrator
    from pktui.gateway.servers.entries import ServerEntry, Servers
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Caller, Grant
    from pktui.settings import Paths, Settings

SWEEP_SECONDS: Final = 2.0
WATCH_SECONDS: Final = 0.25
"""How long a grant that has ended may still be served."""
_MINUTE: Final = 60
MESSAGES: Final = 16
"""Messages of the largest size that one grant may have under way."""


class Hub:
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
        self.work = Work(narrator.say)
        http = settings.http
        self.sessions = Sessions(http.max_sessions, http.idle_minutes * _MINUTE, clock)
        self._narrator = narrator
        self._paths = paths
        self._behind = Behind(
            LiveServers(paths, entries, narrator.say), self.sessions, self._make_backend
        )
        self._floors: dict[tuple[str, str], asyncio.Future[Floor]] = {}
        self._under_way: dict[asyncio.Task[None], tuple[Grant, bool]] = {}
        most_bytes = MESSAGES * settings.gateway.max_message_bytes
        self._admission = Admission(http.max_requests, most_bytes)
        self._used: Counter[Backend] = Counter()
        self._grants = GrantWatch(ledger)
        self._numbers = 0
        self._stopping = False

    def log(self, sentence: str) -> None:
        """Say a sentence to whoever runs the gateway."""
        self._narrator.say(sentence)

    def entry(self, name: str, grant: Grant) -> ServerEntry:
        """Return a server; raises `Refusal` where the grant does not open it, or there is none."""
        if not grant.opens(name):
            raise Refusal(HTTPStatus.FORBIDDEN, f"grant {grant.name} does not open this server")
        entry = self._behind.entry(name)
        if entry is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "no server of this name is configured")
        return entry

    async def floor(self, entry: ServerEntry, grant: Grant) -> Floor:
        """Return the server's policy and what waits there; raises `PktuiError`."""
        key = entry.name, grant.policy
        if key not in self._floors:
            policy = Path(grant.policy) if grant.policy else None
            self._floors[key] = asyncio.ensure_future(
                self.work.run(Floor, self._paths, self.settings, entry, policy, self._narrator.say)
            )
        try:
            floor = await asyncio.shield(self._floors[key])
        except Exception:
            self._floors.pop(key, None)
            raise
        floor.desk.policy.selection = entry.tools
        return floor

    def _make_backend(self, entry: ServerEntry) -> Backend:
        if entry.url:
            return UrlServer(prepared(entry, os.environ), self.sessions)
        http = self.settings.http
        return StartedServers(
            entry.name,
            self._starter(entry),
            self.sessions,
            capacity=http.max_sessions,
            idle_seconds=http.idle_minutes * _MINUTE,
        )

    def _starter(self, entry: ServerEntry) -> Start:
        if entry.builtin:
            return partial(_memory, self._paths, self._narrator.say)
        limit = self.settings.gateway.max_message_bytes * ANSWER_LINES
        return lambda _caller: ProcessServer(entry, self._narrator, limit)

    def new_scope(self) -> str:
        """Return a name that no other request or session has."""
        self._numbers += 1
        return f"http-{self._numbers}"

    @contextmanager
    def admitted(
        self, grant: Grant, entry: ServerEntry
    ) -> Iterator[tuple[Backend, Callable[[int], None]]]:
        """Count a request of a grant while it is served.

        Yields what stands behind its server, and what is told of each part of its message. Raises
        `Refusal` (429, 503), and `PktuiError` where the entry cannot be used.
        """
        if self._stopping:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "pktui is ending", {"Retry-After": "5"})
        self._grants.serve(grant)
        with self._admission.request(grant) as take:
            backend = self._behind.backend(entry)
            self._used[backend] += 1
            try:
                yield backend, take
            finally:
                self._used[backend] -= 1

    @contextmanager
    def serving(self, task: asyncio.Task[None], asked: Asked, *, endless: bool) -> Iterator[None]:
        """Keep a request's task in sight, so that it ends when its grant or the gateway does.

        `endless`: it waits for whatever the server may say, not for an answer. Raises `Refusal`
        (401) where its grant has ended while its message was read.
        """
        if not self._grants.serve(asked.grant):
            task.cancel()
            raise Refusal(HTTPStatus.UNAUTHORIZED, f"grant {asked.grant.name} has ended")
        self._under_way[task] = asked.grant, endless
        try:
            with asked.session.in_use() if asked.session is not None else nullcontext():
                yield
        finally:
            del self._under_way[task]

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
                await self._behind.sweep(self._used.keys())

    async def _tell_left(self) -> None:
        """End what was allowed until sessions end that have ended."""
        for session in self.sessions.ended():
            left = session.floor.desk.enforcer.left
            await self.work.write(left, session.caller.session)
        for floor in self._opened():
            if floor.departed:
                await self.work.write(floor.end_departed)

    async def watch_grants(self) -> None:
        """End what a grant was given as soon as it was revoked, or its time has passed."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            with lasting.Survived("looking up grants", self.log):
                for key in await self.work.run(self._grants.ended):
                    await self._end_grant(key)

    async def _end_grant(self, key: str) -> None:
        """End the requests, streams, sessions and servers of a grant."""
        for task, (grant, _) in tuple(self._under_way.items()):
            if grant.key == key:
                task.cancel()
        for session in self.sessions.every():
            if session.grant.key == key:
                self.sessions.forget(session)
        await self._behind.end_grant(key)
        await self._tell_left()

    async def stop(self) -> None:
        """Take nothing more; answer held calls, end streams, give the other requests their time."""
        self._stopping = True
        for floor in self._opened():
            await self.work.write(floor.release_held)
        for task, (_, endless) in tuple(self._under_way.items()):
            if endless:
                task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self.settings.gateway.grace_seconds)
        for task in tuple(self._under_way):
            task.cancel()

    async def close(self) -> None:
        """End every server that was started, and close every ledger."""
        await self._behind.close()
        for session in self.sessions.every():
            self.sessions.forget(session)
        await self._tell_left()
        for floor in self._opened():
            await self.work.write(floor.close)
        self.work.end()

    def _opened(self) -> list[Floor]:
        done = [one for one in self._floors.values() if one.done() and not one.cancelled()]
        return [one.result() for one in done if one.exception() is None]


def _memory(paths: Paths, log: Callable[[str], None], caller: Callable[[], Caller]) -> MemoryServer:
    def identity() -> Identity:
        who = caller()
        return Identity(who.agent, who.grant, who.project, who.session)

    return MemoryServer(paths, identity, log)
