"""HTTP to the memory service: kept connections, and another try.

A request whose answer was lost is sent again: it is one that changes nothing when it comes twice,
or it bears a key that the service knows it by.
"""

from __future__ import annotations

import select
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from pktui.errors import MemoryUnavailable, MemoryUnreached

if TYPE_CHECKING:
    from pktui.memory.addresses import Address

MAX_IDLE_CONNECTIONS = 8
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Reply:
    """The status and body of an HTTP answer."""

    status: int
    body: bytes


class _Lost(Exception):
    """The service went away before its answer was here."""


class Transport:
    """Requests to one address, from any number of threads.

    `start` is called where nothing listens; it returns when the service listens, or raises.
    """

    def __init__(
        self, address: Address, *, timeout: float, start: Callable[[], None] | None
    ) -> None:
        self._address = address
        self._timeout = timeout
        self._start = start
        self._idle: list[HTTPConnection] = []
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, _close_all, self._idle)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Reply:
        """Send a request and return the answer; raises `MemoryUnavailable`.

        That is `MemoryUnreached` where nothing was sent.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(method, target, body, headers)
            except _Lost as error:
                if attempt == ATTEMPTS:
                    raise self._gone() from error
            except MemoryUnreached as error:
                if attempt == 1:
                    raise
                raise MemoryUnavailable(error.what, error.cure) from error
        raise AssertionError("unreachable")

    def wait_until_closed(self, seconds: float) -> None:
        """Return when the other side closes a kept connection, else after this long."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None or connection.sock is None:
            time.sleep(seconds)
            return
        select.select([connection.sock], [], [], seconds)
        self._keep(connection)

    def close(self) -> None:
        """Close the kept connections; the transport can still be used."""
        with self._lock:
            _close_all(self._idle)

    def _once(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply:
        try:
            connection = self._connection()
        except MemoryUnavailable as error:
            raise MemoryUnreached(error.what, error.cure) from error
        try:
            try:
                connection.request(method, target, body=body, headers=dict(headers))
                response = connection.getresponse()
                content = response.read()
            except TimeoutError as error:
                raise self._slow() from error
            except (OSError, HTTPException) as error:
                raise _Lost from error
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return Reply(response.status, content)

    def _connection(self) -> HTTPConnection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect()
            # Usable while the other side keeps it and has said nothing more.
            if connection.sock and not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()

    def _connect(self) -> HTTPConnection:
        for start in (self._start, None):
            connection = self._address.connection(self._timeout)
            try:
                connection.connect()
            except (FileNotFoundError, ConnectionRefusedError) as error:
                if start is None:
                    raise self._address.silence() from error
                start()
            except OSError as error:
                raise MemoryUnavailable(
                    f"the memory service at {self._address} cannot be reached: "
                    f"{error.strerror or error}",
                    "Check that it is there, and that you may use it",
                ) from error
            else:
                return connection
        raise AssertionError("unreachable")

    def _keep(self, connection: HTTPConnection) -> None:
        with self._lock:
            if connection.sock is not None and len(self._idle) < MAX_IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _gone(self) -> MemoryUnavailable:
        return MemoryUnavailable(
            "the memory service went away before it answered",
            "Its log tells why it ends: see pktui memory status; then ask again",
        )

    def _slow(self) -> MemoryUnavailable:
        return MemoryUnavailable(
            f"the memory service did not answer within {self._timeout:g} seconds",
            "See pktui memory status and the log it names",
        )


def _close_all(connections: list[HTTPConnection]) -> None:
    while connections:
        connections.pop().close()
