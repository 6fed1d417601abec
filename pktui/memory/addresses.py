"""Where a memory service listens: on this machine, or at a URL of another one."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from pktui.errors import MemoryUnavailable, SettingsError
from pktui.memory import rendezvous
from pktui.memory.access_token import read_token
from pktui.memory.starting import find_owner

if TYPE_CHECKING:
    from pktui.settings import Paths

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(Protocol):
    """Something that HTTP connections can be opened to; `str()` of it is for people."""

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""

    def silence(self) -> MemoryUnavailable:
        """Return what to say where nothing listens."""


class _LocalConnection(http.client.HTTPConnection):
    def __init__(self, paths: Paths, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._paths = paths

    def connect(self) -> None:
        """Connect to the socket that the data directory names; raises `SettingsError`."""
        self.sock = rendezvous.connect(self._paths, self.timeout or 0)


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """The Unix socket of the service that has the data directory, whichever that is by then."""

    paths: Paths

    def __str__(self) -> str:
        return str(self.paths.data_dir)

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""
        return _LocalConnection(self.paths, timeout)

    def silence(self) -> MemoryUnavailable:
        """Return what to say where nothing listens."""
        owner = find_owner(self.paths)
        return _nobody(f"for {self}") if owner is None else owner.silent(self.paths)


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

    def silence(self) -> MemoryUnavailable:
        """Return what to say where nothing listens."""
        return _nobody(f"on {self}")


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


def _nobody(where: str) -> MemoryUnavailable:
    return MemoryUnavailable(
        f"no memory service listens {where}",
        "It starts when it is needed; pktui memory serve starts it by hand",
    )


def _unusable(url: str) -> SettingsError:
    return SettingsError(
        f"memory.service {url.rpartition('@')[2]!r} is no address of a service",
        "Write http://host:port or https://host:port",
    )
