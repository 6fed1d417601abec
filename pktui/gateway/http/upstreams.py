"""The servers that are configured, and what was started of each for its clients.

Each client session has one of its own: a process, a connection to a URL, or the memory's voice. On
the stateless era a client's requests share one; a second is started only while two requests under
way have the same id. An edit of the servers counts at once: sessions that are open keep what they
began with until they end, but those of a server that was taken out, or disabled, end.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from http import HTTPStatus
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from pktui.errors import PktuiError
from pktui.gateway.http.channels import Channel
from pktui.gateway.http.client_sessions import Session
from pktui.gateway.http.errors import Refusal
from pktui.gateway.http.streams import Stream
from pktui.gateway.relay.relay_session import client_name
from pktui.ledger.records import Caller

if TYPE_CHECKING:
    from pktui.gateway.http.channels import Started
    from pktui.gateway.http.client_sessions import Sessions
    from pktui.gateway.http.context import RequestContext
    from pktui.gateway.http.threads import WorkerThreads
    from pktui.gateway.protocol.jsonrpc import Id, Message
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.gateway.servers.watch import LiveServers

# Servers started for one client of the stateless era.
_POOL: Final = 16
_STATES: Final = 256
_END_PATIENCE: Final = 0.25

Room = Callable[[], Awaitable[None]]
Trace = Callable[["Id"], Mapping[str, str]]
# Starts a server for a caller, told what waits until more can be taken, and what knows the headers
# of a request's trace; raises `PktuiError`.
Start = Callable[[Caller, Room, Trace], "Started"]


class _Pool:
    """The servers started for one client of the stateless era."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.channels: list[Channel] = []
        self.states: dict[str, Channel] = {}

    def note(self, state: str, channel: Channel) -> None:
        """Remember which of them can go on from a state."""
        if len(self.states) >= _STATES:
            del self.states[next(iter(self.states))]
        self.states[state] = channel

    def free(self, message: Message) -> Channel | None:
        """Return one that can take the request, the one that its state came from first."""
        state = message.params.get("requestState")
        first = self.states.get(state) if isinstance(state, str) else None
        self.channels = [channel for channel in self.channels if not channel.gone]
        for channel in ([first] if first is not None else []) + self.channels:
            if channel.is_free(message):
                return channel
        return None


class StartedServers:
    """All that was started for one configured server."""

    def __init__(
        self,
        name: str,
        start: Start,
        sessions: Sessions,
        threads: WorkerThreads,
        new_scope: Callable[[], str],
        *,
        capacity: int,
        idle_seconds: float,
        closed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`capacity` is how many may run at once, `idle_seconds` how long one may be unused.

        `closed` is called when all have ended for good.
        """
        self._closed = closed
        self._name = name
        self._start = start
        self._sessions = sessions
        self._threads = threads
        self._new_scope = new_scope
        self._capacity = capacity
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._channels: dict[Channel, Session | None] = {}
        self._owners: dict[Channel, str] = {}  # the key of the grant that each was started for
        self._over: set[str] = set()  # the keys of grants that have ended
        self._pools: dict[tuple[str, str], _Pool] = {}
        self._starting: set[asyncio.Task[Channel]] = set()

    async def begin_session(self, context: RequestContext, agent: str) -> Session:
        """Start a server for a new session; raises `Refusal`."""
        shared, grant = context.shared, context.grant
        caller = Caller(agent, grant.name, os.urandom(16).hex(), grant.project, grant.key)
        channel = await self._start_channel(
            context, caller, lambda _state, _channel: None, connected=True
        )
        session = Session(os.urandom(16).hex(), grant, shared, caller, channel)
        channel.unsolicited = Stream(self._threads.loop, "0")
        session.keep(channel.unsolicited)
        self._sessions.add(session)
        self._channels[channel] = session
        channel.start()
        self._threads.soon(shared.server.named, agent)
        return session

    async def lend(self, context: RequestContext, message: Message) -> Channel:
        """Return the server for a stateless request, started where there is none.

        Raises `Refusal`. The caller opens its exchange on it before anything else happens.
        """
        agent = client_name(message)
        pool = self._pools.setdefault((context.grant.key, agent), _Pool())
        async with pool.lock:
            channel = pool.free(message)
            if channel is not None:
                return channel
            if len(pool.channels) >= _POOL:
                why = "too many requests of this client have the same id"
                raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, why, {"Retry-After": "1"})
            caller = context.shared.caller(context.grant, agent)
            channel = await self._start_channel(context, caller, pool.note, connected=False)
            pool.channels.append(channel)
            channel.start()
            return channel

    def lend_now(self, context: RequestContext, message: Message) -> Channel | None:
        """Return the server for a stateless request where one runs that can take it."""
        pool = self._pools.get((context.grant.key, client_name(message)))
        return pool.free(message) if pool is not None and not pool.lock.locked() else None

    async def end_session(self, session: Session) -> None:
        """End a client's session and the server that was started for it."""
        self._sessions.forget(session)
        await self._end(session.channel)

    async def end_grant(self, key: str) -> None:
        """End what was started for a grant, and what is being started for it now."""
        self._over.add(key)
        owned = [channel for channel, owner in self._owners.items() if owner == key]
        await asyncio.gather(*map(self._end, owned))
        for pool in [pool for pool in self._pools if pool[0] == key]:
            del self._pools[pool]

    def owns(self, channel: Channel) -> bool:
        """Tell whether the server was started here."""
        return channel in self._channels

    @property
    def stateless(self) -> list[Channel]:
        """The servers that stateless clients share."""
        return [
            channel
            for channel, session in self._channels.items()
            if session is None and not channel.gone
        ]

    @property
    def in_use(self) -> bool:
        """Whether a session has a server here, or a request waits for one."""
        return any(
            channel.busy or (session is not None and session in self._sessions)
            for channel, session in self._channels.items()
        )

    async def sweep(self) -> None:
        """End what nobody has used for too long, and what belongs to a session that has ended."""
        left = [
            channel
            for channel, session in self._channels.items()
            if self._is_left(channel, session)
        ]
        await asyncio.gather(*map(self._end, left))
        for key, pool in tuple(self._pools.items()):
            pool.channels = [channel for channel in pool.channels if not channel.gone]
            if not pool.channels and not pool.lock.locked():
                del self._pools[key]

    async def close(self) -> None:
        """End everything that was started."""
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(self._end(channel) for channel in tuple(self._channels)))
        self._closed()

    def _is_left(self, channel: Channel, session: Session | None) -> bool:
        if session is not None:
            return channel.gone or session not in self._sessions
        idle = not channel.busy and channel.used < self._clock() - self._idle_seconds
        return channel.gone or idle

    async def _start_channel(
        self,
        context: RequestContext,
        caller: Caller,
        state_given: Callable[[str, Channel], None],
        *,
        connected: bool,
    ) -> Channel:
        """Start a server; one whose client leaves meanwhile is ended by the next sweep."""
        if len(self._channels) + len(self._starting) >= self._capacity:
            why = f"too many of server {self._name} run already; see http.max_sessions"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": "60"})
        shared, grant = context.shared, context.grant

        made: list[Channel] = []

        async def room() -> None:
            for channel in made:
                await channel.room()

        def trace(request_id: Id) -> Mapping[str, str]:
            return made[0].trace(request_id) if made else {}

        async def start() -> Channel:
            upstream = await self._threads.run(self._start, caller, room, trace)
            pending = shared.pending(grant, self._new_scope(), connected=connected)
            channel = Channel(
                upstream,
                self._name,
                pending,
                shared.server,
                self._threads,
                log=shared.log,
                state_given=state_given,
                clock=self._clock,
            )
            made.append(channel)
            channel.relay = shared.relay(caller, pending, channel.to_client, channel.to_server)
            self._channels[channel], self._owners[channel] = None, grant.key
            if grant.key in self._over:
                await self._end(channel)
            return channel

        task = asyncio.ensure_future(start())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        try:
            return await asyncio.shield(task)
        except PktuiError as error:
            shared.log(str(error))
            why = f"server {self._name} cannot be started; pktui's log says why"
            raise Refusal(HTTPStatus.BAD_GATEWAY, why) from error

    async def _end(self, channel: Channel) -> None:
        self._channels.pop(channel, None)
        self._owners.pop(channel, None)
        await asyncio.to_thread(channel.end, _END_PATIENCE)


class ConfiguredServers:
    """What `servers.json` names now; for one thread.

    `make` raises `PktuiError` for an entry that cannot be used.
    """

    def __init__(
        self,
        servers: LiveServers,
        sessions: Sessions,
        make: Callable[[ServerEntry], StartedServers],
    ) -> None:
        self._servers = servers
        self._sessions = sessions
        self._make = make
        self._entries = servers.current()
        self._made: dict[str, tuple[ServerEntry, StartedServers]] = {}
        self._retired: list[StartedServers] = []

    def entry(self, name: str) -> ServerEntry | None:
        """Return the entry of a server as it is now; None where there is none in use."""
        entries = self._servers.current()
        if entries is not self._entries:
            self._entries = entries
            self._retire()
        return self._usable(name)

    def started(self, entry: ServerEntry) -> StartedServers:
        """Return what is started of a server; raises `PktuiError`."""
        if entry.name not in self._made:
            self._made[entry.name] = entry, self._make(entry)
        return self._made[entry.name][1]

    def stateless(self) -> list[Channel]:
        """Return the servers that stateless clients share."""
        found: list[Channel] = []
        for one in self._all():
            found += one.stateless
        return found

    async def sweep(self, busy: Collection[StartedServers]) -> None:
        """End what nobody uses; requests are under way at those that are `busy`."""
        left = [one for one in self._retired if one not in busy and not one.in_use]
        self._retired = [one for one in self._retired if one not in left]
        await asyncio.gather(*(one.close() for one in left))
        await asyncio.gather(*(one.sweep() for one in self._all()))

    async def end_session(self, session: Session) -> None:
        """End a session, whatever has become of its server's entry."""
        for one in self._all():
            if one.owns(session.channel):
                await one.end_session(session)

    async def end_grant(self, key: str) -> None:
        """End what was started for a grant, whose sessions have ended."""
        await asyncio.gather(*(one.end_grant(key) for one in self._all()))

    async def close(self) -> None:
        """End everything."""
        await asyncio.gather(*(one.close() for one in self._all()))

    def _usable(self, name: str) -> ServerEntry | None:
        entry = self._entries.get(name)
        return entry if entry is not None and not entry.disabled else None

    def _retire(self) -> None:
        for name, (entry, started) in tuple(self._made.items()):
            now = self._usable(name)
            if now != entry:
                del self._made[name]
                self._retired.append(started)
            if now is None:
                for session in self._sessions.every():
                    if session.key[0] == name:
                        self._sessions.forget(session)

    def _all(self) -> list[StartedServers]:
        return [*map(itemgetter(1), self._made.values()), *self._retired]
