"""The HTTP servers: one on the socket of this machine, and one for others, which ends before it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pktui.httpserver.serving import Server, configured, protocol
from pktui.memory.service.tcp_guard import TcpGuard, crowded

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pktui.httpserver.serving import Post
    from pktui.memory.service.listening import Entrance

# What requests under way get when the service ends.
GRACE_S = 5
MOST_HEAD_BYTES = 16 * 1024


class TcpServer:
    """Serves the application to other machines, behind its guard."""

    def __init__(self, app: ASGIApp, entrance: Entrance, names: Iterable[str]) -> None:
        limits = entrance.limits
        guard = TcpGuard(app, entrance.token, (entrance.host, *names), limits.body_seconds)
        self._listener = entrance.listener
        http = protocol(
            head_seconds=limits.head_seconds,
            head_bytes=MOST_HEAD_BYTES,
            most=limits.connections,
            refusal=crowded(),
        )
        self._server = Server(
            configured(guard, http=http, lifespan="off", timeout_graceful_shutdown=GRACE_S)
        )
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to serve."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))

    async def end(self) -> None:
        """Take no more requests, and wait for the answers under way."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving


class LocalServer(Server):
    """Serves this machine, and opens and closes the store; others come after and go before.

    `short` answers a small POST without the application. `give_up` is called when it ends, before
    the answers under way are waited for.
    """

    def __init__(
        self,
        app: ASGIApp,
        short: Callable[[Post], bool],
        others: TcpServer | None,
        give_up: Callable[[], None],
    ) -> None:
        http = protocol(short=short)
        super().__init__(
            configured(app, http=http, lifespan="on", timeout_graceful_shutdown=GRACE_S)
        )
        self._others = others
        self._give_up = give_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Let others in once the application has started."""
        await super().startup(sockets=sockets)
        if self._others is not None:
            self._others.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See others off before the application ends."""
        self._give_up()
        if self._others is not None:
            await self._others.end()
        await super().shutdown(sockets=sockets)
