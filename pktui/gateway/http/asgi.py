"""The gateway as an ASGI application: `/mcp/<server>`, `/healthz` and `/metrics`.

A small POST of an open session, or of a stateless client whose server runs, is answered without
ASGI: `McpEndpoint.post_short`. Whatever is odd about one goes through ASGI, which says what.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Coroutine
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pktui.errors import PktuiError
from pktui.gateway.http.context import RequestContext
from pktui.gateway.http.cors import METHODS, Cors
from pktui.gateway.http.errors import Refusal
from pktui.gateway.http.exchange import Exchange, deliver
from pktui.gateway.http.metrics import CONTENT_TYPE, Metrics
from pktui.gateway.http.protocol import (
    EVENTS,
    JSON,
    Headers,
    accepts,
    check_headers,
    check_parameters,
    check_session_headers,
    is_modern,
    writes,
)
from pktui.gateway.http.reply import Reply
from pktui.gateway.http.threads import LARGE
from pktui.gateway.protocol import headers as names
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.relay.relay_session import client_name
from pktui.httpserver.serving import BodyTooLarge, ClientGone, read_body

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from pktui.gateway.http.admission import Authenticator
    from pktui.gateway.http.channels import Channel
    from pktui.gateway.http.client_sessions import Session
    from pktui.gateway.http.gateway import Gateway
    from pktui.gateway.http.upstreams import StartedServers
    from pktui.gateway.protocol.jsonrpc import Message
    from pktui.httpserver.serving import Post

_LISTEN: Final = "subscriptions/listen"
# Seconds before anyone looks whether a client still waits: most have their answer by then.
_AT_ONCE: Final = 0.05
_CLOSE: Final = {"Connection": "close"}
# The path of a server, nothing of it quoted.
_PATH: Final = re.compile(rb"/mcp/([A-Za-z0-9][A-Za-z0-9._-]*)")
_ODD: Final = frozenset({b"origin", b"content-encoding"})
_JSON: Final = JSON.encode()
_SESSION: Final = names.SESSION.lower().encode()


def build_app(gateway: Gateway, authenticator: Authenticator, endpoint: McpEndpoint) -> ASGIApp:
    """Return the application."""
    metrics = Metrics(gateway.ledger)

    async def failed(_request: Request, error: Exception) -> Response:
        gateway.log(f"a request was turned away: {error}")
        why = "pktui's ledger, or this server's policy or entry, cannot be used; its log says why"
        return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, why).response()

    def admit(request: Request) -> None:
        if not gateway.settings.metrics.public:
            authenticator.admit(Headers.read(request.headers.raw))

    async def healthz(request: Request) -> Response:
        admit(request)
        await gateway.threads.run(gateway.ledger.data_version)
        return JSONResponse({"status": "ok", "sessions": len(gateway.sessions)})

    async def show(request: Request) -> Response:
        admit(request)
        text = await gateway.threads.run(metrics.text)
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    app = Starlette(
        routes=[
            Route("/mcp/{server}", endpoint),
            Route("/healthz", healthz),
            Route("/metrics", show),
        ],
        exception_handlers={Refusal: _refused, PktuiError: failed, HTTPException: _unknown},
    )
    http = gateway.settings.http
    return _Front(app, authenticator, Cors(http.allowed_origins), http.max_header_bytes)


class _Front:
    """Looks at every request's head before anything else does."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, cors: Cors, header_limit: int
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._cors = cors
        self._header_limit = header_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers.read(scope["headers"])
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
                _CLOSE,
            )
        self._authenticator.check_names(headers)


class McpEndpoint:
    """`/mcp/<server>`: every message of every client comes through here."""

    def __init__(self, gateway: Gateway, authenticator: Authenticator) -> None:
        self._gateway = gateway
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in and answer it; raises `Refusal`."""
        headers = Headers.read(scope["headers"])
        grant = self._authenticator.admit(headers)
        check_session_headers(headers)
        gateway = self._gateway
        entry = gateway.entry(scope["path_params"]["server"], grant)
        with gateway.admitted(grant, entry) as (servers, take):
            context = RequestContext(headers, grant, await gateway.shared(entry, grant))
            reply = Reply(send, gateway.settings.http.body_seconds)
            if scope["method"] == "POST":
                await self._post(context, servers, reply, receive, take)
            elif scope["method"] in ("GET", "DELETE"):
                await self._other(scope["method"], context, reply, receive)
            else:
                raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "use POST", {"Allow": METHODS})

    # messages

    async def _post(
        self,
        context: RequestContext,
        servers: StartedServers,
        reply: Reply,
        receive: Receive,
        take: Callable[[int], None],
    ) -> None:
        message = await self._message(context, reply, receive, take)
        if message is None:
            return
        modern = is_modern(context.headers, message)
        session = None if modern else self._session(context)
        if message.method == "initialize" and session is None and not modern:
            self._gateway.sessions.check_room()
        try:
            work = self._exchange(context, servers, message, session, reply, modern=modern)
            endless = message.method == _LISTEN
            await self._until_gone(work, context, session, reply, receive, endless=endless)
        except jsonrpc.Refused as refused:
            await self._refuse(context, reply, refused, message.raw)
        if message.method == "notifications/cancelled" and session is not None:
            session.channel.cancelled(message.params.get("requestId"))

    async def _exchange(
        self,
        context: RequestContext,
        servers: StartedServers,
        message: Message,
        session: Session | None,
        reply: Reply,
        *,
        modern: bool,
    ) -> None:
        if modern and not await self._is_stateless_request(context, message, reply):
            return
        if modern:
            channel = await servers.lend(context, message)
        else:
            if session is None:
                session = await self._begin(context, servers, message)
            channel = session.channel
        gateway = self._gateway
        exchange = Exchange(context, channel, message, gateway.threads, gateway.new_scope, session)
        await exchange.post(reply)

    async def _begin(
        self, context: RequestContext, servers: StartedServers, message: Message
    ) -> Session:
        if message.method != "initialize":
            why = f"initialize first, and send {names.SESSION} from then on"
            raise Refusal(HTTPStatus.BAD_REQUEST, why)
        return await servers.begin_session(context, client_name(message))

    async def _is_stateless_request(
        self, context: RequestContext, message: Message, reply: Reply
    ) -> bool:
        """Tell whether a message goes to a server; answer it where it does not."""
        if message.kind != "request":
            await reply.bare(HTTPStatus.ACCEPTED)
            return False
        if not message.modern:
            why = f"params._meta needs {jsonrpc.PROTOCOL_VERSION_KEY}"
            line = jsonrpc.error_line(jsonrpc.INVALID_PARAMS, why, message.id_text)
            await reply.message(HTTPStatus.BAD_REQUEST, line)
            return False
        if message.method == "initialize":
            # The era has none (SEP-2575), and clients share the server: what would begin a session
            # for one of them would hold for all.
            why = "Method not found: requests of this era begin no session"
            line = jsonrpc.error_line(jsonrpc.METHOD_NOT_FOUND, why, message.id_text)
            await reply.message(HTTPStatus.NOT_FOUND, line)
            return False
        if message.method == "tools/call":
            definition = context.shared.server.definition
            tool = await self._gateway.threads.write(definition, message.params["name"])
            check_parameters(context.headers, message, tool.get("inputSchema"))
        return True

    async def _message(
        self,
        context: RequestContext,
        reply: Reply,
        receive: Receive,
        take: Callable[[int], None],
    ) -> Message | None:
        """Read and parse what was posted; None where it was refused, recorded and answered."""
        limits = context.shared.limits
        _check_body_headers(context.headers, limits.size)
        body = await self._body(receive, limits.size, take)
        try:
            if len(body) > LARGE:
                message = await self._gateway.threads.run(jsonrpc.parse, body, limits)
            else:
                message = jsonrpc.parse(body, limits)
            check_headers(context.headers, message)
        except jsonrpc.Refused as refused:
            await self._refuse(context, reply, refused, body)
            return None
        return message

    async def _body(self, receive: Receive, limit: int, take: Callable[[int], None]) -> bytes:
        seconds = self._gateway.settings.http.body_seconds
        try:
            return await read_body(receive, limit, seconds, take)
        except BodyTooLarge:
            raise _too_large(limit) from None
        except TimeoutError:
            why = f"the message did not come within {seconds:g} s"
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, why, _CLOSE) from None

    async def _refuse(
        self, context: RequestContext, reply: Reply, refused: jsonrpc.Refused, body: bytes
    ) -> None:
        """Record a message that is not acceptable, and answer it."""
        caller = context.shared.caller(context.grant, "")
        enforcer = context.shared.server.enforcer
        await self._gateway.threads.write(enforcer.refused, caller, refused, body)
        line = jsonrpc.error_line(refused.code, refused.why, refused.request_id)
        await reply.message(HTTPStatus.BAD_REQUEST, line)

    # sessions

    def _session(self, context: RequestContext) -> Session | None:
        """Return the session that a request names; raises `Refusal` (404) for one that is over."""
        given = context.headers.first.get(_SESSION)
        if given is None:
            return None
        session_id = given.decode("latin-1")
        server = context.shared.entry.name
        session = self._gateway.sessions.find(server, session_id, context.grant)
        if session.channel.gone:
            self._gateway.sessions.forget(session)
            why = f"server {server} has ended; initialize anew"
            raise Refusal(HTTPStatus.NOT_FOUND, why)
        return session

    async def _other(
        self, method: str, context: RequestContext, reply: Reply, receive: Receive
    ) -> None:
        """Open the stream for unsolicited messages, go on with one, or end a session."""
        if is_modern(context.headers):
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "use POST", {"Allow": "POST"})
        session = self._session(context)
        if method == "GET" and not accepts(context.headers, EVENTS):
            raise Refusal(HTTPStatus.NOT_ACCEPTABLE, f"a stream is {EVENTS}; accept that")
        if session is None:
            why = f"initialize first, and send {names.SESSION} from then on"
            raise Refusal(HTTPStatus.BAD_REQUEST, why)
        if method == "DELETE":
            await self._gateway.servers.end_session(session)
            await reply.bare(HTTPStatus.OK)
            return
        work = _listen(context.headers, session, reply)
        await self._until_gone(work, context, session, reply, receive, endless=True)

    async def _until_gone(
        self,
        work: Coroutine[Any, Any, None],
        context: RequestContext,
        session: Session | None,
        reply: Reply,
        receive: Receive,
        *,
        endless: bool,
    ) -> None:
        """Serve a request until it is answered, its client leaves, or its grant ends."""
        task = asyncio.ensure_future(work)
        left = False
        try:
            with self._gateway.serving(task, context.grant, session, endless=endless):
                await asyncio.wait((task,), timeout=_AT_ONCE)
                if not task.done():
                    left = await _is_left(task, receive)
        finally:
            task.cancel()
            with contextlib.suppress(ClientGone, asyncio.CancelledError):
                await task
        if not reply.begun and not left:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the request was ended by pktui")
        with contextlib.suppress(ClientGone):
            await reply.end()

    # the short way

    def post_short(self, post: Post) -> bool:
        """Take a small POST with nothing odd about it, and answer it without ASGI.

        Returns False, with nothing done, for one that is to go through ASGI.
        """
        try:
            return self._post_short(post)
        except (Refusal, jsonrpc.Refused, PktuiError):
            return False

    def _post_short(self, post: Post) -> bool:
        found = post.headers
        path = _PATH.fullmatch(post.path)
        if (
            path is None
            or len(post.body) > LARGE
            or found.get(b"content-type") != _JSON
            or not _ODD.isdisjoint(found)
        ):
            return False
        headers = Headers(found)
        self._authenticator.check_names(headers)
        grant = self._authenticator.admit(headers)
        gateway = self._gateway
        entry = gateway.entry(path[1].decode(), grant)
        shared = gateway.shared_now(entry, grant)
        if shared is None:
            return False
        context = RequestContext(headers, grant, shared)
        message = jsonrpc.parse(post.body, shared.limits)
        check_headers(headers, message)
        if message.method in ("initialize", _LISTEN):
            return False
        session = None
        if is_modern(headers, message):
            channel = self._lent(context, message)
        else:
            session = self._session(context)
            channel = session.channel if session is not None else None
        if channel is None or channel.full:
            return False
        mine = shared.server.claim()
        try:
            if not mine and writes(message):
                return False
            self._serve_short(context, channel, session, post, message)
        finally:
            if mine:
                shared.server.let_go()
        return True

    def _lent(self, context: RequestContext, message: Message) -> Channel | None:
        """Return the server for a stateless request where it can have it at once."""
        if message.kind != "request" or not message.modern:
            return None
        if message.method == "tools/call" and (
            context.headers.has_parameters or context.shared.marks(message.params["name"])
        ):
            return None
        return self._gateway.servers.started(context.shared.entry).lend_now(context, message)

    def _serve_short(
        self,
        context: RequestContext,
        channel: Channel,
        session: Session | None,
        post: Post,
        message: Message,
    ) -> None:
        gateway, grant = self._gateway, context.grant
        gateway.enter_short(grant, session)
        try:
            exchange = Exchange(
                context, channel, message, gateway.threads, gateway.new_scope, session
            )
        except jsonrpc.Refused:
            gateway.leave_short(grant, session)
            raise

        async def rest(_scope: Scope, receive: Receive, send: Send) -> None:
            reply = Reply(send, gateway.settings.http.body_seconds)
            try:
                await self._until_gone(
                    exchange.stream(reply), context, session, reply, receive, endless=False
                )
            except Refusal as refusal:
                await refusal.response()(_scope, receive, send)

        done = partial(gateway.leave_short, grant, session)
        answer = exchange.post_short(post, done, rest)
        if answer is not None and not answer.over:
            gateway.short[answer] = grant
        if message.method == "notifications/cancelled" and session is not None:
            session.channel.cancelled(message.params.get("requestId"))


async def _listen(headers: Headers, session: Session, reply: Reply) -> None:
    """Send what the server says unsolicited, or go on with a stream that broke off."""
    name, _, place = headers.get(names.LAST_EVENT).rpartition("/")
    stream = session.streams.get(name, session.streams["0"])
    after = int(place) if name and place.isascii() and place.isdigit() else stream.sent
    reader = stream.attach()
    try:
        await reply.stream([(names.SESSION, session.id)])
        await deliver(reply, stream, reader, after, resumable=True)
    finally:
        stream.detach(reader)


def _check_body_headers(headers: Headers, limit: int) -> None:
    """Raise `Refusal` for a body that is no JSON, is compressed, or says that it is too large."""
    if headers.get("content-type").partition(";")[0].strip().lower() != JSON:
        why = f"send the message as {JSON}"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why, _CLOSE)
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send the message uncompressed",
            {**_CLOSE, "Accept-Encoding": "identity"},
        )
    if int(headers.get("content-length", "0")) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> Refusal:
    why = f"the message is larger than {limit} bytes"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why, _CLOSE)


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


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _unknown(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Refusal(HTTPStatus(error.status_code), error.detail).response()
