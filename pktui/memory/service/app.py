"""The service as an ASGI application: `/v1` for console and commands, `/mcp` for agents."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from pktui import lasting
from pktui.errors import InvalidRequest, NotFound, PktuiError, StoreError
from pktui.memory.service.holder import ending
from pktui.memory.service.requests import failure
from pktui.memory.service.routes import entries, sessions, upkeep

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pktui.memory.service.activity import Activity
    from pktui.memory.service.context import Context

Say = Callable[[str], None]

END_S = 2.0
"""What the piece of work under way gets to finish when the service ends."""
UNCOUNTED = frozenset({"/v1/status"})
"""Looking at the service does not keep it awake."""


def build_app(context: Context, mcp: McpEndpoint, say: Say) -> Starlette:
    """Return the application. Its start-up opens the store and its end closes it."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        context.holder.start()
        context.background.start()
        async with mcp.running():
            yield
        await asyncio.to_thread(context.background.stop, END_S)
        await asyncio.to_thread(context.holder.close)

    async def crashed(request: Request, error: Exception) -> Response:
        say(lasting.words(f"{request.method} {request.url.path}", error))
        return failure(
            StoreError(
                f"the memory service failed: {type(error).__name__}", "Its log has the details"
            )
        )

    app = Starlette(
        routes=[
            *sessions.routes(context),
            *entries.routes(context),
            *upkeep.routes(context),
            Route("/mcp", mcp),
        ],
        exception_handlers={PktuiError: _refused, HTTPException: _unknown, Exception: crashed},
        lifespan=lifespan,
    )
    app.add_middleware(_Counted, activity=context.activity)
    return app


class McpEndpoint:
    """`/mcp`. Its library takes a second to import: when it is asked for, else after the store."""

    def __init__(self, context: Context, say: Say = lasting.to_stderr) -> None:
        self._context = context
        self._say = say
        self._handle: asyncio.Future[ASGIApp] | None = None
        self._due = asyncio.Event()
        self._importer: threading.Thread | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry one HTTP request to the MCP server."""
        assert self._handle is not None
        self._due.set()
        handle = await asyncio.shield(self._handle)
        await handle(scope, receive, send)

    @property
    def importing(self) -> bool:
        """Tell whether the library is being imported, which cannot be ended."""
        return self._importer is not None and self._importer.is_alive()

    def give_up(self) -> None:
        """Let nobody wait for the library any more; to be called in the loop."""
        if self._handle is not None and not self._handle.done():
            self._handle.set_exception(ending())
            self._handle.exception()  # nobody need wait for it

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for as long as the block runs."""
        loop = asyncio.get_running_loop()
        self._handle = loop.create_future()
        self._context.holder.when_opened(functools.partial(_tell, loop, self._due))
        ended = asyncio.Event()
        serving = asyncio.create_task(self._serve(self._handle, ended))
        try:
            yield
        finally:
            ended.set()
            self.give_up()
            if self._handle.exception() is not None:
                serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    async def _serve(self, handle: asyncio.Future[ASGIApp], ended: asyncio.Event) -> None:
        await self._due.wait()
        try:
            make = await asyncio.wrap_future(self._import())
            manager = make(self._context.tool)
            async with manager.run():
                if not handle.done():
                    handle.set_result(manager.handle_request)
                await ended.wait()
        except Exception as error:  # noqa: BLE001  whatever it is, those who wait must hear of it
            if not handle.done():
                handle.set_exception(error)
            else:
                self._say(lasting.words("serving /mcp", error))

    def _import(self) -> Future[Callable[..., Any]]:
        """Import the library in a thread that nobody has to wait for."""
        imported: Future[Callable[..., Any]] = Future()
        imported.set_running_or_notify_cancel()

        def work() -> None:
            try:
                from pktui.memory.service.endpoint import session_manager
            except BaseException as error:  # noqa: BLE001  told to those who wait
                imported.set_exception(error)
            else:
                imported.set_result(session_manager)

        self._importer = threading.Thread(target=work, name="memory-mcp", daemon=True)
        self._importer.start()
        return imported


def _tell(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set the event from another thread; a loop that has ended needs no telling."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(event.set)


class _Counted:
    """Counts requests, so that the service knows when it is idle."""

    def __init__(self, app: ASGIApp, activity: Activity) -> None:
        self._app = app
        self._activity = activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        with self._activity.request():
            await self._app(scope, receive, send)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, PktuiError)
    return failure(error)


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return failure(NotFound(f"there is nothing at {request.url.path}"))
    return failure(InvalidRequest(f"{request.method} {request.url.path}: {error.detail}"))
