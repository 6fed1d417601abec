"""Who may come in over TCP: under a name of ours, from no foreign web page, with the token.

Names are checked because a stranger's page can make a browser send requests to a name that
resolves here (DNS rebinding); an address in numbers is no such name.

Who is in must say what it wants within its time: the body is read here, before anything is done.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response

from pktui.memory.envelope import Failure, FailureDetail
from pktui.memory.service.requests import MAX_BODY_BYTES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OWN_MACHINE = frozenset({"/v1/stop"})
"""What only those may ask for who are on the service's own machine."""


class Door:
    """The application behind a check of every request. `names` are further ones to be known by.

    A body must be there within `body_seconds`.
    """

    def __init__(self, app: ASGIApp, token: str, names: Iterable[str], body_seconds: float) -> None:
        self._app = app
        self._token = token.encode()
        self._names = {"localhost", socket.gethostname().lower(), socket.getfqdn().lower()}
        self._names |= {name.lower() for name in names}
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer with why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope), scope["path"])
        if refusal is None:
            try:
                async with asyncio.timeout(self._body_seconds):
                    received = await _body(receive)
            except TimeoutError:
                what = f"the request did not come within {self._body_seconds:g} seconds"
                refusal = _refused(HTTPStatus.REQUEST_TIMEOUT, what, "Try again, or send less")
            else:
                await self._app(scope, received, send)
                return
        await refusal(scope, receive, send)

    def _refusal(self, headers: Headers, path: str) -> Response | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._known(f"//{hosts[0]}"):
            return _refused(
                HTTPStatus.FORBIDDEN,
                "this host is no name of the memory service",
                "Add it to memory.allowed_hosts where the service runs",
            )
        if not all(self._known(origin) for origin in headers.getlist("origin")):
            return _refused(HTTPStatus.FORBIDDEN, "no web page may use the memory service", "")
        if not self._has_token(headers.getlist("authorization")):
            return _refused(
                HTTPStatus.UNAUTHORIZED,
                "the memory service does not know this token",
                "Take the one that pktui memory token prints where the service runs",
            )
        if path in _OWN_MACHINE:
            what = "the memory service is others' too"
            return _refused(HTTPStatus.FORBIDDEN, what, "End it where it runs")
        return None

    def _has_token(self, given: list[str]) -> bool:
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        known = hmac.compare_digest(token.strip().encode("latin-1", "replace"), self._token)
        return known and scheme.lower() == "bearer"

    def _known(self, url: str) -> bool:
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            return False
        return host in self._names or _is_number(host)


async def _body(receive: Receive) -> Receive:
    """Return what gives the body out again, once it came, and then what comes after it.

    Of one that is too large only as much as shows that it is.
    """
    first = await receive()
    if first["type"] != "http.request":
        return _again(first, receive)
    body = bytearray(first.get("body", b""))
    more = bool(first.get("more_body", False))
    while more and len(body) <= MAX_BODY_BYTES:
        part = await receive()
        if part["type"] != "http.request":
            return _again(part, receive)
        body += part.get("body", b"")
        more = bool(part.get("more_body", False))
    return _again({**first, "body": bytes(body), "more_body": more}, receive)


def _again(message: Message, receive: Receive) -> Receive:
    messages = [message]

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


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refused(status: HTTPStatus, what: str, cure: str) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="pktui"'} if status == 401 else {}
    body = msgspec.json.encode(Failure(FailureDetail("unavailable", what, cure)))
    return Response(body, status, {**headers, "Connection": "close"}, "application/json")
