"""Where a server is: its URL taken apart and checked, and the headers a person gave for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from pktui.errors import SettingsError, UsageError

_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\x20-\x7e\t]*")
_ADDRESS: Final = re.compile(r"[\x21-\x7e]+")
_OURS: Final = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length"),
        *("content-type", "expect", "host", "keep-alive", "last-event-id", "mcp-method"),
        *("mcp-name", "mcp-protocol-version", "mcp-session-id", "proxy-authorization", "te"),
        *("trailer", "transfer-encoding", "upgrade"),
    }
)
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class Endpoint(msgspec.Struct, frozen=True):
    """The address of a server; `target` is path and query, as they are requested."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str

    @property
    def shown(self) -> str:
        """Return the address without its query, which may hold a key."""
        path, query, _ = self.target.partition("?")
        return f"{self.scheme}://{self.authority}{path}{'?…' if query else ''}"

    @property
    def authority(self) -> str:
        """Return host and port, as the header `Host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def in_the_open(self) -> bool:
        """Tell whether what is sent there can be read on the way."""
        return self.scheme == "http" and self.host not in _LOCAL

    def redirected(self, location: str) -> Endpoint | None:
        """Return where a redirect leads; None where that is another origin, or no address.

        Credentials were given for this origin (scheme, host and port) and for no other.
        """
        there = self.resolved(location)
        return there if there is not None and self.same_origin(there) else None

    def resolved(self, location: str) -> Endpoint | None:
        """Return the address that a redirect names; None where it names none."""
        if not location:
            return None
        try:
            return parse_endpoint(urljoin(self._url, location), "")
        except (SettingsError, ValueError):
            return None

    def same_origin(self, there: Endpoint) -> bool:
        """Tell whether scheme, host and port are the same."""
        return (there.scheme, there.host, there.port) == (self.scheme, self.host, self.port)

    @property
    def _url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.target}"


def parse_endpoint(url: str, server: str) -> Endpoint:
    """Return the address that a URL names; raises `SettingsError` where it cannot be used."""
    if not _ADDRESS.fullmatch(url):
        raise _bad(server, "holds spaces or characters that a URL cannot have")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _bad(server, str(error)) from error
    scheme, host = parts.scheme, parts.hostname
    if scheme not in _PORTS or not host:
        raise _bad(server, "is not http://… or https://…")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(
            f"the URL of server {server} holds a user's name or password",
            'Take it out and give a header: "Authorization": "Basic …"',
        )
    kind: Literal["http", "https"] = "https" if scheme == "https" else "http"
    return Endpoint(kind, host, port or _PORTS[kind], _target(parts))


def read_headers(given: Sequence[str]) -> dict[str, str]:
    """Read headers given as `NAME: VALUE`; raises `UsageError`, without the value."""
    headers = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise UsageError(
                "a header needs a name and a value", "Write --header 'Authorization: Bearer …'"
            )
        headers[name.strip()] = value.strip()
    return headers


def checked_headers(headers: Mapping[str, str], server: str) -> dict[str, str]:
    """Return a person's headers; raises `SettingsError` naming one that cannot be sent.

    A value is never in the error, for it may be a secret.
    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"server {server}: {name!r} cannot be the name of a header",
                "Use letters, digits and dashes",
            )
        if name.lower() in _OURS or name.lower().startswith("mcp-param-"):
            raise SettingsError(
                f"server {server}: the header {name} is pktui's own to set", "Take it out"
            )
        if not _VALUE.fullmatch(value):
            raise SettingsError(
                f"server {server}: the value of header {name} holds characters that a header"
                " cannot have",
                "Look for line ends and accents in it",
            )
    return {name: value.strip() for name, value in headers.items()}


def _target(parts: SplitResult) -> str:
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def _bad(server: str, why: str) -> SettingsError:
    return SettingsError(
        f"the URL of server {server} {why}", "Write it as https://host/path, as its makers give it"
    )
