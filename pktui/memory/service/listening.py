"""Listening for other machines: an address, its socket, and what whoever starts it should know."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from pktui.errors import MemoryUnavailable, UsageError

BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """What other machines may take: connections at once, and seconds for a request to arrive."""

    connections: int = 256
    head_seconds: float = 10.0
    body_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Entrance:
    """A socket that listens for other machines, and the token that they must have."""

    listener: socket.socket
    host: str
    token: str
    limits: Limits = Limits()

    @property
    def url(self) -> str:
        """The address in the form that the setting `memory.service` takes."""
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`; a port alone is of this machine only."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise UsageError(f"{text!r} is no address to listen on", "Write HOST:PORT, such as 8765")
    return host, int(port)


def open_entrance(host: str, port: int, token: str) -> Entrance:
    """Begin to listen; raises `MemoryUnavailable`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise MemoryUnavailable(
            f"{host}:{port} cannot be listened on: {error.strerror or error}",
            "Choose another address or port",
        ) from error
    return Entrance(listener, host, token)
