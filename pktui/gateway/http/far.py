"""The connections to one server behind a URL, and what of its answers a client gets."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import httpx2

from pktui.gateway.messages import headers as names
from pktui.gateway.servers.endpoint import checked_headers, parse_endpoint
from pktui.gateway.servers.preparing import prepared
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.gateway.http.reply import Header
    from pktui.gateway.servers.entries import ServerEntry

KEPT_BACK: Final = frozenset({401, 403, 407})
"""Statuses that speak of pktui's credentials, not of the client's."""

_EXTENSIONS: Final = {"timeout": {"connect": 10, "read": None, "write": 30, "pool": 10}}
"""Seconds; a stream may be silent for as long as it likes."""
_PASSED_BACK: Final = (names.SESSION, names.VERSION, "retry-after", "allow")


class Far:
    """One server, as far as HTTP goes. All grants' requests go through it: no cookie is kept.

    The library's transport is used without its client, which follows, signs in and remembers.
    """

    def __init__(self, entry: ServerEntry) -> None:
        """Raises `SettingsError` where the entry's URL or headers cannot be used."""
        entry = prepared(entry, os.environ)
        parse_endpoint(entry.url, entry.name)
        self.name = entry.name
        self._url = httpx2.URL(entry.url)
        own = {"user-agent": "pktui", "accept-encoding": "identity"}
        for name, value in checked_headers(entry.headers, entry.name).items():
            own[name.lower()] = value
        self._headers = [
            (b"host", self._url.netloc),
            *((name.encode(), value.encode()) for name, value in own.items()),
        ]
        self._transport = httpx2.AsyncHTTPTransport(
            trust_env=False,
            verify=ssl.create_default_context(),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=32),
        )

    @asynccontextmanager
    async def open(
        self, method: str, headers: dict[str, str], body: bytes | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """Send a request and yield its answer, body unread; raises `httpx2.HTTPError`.

        Each character of a header's value stands for a byte, as Starlette reads them.
        """
        written = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        request = httpx2.Request(
            method,
            self._url,
            headers=[*self._headers, *written],
            content=body,
            extensions=_EXTENSIONS,
        )
        response = await self._transport.handle_async_request(request)
        response.request = request
        try:
            yield response
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    def lost(self, error: httpx2.HTTPError) -> str:
        """Return what to say of a server that did not answer."""
        cause = one_line(str(error), 200) or type(error).__name__
        return f"server {self.name} cannot be reached: {cause}"


def media_type(response: httpx2.Response) -> str:
    """Return the media type of an answer's body, without parameters."""
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def passed_back(response: httpx2.Response) -> list[Header]:
    """Return the headers of an answer that its client gets."""
    return [
        (name, value)
        for name in _PASSED_BACK
        if (value := response.headers.get(name)) is not None and value.isascii()
    ]


async def read_whole(response: httpx2.Response, limit: int) -> bytes | None:
    """Return a body, or None where it is larger than the limit."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)
