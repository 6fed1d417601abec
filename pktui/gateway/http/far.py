"""One server behind a URL: its connections, and what of its answers a client gets."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from pktui.gateway.protocol import headers as names
from pktui.gateway.servers.expand import prepared
from pktui.gateway.servers.url import checked_headers, parse_endpoint
from pktui.gateway.upstream.http_client import Answer, Connection, connect
from pktui.gateway.upstream.remote_errors import Words
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.gateway.http.reply import Header
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.gateway.upstream.broken import ExchangeFailed

KEPT_BACK: Final = frozenset({401, 403, 407})
"""Statuses that speak of pktui's credentials, not of the client's."""

_REDIRECT: Final = (307, 308)
_REDIRECTS: Final = 3
_KEPT: Final = 64
"""Connections that wait for their next request."""
_IDLE_SECONDS: Final = 4.0
"""Servers close idle connections after five seconds or more."""
_PASSED_BACK: Final = tuple(
    name.lower() for name in (names.SESSION, names.VERSION, "retry-after", "allow")
)


class Far:
    """One server, as far as HTTP goes. All grants' requests go through it: no cookie is kept."""

    def __init__(self, entry: ServerEntry, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `SettingsError` where the entry's URL or headers cannot be used."""
        entry = prepared(entry, os.environ)
        self.name = entry.name
        self._endpoint = parse_endpoint(entry.url, entry.name)
        self._words = Words(entry.name, self._endpoint)
        self._clock = clock
        own = {"user-agent": "pktui", "accept-encoding": "identity"}
        for name, value in checked_headers(entry.headers, entry.name).items():
            own[name.lower()] = value
        self._headers = [
            (b"host", self._endpoint.authority.encode()),
            *((name.encode(), value.encode()) for name, value in own.items()),
        ]
        self._context = _certificates() if self._endpoint.scheme == "https" else None
        self._idle: list[tuple[float, Connection]] = []

    @asynccontextmanager
    async def open(
        self, method: str, headers: dict[str, str], body: bytes | None = None
    ) -> AsyncIterator[Answer]:
        """Send a request and yield its answer, body unread; raises `ExchangeFailed`.

        Each character of a header's value stands for a byte, as Starlette reads them.
        """
        written = [*self._headers]
        written += [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        if body is not None:
            written.append((b"content-length", b"%d" % len(body)))
        connection = await self._connection()
        try:
            answer = await connection.ask(method, self._endpoint.target, written, body)
            for _ in range(_REDIRECTS):
                if not self._is_redirected(answer):
                    break
                self._let_go(connection)
                connection = await self._connection()
                answer = await connection.ask(method, self._endpoint.target, written, body)
            yield answer
        finally:
            self._let_go(connection)

    def _is_redirected(self, answer: Answer) -> bool:
        """Tell whether the same request is to be made elsewhere on this server, from now on."""
        if answer.status not in _REDIRECT:
            return False
        there = self._endpoint.redirected(answer.header("location"))
        if there is None:
            return False
        self._endpoint = there
        return True

    def _let_go(self, connection: Connection) -> None:
        """Keep a connection for the next request, where it is good for one."""
        if connection.rest() and len(self._idle) < _KEPT:
            self._idle.append((self._clock(), connection))
        else:
            connection.end()

    def refused(self, answer: Answer) -> str:
        """Return what an answer that cannot be passed on means, for the log."""
        location = answer.header("location")
        there = self._endpoint.resolved(location)
        return self._words.refused(answer.status, media_type(answer), location, there)

    async def close(self) -> None:
        """Close every connection."""
        while self._idle:
            self._idle.pop()[1].end()

    def lost(self, error: ExchangeFailed) -> str:
        """Return what to say of a server that did not answer."""
        return f"server {self.name} cannot be reached: {one_line(str(error), 200)}"

    async def _connection(self) -> Connection:
        """Return one that nobody uses, the one that was used last if there are several."""
        oldest = self._clock() - _IDLE_SECONDS
        while self._idle:
            since, connection = self._idle.pop()
            if since > oldest and connection.quiet:
                return connection
            connection.end()
        return await connect(self._endpoint.host, self._endpoint.port, self._context)


def _certificates() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def media_type(answer: Answer) -> str:
    """Return the media type of an answer's body, without parameters."""
    return answer.header("content-type").partition(";")[0].strip().lower()


def passed_back(answer: Answer) -> list[Header]:
    """Return the headers of an answer that its client gets."""
    return [
        (name, value) for name in _PASSED_BACK if (value := answer.header(name)) and value.isascii()
    ]


async def read_whole(answer: Answer, limit: int) -> bytes | None:
    """Return a body, or None where it is larger than the limit."""
    body = bytearray()
    async for chunk in answer.body():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)
