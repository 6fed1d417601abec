"""A real HTTP server on the loopback whose every answer a test writes, and a client for it."""

from __future__ import annotations

import json
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from pktui.gateway.protocol.server_messages import Unanswered
from pktui.gateway.servers.entries import ServerEntry
from pktui.gateway.upstream.remote import RemoteServer

if TYPE_CHECKING:
    from pktui.gateway.lineio.lines import TooLong

PATIENCE = 60.0
LIMIT = 64 * 1024
MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}


@dataclass
class Asked:
    """One request as it arrived, and the means to answer it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    handler: BaseHTTPRequestHandler
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def message(self) -> Any:
        return json.loads(self.body) if self.body else None

    def answer(
        self,
        status: int = 200,
        body: bytes = b"",
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with a whole body."""
        self.handler.send_response(status)
        if body:
            self.handler.send_header("Content-Type", kind)
        self.handler.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def result(self, value: Any = None, headers: Mapping[str, str] | None = None) -> None:
        """Answer the JSON-RPC request with a result."""
        self.answer(body=answer_to(self.message, value), headers=headers)

    def stream(
        self, *events: bytes, end: bool = True, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with a stream of events; without `end` it breaks off."""
        self.handler.send_response(200)
        for name, value in (headers or {}).items():
            self.handler.send_header(name, value)
        self.handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.handler.send_header("Transfer-Encoding", "chunked")
        self.handler.end_headers()
        for event in events:
            self.chunk(event)
        if end:
            self.handler.wfile.write(b"0\r\n\r\n")
        else:
            self.hang_up()

    def chunk(self, data: bytes) -> None:
        self.handler.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.handler.wfile.flush()

    def linger(self, *events: bytes) -> None:
        """Begin a stream, and wait until the client has closed it."""
        try:
            self.handler.send_response(200)
            self.handler.send_header("Content-Type", "text/event-stream")
            self.handler.end_headers()
            self.handler.wfile.write(b"".join(events))
            self.handler.wfile.flush()
            self.handler.connection.settimeout(PATIENCE)
            self.handler.connection.recv(1)
        finally:
            self.handler.close_connection = True
            self.closed.set()

    def wait_for_end(self) -> None:
        """Wait until the client has closed the stream."""
        assert self.closed.wait(PATIENCE)

    def hang_up(self) -> None:
        """Close the connection in the middle of the answer."""
        self.handler.close_connection = True
        self.handler.wfile.flush()
        self.handler.connection.shutdown(socket.SHUT_RDWR)


def answer_to(message: Any, value: Any = None) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": value or {}}).encode()


def event(message: bytes, *, id: str = "", retry: int | None = None) -> bytes:  # noqa: A002
    lines = [f"id: {id}"] if id else []
    lines += [f"retry: {retry}"] if retry is not None else []
    return "\n".join([*lines, f"data: {message.decode()}", "", ""]).encode()


Script = Callable[[Asked], None]


class FarServer:
    """Listens on a port of the system's choosing; `asked` holds what came, in order."""

    def __init__(self, script: Script, encrypted: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.connections = 0
        self._arrived = threading.Condition()
        self._connections: set[socket.socket] = set()
        far = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                far._connections.add(self.connection)
                far.connections += 1

            def finish(self) -> None:
                far._connections.discard(self.connection)
                super().finish()

            def log_message(self, *_: Any) -> None:
                return

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = cast("Mapping[str, str]", self.headers)  # in any case
                asked = Asked(self.command, self.path, headers, body, self)
                with far._arrived:
                    far.asked.append(asked)
                    far._arrived.notify_all()
                far.script(asked)

            do_GET = do_POST = do_DELETE = serve  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._scheme = "http"
        if encrypted is not None:
            self._scheme = "https"
            self._server.socket = encrypted.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/mcp"

    def wait_for(self, condition: Callable[[list[Asked]], bool]) -> None:
        """Wait until what was asked meets the condition."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: condition(self.asked), PATIENCE)

    def methods(self) -> list[str]:
        """Return what was asked, as HTTP method and JSON-RPC method."""
        return [
            f"{one.method} {(one.message or {}).get('method', '')}".strip() for one in self.asked
        ]

    def posted(self) -> list[str]:
        """Return `methods` without the streams that were opened beside, which come at any time."""
        return [method for method in self.methods() if method != "GET"]

    def __enter__(self) -> FarServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.die()

    def die(self) -> None:
        """Stop at once: no more connections, and those there are end."""
        self._server.shutdown()
        self._server.server_close()
        for connection in tuple(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@dataclass
class Peer:
    """The relay's side of a remote server."""

    server: RemoteServer
    said: list[str]
    lines: queue.Queue[bytes | TooLong | Unanswered] = field(default_factory=queue.Queue)
    ended: threading.Event = field(default_factory=threading.Event)
    sent: bool | None = None
    """Whether the last request without an answer may have reached the server."""

    @classmethod
    def to(cls, url: str, *, headers: Mapping[str, str] | None = None) -> Peer:
        said: list[str] = []
        entry = ServerEntry("far", url=url, headers=headers or {})
        peer = cls(RemoteServer(entry, said.append, LIMIT), said)
        peer.server.start(peer.take, peer.ended.set)
        return peer

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.end(0)

    def take(self, *lines: bytes | TooLong | Unanswered) -> None:
        for line in lines:
            self.lines.put(line)

    def send(self, method: str, request_id: Any = None, **params: Any) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        message |= {"params": params} if params else {}
        message |= {"id": request_id} if request_id is not None else {}
        self.server.send(json.dumps(message).encode())

    def receive(self) -> Any:
        line = self.lines.get(timeout=PATIENCE)
        if isinstance(line, Unanswered):
            self.sent = line.sent
            error = {"code": -32000, "message": line.why}
            return {"jsonrpc": "2.0", "id": line.request_id, "error": error}
        assert isinstance(line, bytes)
        assert b"\n" not in line
        return json.loads(line)

    def ask(self, method: str, request_id: Any = 1, **params: Any) -> Any:
        self.send(method, request_id, **params)
        return self.receive()

    def initialize(self) -> None:
        assert "result" in self.ask("initialize", 0, protocolVersion="2025-11-25")

    def failure(self, method: str = "tools/list", request_id: Any = 1, **params: Any) -> str:
        """Ask, and return the words of the error that must come."""
        answer = self.ask(method, request_id, **params)
        assert answer["id"] == request_id
        return str(answer["error"]["message"])


def session(then: Script | None = None, *, version: str = "2025-11-25") -> Script:
    """Return the script of a server with a session: what it does not know `then` answers."""

    def script(asked: Asked) -> None:
        method = (asked.message or {}).get("method", "")
        if method == "initialize":
            asked.result({"protocolVersion": version}, {"Mcp-Session-Id": "s-1"})
        elif asked.method == "DELETE":
            asked.answer(204)
        elif then is not None and method != "notifications/initialized":
            then(asked)
        elif asked.method == "GET":
            asked.answer(405)
        else:
            asked.answer(202)

    return script
