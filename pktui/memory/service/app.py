"""The service as an ASGI application: `/v1` for console and commands, `/mcp` for agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from pktui.errors import InvalidRequest, NotFound, PktuiError
from pktui.memory import api
from pktui.memory.service.endpoint import McpEndpoint
from pktui.memory.service.requests import crash, failure

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pktui.memory.service.activity import Activity
    from pktui.memory.service.context import Context
    from pktui.memory.service.verbs import Verbs

Say = Callable[[str], None]

# What the piece of work under way gets to finish when the service ends.
END_S = 2.0
# Looking at the service does not keep it awake.
UNCOUNTED = frozenset({api.STATUS.path})


def build_app(context: Context, verbs: Verbs, say: Say) -> Starlette:
    """Return the application. Its start-up opens the store and its end closes it."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        context.holder.start()
        context.background.start()
        yield
        await asyncio.to_thread(context.background.stop, END_S)
        await asyncio.to_thread(context.holder.close)

    async def crashed(request: Request, error: Exception) -> Response:
        return failure(crash(error, f"{request.method} {request.url.path}", say))

    app = Starlette(
        routes=[
            Route("/v1/{verb}", verbs.answer, methods=["GET", "POST"]),
            Route("/mcp", McpEndpoint(context).answer, methods=["GET", "POST", "DELETE"]),
        ],
        exception_handlers={PktuiError: _refused, HTTPException: _unknown, Exception: crashed},
        lifespan=lifespan,
    )
    app.add_middleware(_Counted, activity=context.activity)
    return app


class _Counted:
    """Counts requests, so that the service knows when it is idle."""

    def __init__(self, app: ASGIApp, activity: Activity) -> None:
        self._app = app
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        self._activity.begin()
        try:
            await self._app(scope, receive, send)
        finally:
            self._activity.end()


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, PktuiError)
    return failure(error)


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return failure(NotFound(f"there is nothing at {request.url.path}"))
    return failure(InvalidRequest(f"{request.method} {request.url.path}: {error.detail}"))
