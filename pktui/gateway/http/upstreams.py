"""Servers that are started: a process, or the memory's voice, one for each client session.

On the stateless era a client's requests share one: a second is started only while two requests
under way have the same id.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pktui.errors import PktuiError
from pktui.gateway.http.arguments import check_arguments
from pktui.gateway.http.channels import Channel, Link
from pktui.gateway.http.client_sessions import Session
from pktui.gateway.http.errors import Refusal
from pktui.gateway.http.exchange import Telling
from pktui.gateway.http.protocol import is_modern
from pktui.gateway.http.streams import Stream
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.relay.relay_session import client_name
from pktui.ledger.records import Caller

if TYPE_CHECKING:
    from pktui.gateway.http.asked import Asked
    from pktui.gateway.http.channels import Started
    from pktui.gateway.http.client_sessions import Sessions
    from pktui.gateway.protocol.jsonrpc import Message

_POOL: Final = 16
"""Servers started for one client of the stateless era."""
_STATES: Final = 256
_END_PATIENCE: Final = 0.25

Start = Callable[[Callable[[], Caller]], "Started"]
"""Starts a server for a caller, whose name may be learned later; raises `PktuiError`."""


class Backing:
    """What a session's server side is made of."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.streams: dict[str, Stream] = {}


class _Pool:
    """The servers started for one client of the stateless era."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.links: list[Link] = []
        self.states: dict[str, Link] = {}

    def note(self, state: str, link: Link) -> None:
        """Remember which of them can go on from a state."""
        if len(self.states) >= _STATES:
            del self.states[next(iter(self.states))]
        self.states[state] = link

    def lend(self, message: Message) -> Link | None:
        """Return one that can take the request, the one that its state came from first."""
        state = message.params.get("requestState")
        first = self.states.get(state) if isinstance(state, str) else None
        self.links = [link for link in self.links if not link.gone]
        for link in ([first] if first is not None else []) + self.links:
            if link.reserve(message):
                return link
        return None


class StartedServers:
    """All that was started for one configured server."""

    def __init__(
        self,
        name: str,
        start: Start,
        sessions: Sessions,
        *,
        capacity: int,
        idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`capacity` is how many may run at once, `idle_seconds` how long one may be unused."""
        self._name = name
        self._start = start
        self._sessions = sessions
        self._capacity = capacity
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._links: dict[Link, Session | None] = {}
        self._owners: dict[Link, str] = {}
        """The key of the grant that each was started for."""
        self._over: set[str] = set()
        """The keys of grants that have ended."""
        self._pools: dict[tuple[str, str], _Pool] = {}
        self._starting: set[asyncio.Task[Link]] = set()

    async def post(self, asked: Asked, message: Message) -> None:
        """Take one message of a client, and answer it where it is a request."""
        if is_modern(asked.headers, message):
            await self._post_stateless(asked, message)
        elif message.method == "initialize" and asked.session is None:
            session = await self._begin_session(asked, client_name(message))
            await Telling(asked.within(session), session.backing.link, message).post()
        else:
            session = self._session(asked)
            await Telling(asked.within(session), session.backing.link, message).post()

    async def listen(self, asked: Asked) -> None:
        """Open the stream for what the server says unasked, or go on with a broken one."""
        session = self._session(asked)
        backing: Backing = session.backing
        unasked = backing.link.unasked
        assert unasked is not None
        name, _, place = asked.headers.get(names.LAST_EVENT, "").rpartition("/")
        stream = backing.streams.get(name, unasked.stream)
        after = int(place) if name and place.isascii() and place.isdigit() else stream.sent
        await Telling.replay(asked, stream, after)

    async def end_session(self, asked: Asked) -> None:
        """End a client's session and the server that was started for it."""
        session = self._session(asked)
        self._sessions.forget(session)
        await self._end(session.backing.link)
        await asked.reply.bare(HTTPStatus.OK)

    async def end_grant(self, key: str) -> None:
        """End what was started for a grant, and what is being started for it now."""
        self._over.add(key)
        owned = [link for link, owner in self._owners.items() if owner == key]
        await asyncio.gather(*map(self._end, owned))
        for pool in [pool for pool in self._pools if pool[0] == key]:
            del self._pools[pool]

    async def sweep(self) -> None:
        """End what nobody has used for too long, and what belongs to a session that has ended."""
        left = [link for link, session in self._links.items() if self._is_left(link, session)]
        await asyncio.gather(*map(self._end, left))
        for key, pool in tuple(self._pools.items()):
            pool.links = [link for link in pool.links if not link.gone]
            if not pool.links and not pool.lock.locked():
                del self._pools[key]

    async def close(self) -> None:
        """End everything that was started."""
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(self._end(link) for link in tuple(self._links)))

    def _is_left(self, link: Link, session: Session | None) -> bool:
        if session is not None:
            return link.gone or session not in self._sessions
        idle = not link.busy and link.used < self._clock() - self._idle_seconds
        return link.gone or idle

    def _session(self, asked: Asked) -> Session:
        session = asked.session
        if session is None:
            raise Refusal(
                HTTPStatus.BAD_REQUEST, f"initialize first, and send {names.SESSION} from then on"
            )
        if session.backing.link.gone:
            self._sessions.forget(session)
            raise Refusal(HTTPStatus.NOT_FOUND, f"server {self._name} has ended; initialize anew")
        return session

    async def _begin_session(self, asked: Asked, agent: str) -> Session:
        floor, grant = asked.floor, asked.grant
        caller = Caller(agent, grant.name, os.urandom(16).hex(), grant.project, grant.key)
        link = await self._start_link(asked, lambda: session.caller, lambda _state, _link: None)
        pending = floor.pending(grant, asked.scope, connected=True)
        name = os.urandom(16).hex()
        session = Session(name, grant, floor, caller, pending, asked.backend, Backing(link))
        unasked = Stream(asked.work.loop, "0", answers=False)
        relay = floor.relay(caller, pending, unasked.put, link.send, lambda _name: None)
        link.unasked = Channel(unasked, relay)
        session.backing.streams["0"] = unasked
        self._sessions.add(session)
        self._links[link] = session
        link.start()
        asked.work.soon(floor.desk.named, agent)
        return session

    async def _post_stateless(self, asked: Asked, message: Message) -> None:
        if message.kind == "request" and not message.modern:
            why = f"params._meta needs {jsonrpc.PROTOCOL_VERSION_KEY}"
            line = jsonrpc.error_line(jsonrpc.INVALID_PARAMS, why, message.id_text)
            await asked.reply.message(HTTPStatus.BAD_REQUEST, line)
        elif message.kind != "request":
            await asked.reply.bare(HTTPStatus.ACCEPTED)
        else:
            if message.method == "tools/call":
                await check_arguments(asked, message, all_of=True)
            link = await self._lend(asked, message)
            try:
                await Telling(asked, link, message).post()
            finally:
                link.release(message)

    async def _lend(self, asked: Asked, message: Message) -> Link:
        agent = client_name(message)
        key = asked.grant.key, agent
        pool = self._pools.setdefault(key, _Pool())
        async with pool.lock:
            link = pool.lend(message)
            if link is not None:
                return link
            if len(pool.links) >= _POOL:
                why = "too many requests of this client have the same id"
                raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, why, {"Retry-After": "1"})
            caller = asked.floor.caller(asked.grant, agent)
            link = await self._start_link(asked, lambda: caller, pool.note)
            pool.links.append(link)
            link.start()
            link.reserve(message)
            return link

    async def _start_link(
        self,
        asked: Asked,
        caller: Callable[[], Caller],
        state_given: Callable[[str, Link], None],
    ) -> Link:
        """Start a server; one whose client leaves meanwhile is ended by the next sweep."""
        if len(self._links) + len(self._starting) >= self._capacity:
            why = f"too many of server {self._name} run already; see http.max_sessions"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": "60"})

        async def start() -> Link:
            upstream = await asked.work.run(self._start, caller)
            link = Link(upstream, self._name, asked.floor.log, state_given, self._clock)
            self._links[link], self._owners[link] = None, asked.grant.key
            if asked.grant.key in self._over:
                await self._end(link)
            return link

        task = asyncio.ensure_future(start())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        try:
            return await asyncio.shield(task)
        except PktuiError as error:
            asked.floor.log(str(error))
            why = f"server {self._name} cannot be started; pktui's log says why"
            raise Refusal(HTTPStatus.BAD_GATEWAY, why) from error

    async def _end(self, link: Link) -> None:
        self._links.pop(link, None)
        self._owners.pop(link, None)
        await asyncio.to_thread(link.end, _END_PATIENCE)
