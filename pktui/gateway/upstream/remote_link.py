"""Connections to one server: plain HTTP/1.1, kept open while they are used, ended from any thread.

Proxies that the environment names are not used, certificates are always verified, and nothing is
sent twice: a connection that the server may have closed meanwhile is not used again.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.gateway.protocol.unpacking import Unpacked

if TYPE_CHECKING:
    import ssl

    from pktui.gateway.servers.url import Endpoint

CONNECT_SECONDS: Final = 10.0
WRITE_SECONDS: Final = 60.0
_KEPT: Final = 16
_IDLE_SECONDS: Final = 2.0
"""Servers close idle connections after five seconds or more."""
_WARM_SECONDS: Final = 3.0
"""How long a request waits for the connection that is being made beforehand."""
_MOST_INTERIM: Final = 16
_CHUNK: Final = 64 * 1024
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
"""A peer that is gone without a word is noticed after a minute, however long an answer takes."""


class LinkFailed(Exception):
    """A request that came to nothing.

    `why` is the system's word for it. `sent`: the server may have seen the request.
    """

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


class Aborted(LinkFailed):
    """The request was ended on this side."""


class Link:
    """The connections to one server, for any number of threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._lock = threading.Lock()
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self._closed = False
        self._context: ssl.SSLContext | None = None
        self._warmed = threading.Event()
        self._warmed.set()

    def warm(self) -> None:
        """Do in the background what takes time before a request: certificates, a connection."""
        self._warmed.clear()
        lasting.start("server-connect", self._warm)

    def take(self, seconds: float) -> http.client.HTTPConnection:
        """Return an open connection that nobody else uses; raises `OSError`."""
        while True:
            with self._lock:
                since, connection = self._idle.pop() if self._idle else (0.0, None)
            if connection is None and not self._warmed.is_set():
                self._warmed.wait(_WARM_SECONDS)
                self._warmed.set()
            elif connection is None:
                return self._connect(seconds)
            elif time.monotonic() - since < _IDLE_SECONDS and _is_quiet(connection):
                return connection
            else:
                connection.close()

    def keep(self, connection: http.client.HTTPConnection) -> None:
        """Keep a connection whose last answer was read to its end."""
        with self._lock:
            if len(self._idle) < _KEPT and not self._closed:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()

    def close(self) -> None:
        """Close what is kept, and keep nothing more."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _warm(self) -> None:
        try:
            self.keep(self._connect(CONNECT_SECONDS))
        except (OSError, http.client.HTTPException):
            return  # the first request will tell
        finally:
            self._warmed.set()

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        endpoint = self.endpoint
        connection: http.client.HTTPConnection
        if endpoint.scheme == "https":
            connection = http.client.HTTPSConnection(
                endpoint.host, endpoint.port, timeout=seconds, context=self._certificates()
            )
        else:
            connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=seconds)
        connection.response_class = _Response
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        _watch_over(connection.sock)
        return connection

    def _certificates(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                import ssl

                self._context = ssl.create_default_context()
            return self._context


class Exchange:
    """One request and its answer. `abort` may be called at any time, from any thread."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._sock: socket.socket | None = None
        self._aborted = False

    def send(
        self, method: str, headers: Mapping[str, str], body: bytes | None, *, seconds: float
    ) -> None:
        """Connect within `seconds` and write the request whole, or raise `LinkFailed`."""
        try:
            connection = self._link.take(seconds)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failure(error, sent=False) from error
        with self._lock:
            self._connection, self._sock = connection, connection.sock
        try:
            self._check()
            connection.sock.settimeout(WRITE_SECONDS)
            connection.request(method, self._link.endpoint.target, body, dict(headers))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failure(error, sent=True) from error

    def receive(self, seconds: float | None) -> None:
        """Wait for the head of the answer, for ever where `seconds` is None."""
        assert self._connection is not None
        assert self._sock is not None
        try:
            self._sock.settimeout(seconds)
            self._response = self._connection.getresponse()
            self._check()
        except (OSError, http.client.HTTPException) as error:
            raise self._failure(error, sent=True) from error

    @property
    def status(self) -> int:
        """The answer's status."""
        return self._answer.status

    def header(self, name: str) -> str:
        """Return a header of the answer, empty where it has none."""
        return self._answer.getheader(name) or ""

    @property
    def content_type(self) -> str:
        """The answer's media type, without parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().lower()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes, decoded where it is compressed.

        Raises `LinkFailed`, and `Unreadable` for a compressed body that cannot be decoded.
        """
        unpacked = Unpacked.of(self.header("content-encoding"))
        for chunk in self._raw():
            yield from (chunk,) if unpacked is None else unpacked.feed(chunk)
        if unpacked is not None:
            unpacked.close()

    def _raw(self) -> Iterator[bytes]:
        try:
            while chunk := self._answer.read1(_CHUNK):
                yield chunk
            self._check()
            if self._answer.length:
                raise http.client.IncompleteRead(b"")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failure(error, sent=True) from error

    def read(self, limit: int) -> bytes:
        """Return the body, at most one byte more than `limit`."""
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                break
        return bytes(body[: limit + 1])

    def finish(self, seconds: float = 0.5) -> None:
        """Let go of the connection; one whose answer ends within `seconds` is kept."""
        with self._lock:
            connection, self._connection = self._connection, None
            sock, self._sock = self._sock, None
        if connection is None or sock is None:
            return
        reusable = self._drain(sock, seconds)
        if self._response is not None:
            self._response.close()
        if reusable:
            self._link.keep(connection)
        else:
            connection.close()

    def abort(self) -> None:
        """End it: whoever waits for it gets `Aborted`."""
        with self._lock:
            self._aborted = True
            if self._sock is not None:
                with contextlib.suppress(OSError):
                    # that of a TLS socket would take its state from under the thread that reads
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def _drain(self, sock: socket.socket, seconds: float) -> bool:
        """Read what is left of the answer; tell whether another request may follow it."""
        response = self._response
        if response is None or response.will_close or self._aborted:
            return False
        try:
            sock.settimeout(seconds)
            left = _CHUNK
            while left > 0 and (chunk := response.read1(left)):
                left -= len(chunk)
        except (OSError, http.client.HTTPException, ValueError):
            return False
        return response.isclosed() or response.length == 0

    @property
    def _answer(self) -> http.client.HTTPResponse:
        assert self._response is not None
        return self._response

    def _check(self) -> None:
        if self._aborted:
            raise ConnectionAbortedError

    def _failure(self, error: Exception, *, sent: bool) -> LinkFailed:
        kind = Aborted if self._aborted else LinkFailed
        return kind(_cause(error), sent=sent)


class _Response(http.client.HTTPResponse):
    """An answer, after a bounded number of those that only say that it is to come (1xx)."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST_INTERIM + 1):
            line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 <= line[1] < 200 or line[1] == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return line
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException


def _is_quiet(connection: http.client.HTTPConnection) -> bool:
    """Tell whether the other side has neither closed the connection nor said anything more.

    What TLS itself has to say after the handshake does not count.
    """
    sock = connection.sock
    if sock is None or not select.select([sock], [], [], 0)[0]:
        return sock is not None
    try:
        sock.setblocking(False)
        sock.recv(1)
    except OSError as error:
        return type(error).__name__ in ("SSLWantReadError", "BlockingIOError")
    return False


def _watch_over(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return "the connection was closed"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer broke off"
    if isinstance(error, http.client.HTTPException):
        return f"the answer is not HTTP as it should be ({type(error).__name__})"
    reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "")
    return str(reason) or str(error) or type(error).__name__
