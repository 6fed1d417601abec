"""The gateway as an ASGI application: `/mcp/<server>`, `/healthz` and `/metrics`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.routing import Route

from pktui.errors import PktuiError
from pktui.gateway.http import watching
from pktui.gateway.http.asked import Asked
from pktui.gateway.http.body import check_body_headers, read_message
from pktui.gateway.http.cors import METHODS, Cors
from pktui.gateway.http.errors import Refusal
from pktui.gateway.http.protocol import (
    EVENTS,
    accepts,
    check_headers,
    check_session_headers,
    is_modern,
)
from pktui.gateway.http.reply import Reply
from pktui.gateway.http.threads import LARGE
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol import jsonrpc
from pktui.httpserver.serving import ClientGone

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pktui.gateway.http.admission import Door
    from pktui.gateway.http.gateway import Hub
    from pktui.gateway.protocol.jsonrpc import Message

_LISTEN: Final = "subscriptions/listen"
_AT_ONCE: Final = 0.05
"""Seconds before anyone looks whether a client still waits: most have their answer by then."""


def build_app(hub: Hub, door: Door) -> ASGIApp:
    """Return the application."""

    async def failed(_request: Request, error: Exception) -> Response:
        hub.log(f"a request was turned away: {error}")
        why = "pktui's ledger, or this server's policy or entry, cannot be used; its log says why"
        return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, why).response()

    app = Starlette(
        routes=[
            Route("/mcp/{server}", McpEndpoint(hub, door)),
            *watching.routes(hub, door),
        ],
        exception_handlers={Refusal: _refused, PktuiError: failed, HTTPException: _unknown},
    )
    http = hub.settings.http
    return _Names(app, door, Cors(http.allowed_origins), http.max_header_bytes)


class _Names:
    """Looks at every request's head before anything else does."""

    def __init__(self, app: ASGIApp, door: Door, cors: Cors, header_limit: int) -> None:
        self._app = app
        self._door = door
        self._cors = cors
        self._header_limit = header_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        send = self._cors.shown(send, headers)
        try:
            self._check(scope, headers)
        except Refusal as refusal:
            await refusal.response()(scope, receive, send)
            return
        app = self._cors.preflight(scope, headers) or self._app
        await app(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if size + len(scope["raw_path"]) + len(scope["query_string"]) > self._header_limit:
            raise Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the request's head is larger than {self._header_limit} bytes",
                {"Connection": "close"},
            )
        self._door.check_names(headers)


class McpEndpoint:
    """`/mcp/<server>`: every message of every client comes through here."""

    def __init__(self, hub: Hub, door: Door) -> None:
        self._hub = hub
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in and answer it; raises `Refusal`."""
        headers = Headers(scope=scope)
        grant = self._door.admit(headers)
        check_session_headers(headers)
        entry = self._hub.entry(scope["path_params"]["server"], grant)
        hub = self._hub
        with hub.admitted(grant, entry) as (backend, take):
            reply = Reply(send, hub.settings.http.body_seconds)
            floor = await hub.floor(entry, grant)
            asked = Asked(headers, grant, floor, None, backend, reply, hub.work, hub.new_scope())
            if scope["method"] == "POST":
                await self._post(asked, receive, take)
            elif scope["method"] in ("GET", "DELETE"):
                await self._other(scope["method"], asked, receive)
            else:
                raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "use POST", {"Allow": METHODS})

    async def _post(self, asked: Asked, receive: Receive, take: Callable[[int], None]) -> None:
        message = await self._message(asked, receive, take)
        if message is None:
            return
        modern = is_modern(asked.headers, message)
        asked = self._in_session(asked, modern=modern)
        if message.method == "initialize" and asked.session is None:
            self._hub.sessions.check_room()
        endless = message.method == _LISTEN
        try:
            work = asked.backend.post(asked, message)
            await self._until_gone(work, asked, receive, endless=endless)
        except jsonrpc.Refused as refused:
            await self._refuse(asked, refused, message.raw)
        if message.method == "notifications/cancelled":
            _tell_cancelled(asked, message)

    async def _message(
        self, asked: Asked, receive: Receive, take: Callable[[int], None]
    ) -> Message | None:
        """Read and parse what was posted; None where it was refused, recorded and answered."""
        limits = asked.floor.limits
        check_body_headers(asked.headers, limits.size)
        seconds = self._hub.settings.http.body_seconds
        body = await read_message(receive, limits.size, seconds, take)
        try:
            if len(body) > LARGE:
                message = await self._hub.work.run(jsonrpc.parse, body, limits)
            else:
                message = jsonrpc.parse(body, limits)
            check_headers(asked.headers, message)
        except jsonrpc.Refused as refused:
            await self._refuse(asked, refused, body)
            return None
        return message

    async def _refuse(self, asked: Asked, refused: jsonrpc.Refused, body: bytes) -> None:
        """Record a message that is not acceptable, and answer it."""
        caller = asked.floor.caller(asked.grant, "")
        await self._hub.work.write(asked.floor.desk.enforcer.refused, caller, refused, body)
        line = jsonrpc.error_line(refused.code, refused.why, refused.request_id)
        await asked.reply.message(HTTPStatus.BAD_REQUEST, line)

    async def _other(self, method: str, asked: Asked, receive: Receive) -> None:
        if is_modern(asked.headers):
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "use POST", {"Allow": "POST"})
        asked = self._in_session(asked, modern=False)
        if method == "DELETE":
            await asked.backend.end_session(asked)
        elif not accepts(asked.headers, EVENTS):
            raise Refusal(HTTPStatus.NOT_ACCEPTABLE, f"a stream is {EVENTS}; accept that")
        else:
            await self._until_gone(asked.backend.listen(asked), asked, receive, endless=True)

    def _in_session(self, asked: Asked, *, modern: bool) -> Asked:
        """Return the request with its session; the stateless era has none, whatever is sent."""
        session_id = asked.headers.get(names.SESSION)
        if session_id is None or modern:
            return asked
        server = asked.floor.entry.name
        return asked.within(self._hub.sessions.find(server, session_id, asked.grant))

    async def _until_gone(
        self,
        work: Coroutine[Any, Any, None],
        asked: Asked,
        receive: Receive,
        *,
        endless: bool,
    ) -> None:
        """Serve a request until it is answered, its client leaves, or its grant ends."""
        task = asyncio.ensure_future(work)
        left = False
        try:
            with self._hub.serving(task, asked, endless=endless):
                await asyncio.wait((task,), timeout=_AT_ONCE)
                if not task.done():
                    left = await _is_left(task, receive)
        finally:
            task.cancel()
            with contextlib.suppress(ClientGone, asyncio.CancelledError):
                await task
        if not asked.reply.begun and not left:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the request was ended by pktui")
        with contextlib.suppress(ClientGone):
            await asked.reply.end()


async def _is_left(task: asyncio.Task[None], receive: Receive) -> bool:
    """Wait until the task is done or its client has left; tell whether that came first."""
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        return gone.done()
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _tell_cancelled(asked: Asked, message: Message) -> None:
    """Answer the request that this message cancels, where it was held and its server knows none."""
    request_id = message.params.get("requestId")
    if not jsonrpc.is_id(request_id):
        return
    if asked.session is not None:
        request = asked.session.under_way.get(jsonrpc.same_id(request_id))
        if request is not None:
            request.cancelled()


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _unknown(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Refusal(HTTPStatus(error.status_code), error.detail).response()
