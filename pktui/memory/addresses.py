"""Where a memory service listens: a Unix socket of this machine, or a URL of another one."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from pktui.errors import SettingsError
from pktui.memory.tokens import read_token
from pktui.settings import check_own_directory

if TYPE_CHECKING:
    from pktui.settings import Paths

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(Protocol):
    """Something that HTTP connections can be opened to; `str()` of it is for people."""

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the Unix socket instead of a host; raises `SettingsError` for another's."""
        check_own_directory(self._path.parent)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
        except BaseException:
            self.close()
            raise


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""
        return _UnixConnection(self.path, timeout)


@dataclass(frozen=True, slots=True)
class UrlAddress:
    """An `http` or `https` URL without a path."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> UrlAddress:
        """Read the setting `memory.service`; raises `SettingsError`."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _unusable(url) from error
        plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not plain:
            raise _unusable(url)
        return cls(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme])

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""
        if self.scheme == "https":
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)


@dataclass(frozen=True, slots=True)
class Remote:
    """A service on another machine, and the token that it lets us in with."""

    address: UrlAddress
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every request to it bears."""
        return {"Authorization": f"Bearer {self.token}"}


def remote_of(paths: Paths) -> Remote | None:
    """Return the service that the setting `memory.service` names, None for our own."""
    from pktui.settings import load_settings

    settings = load_settings(paths)
    if not settings.memory.service:
        return None
    return Remote(UrlAddress.parse(settings.memory.service), read_token(paths, settings))


def _unusable(url: str) -> SettingsError:
    return SettingsError(
        f"memory.service {url.rpartition('@')[2]!r} is no address of a service",
        "Write http://host:port or https://host:port",
    )
