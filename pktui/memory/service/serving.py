"""The HTTP servers: one on the socket of this machine, and one for others, which ends before it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from pktui.memory.service.door import Door, crowded
from pktui.wire import protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from pktui.memory.service.listening import Entrance

KEEP_ALIVE_S = 75
GRACE_S = 5
"""What requests under way get when the service ends."""
MOST_HEAD_BYTES = 16 * 1024


class _Server(uvicorn.Server):
    """Leaves the signals to us: the library's handlers end the process by the signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class TcpServer:
    """Serves the application to other machines, behind its door."""

    def __init__(self, app: ASGIApp, entrance: Entrance, names: Iterable[str]) -> None:
        limits = entrance.limits
        door = Door(app, entrance.token, (entrance.host, *names), limits.body_seconds)
        self._listener = entrance.listener
        self._server = _Server(
            _config(
                door,
                lifespan="off",
                http=protocol(limits.head_seconds, limits.connections, crowded()),
                h11_max_incomplete_event_size=MOST_HEAD_BYTES,
            )
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


class LocalServer(_Server):
    """Serves this machine, and opens and closes the store; others come after and go before.

    `give_up` is called when it ends, before the answers under way are waited for.
    """

    def __init__(self, app: ASGIApp, others: TcpServer | None, give_up: Callable[[], None]) -> None:
        super().__init__(_config(app, lifespan="on", http=protocol()))
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


def _config(app: ASGIApp, **more: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        ws="none",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        **more,  # type: ignore[arg-type]
    )
