"""Who may come in over TCP: under a name of ours, from no foreign web page, with the token.

Who is in must say what it wants within its time: the body is read here, before anything is done.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response

from pktui.httpserver.guard import REALM, Guard, bearer_token, is_same_token
from pktui.httpserver.serving import BodyTooLarge, ClientGone, read_body
from pktui.memory import api
from pktui.memory.envelope import Failure, FailureDetail, FailureKind
from pktui.memory.service.requests import MAX_BODY_BYTES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What only those may ask for who are on the service's own machine.
_OWN_MACHINE = frozenset({api.STOP.path})


class TcpGuard:
    """The application behind a check of every request. `names` are further ones to be known by.

    A body must be there within `body_seconds`.
    """

    def __init__(self, app: ASGIApp, token: str, names: Iterable[str], body_seconds: float) -> None:
        self._app = app
        self._token = token
        own = ("localhost", socket.gethostname(), socket.getfqdn())
        self._guard = Guard((*own, *names), numbers=True)
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer with why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope), scope["path"])
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        try:
            body = await read_body(receive, MAX_BODY_BYTES, self._body_seconds)
        except TimeoutError:
            what = f"the request did not come within {self._body_seconds:g} seconds"
            late = _refused(HTTPStatus.REQUEST_TIMEOUT, what, "Try again, or send less")
            await late(scope, receive, send)
        except BodyTooLarge:
            what = f"the request is larger than {MAX_BODY_BYTES} bytes"
            large = _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, what, "Send less", "invalid")
            await large(scope, receive, send)
        except ClientGone:
            return
        else:
            await self._app(scope, _given_out(body, receive), send)

    def _refusal(self, headers: Headers, path: str) -> Response | None:
        named = self._guard.refused(headers.getlist("host"), headers.getlist("origin"))
        if named == "host":
            return _refused(
                HTTPStatus.FORBIDDEN,
                "this host is no name of the memory service",
                "Add it to memory.allowed_hosts where the service runs",
            )
        if named == "origin":
            return _refused(HTTPStatus.FORBIDDEN, "no web page may use the memory service", "")
        if not is_same_token(bearer_token(headers.getlist("authorization")), self._token):
            return _refused(
                HTTPStatus.UNAUTHORIZED,
                "the memory service does not know this token",
                "Take the one that pktui memory token prints where the service runs",
            )
        if path in _OWN_MACHINE:
            what = "the memory service is others' too"
            return _refused(HTTPStatus.FORBIDDEN, what, "End it where it runs")
        return None


def _given_out(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read out again, and then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return messages.pop() if messages else await receive()

    return given


def crowded() -> bytes:
    """Return the answer to a connection that is one too many."""
    what = "the memory service has as many connections as it takes"
    body = msgspec.json.encode(Failure(FailureDetail("unavailable", what, "Try again later")))
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _refused(
    status: HTTPStatus, what: str, cure: str, kind: FailureKind = "unavailable"
) -> Response:
    headers = {"WWW-Authenticate": REALM} if status == HTTPStatus.UNAUTHORIZED else {}
    body = msgspec.json.encode(Failure(FailureDetail(kind, what, cure)))
    return Response(body, status, {**headers, "Connection": "close"}, "application/json")
