"""A listening gateway in this process, and what a client needs to talk to it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from pktui.gateway.http.server import HttpGateway
from pktui.gateway.lineio.stderr import Narrator
from pktui.gateway.servers.entries import load_servers
from pktui.ledger.ledger import Ledger
from pktui.settings import Paths, Settings
from tests.support.gateway import plain_server

if TYPE_CHECKING:
    from pktui.ledger.records import Grant

PATIENCE = 60.0
SDK_HTTP = Path(__file__).parents[2] / "support" / "sdk_http.py"
ACCEPT = "application/json, text/event-stream"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "tester", "version": "1"},
}
MODERN = {
    VERSION_KEY: "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "tester", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Served:
    """A gateway that listens on a port of the system's choosing, and a client with a token."""

    def __init__(self, paths: Paths, gateway: HttpGateway, port: int) -> None:
        self.paths = paths
        self.gateway = gateway
        self.port = port
        self.ledger = Ledger.open(paths.ledger_file)
        self.grant, self.token = self.grants("tester", "*")
        self.client = httpx2.Client(timeout=PATIENCE)
        self.sessions: list[str] = []

    def grants(self, name: str, *servers: str, policy: str = "") -> tuple[Grant, str]:
        return self.ledger.grants.create(name, servers, policy)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def headers(self, token: str | None = None) -> dict[str, str]:
        return {
            "authorization": f"Bearer {self.token if token is None else token}",
            "content-type": "application/json",
            "accept": ACCEPT,
        }

    def send(
        self, server: str, message: Any, *, token: str | None = None, **headers: str
    ) -> httpx2.Response:
        """Post a message; a header's name is written with underscores."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.client.post(
            self.url(f"/mcp/{server}"), content=body, headers=self.headers(token) | more
        )

    def begin(self, server: str, *, token: str | None = None) -> str:
        """Initialize a session and return its id."""
        reply = self.send(server, request("initialize", 0, INITIALIZE), token=token)
        assert reply.status_code == 200, reply.text
        session = reply.headers["mcp-session-id"]
        self.sessions.append(session)
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert self.send(server, ready, token=token, mcp_session_id=session).status_code == 202
        return str(session)

    def end(self, server: str, session: str) -> int:
        """End a session and return the status of that."""
        headers = self.headers() | {"mcp-session-id": session}
        return self.client.delete(self.url(f"/mcp/{server}"), headers=headers).status_code

    def ask(
        self, server: str, session: str, method: str, request_id: Any = 1, **params: Any
    ) -> Any:
        """Send a request in a session and return its answer."""
        return answer(
            self.send(server, request(method, request_id, params), mcp_session_id=session)
        )

    def modern(self, server: str, method: str, request_id: Any = 1, **params: Any) -> Any:
        """Send a request of the stateless era and return its answer."""
        return answer(
            self.send(server, stateless(method, request_id, params), **routed(method, params))
        )

    def attend(self) -> None:
        """Open a console: this test's process stands for it."""
        self.ledger.presence.announce("console")

    def decide(self, *, allow: bool) -> None:
        """Answer the one call that waits, once it does."""
        assert eventually(lambda: len(self.ledger.approvals.pending()) == 1)
        [approval] = self.ledger.approvals.pending()
        self.ledger.approvals.decide(approval.id, allow, by="console", args_hash=approval.args_hash)

    def close(self) -> None:
        self.client.close()
        self.ledger.close()


def request(method: str, request_id: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def stateless(method: str, request_id: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    meta = {**MODERN, **params.get("_meta", {})}
    return request(method, request_id, {**params, "_meta": meta})


def routed(method: str, params: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that a message of the stateless era needs."""
    named = params.get("name") or params.get("uri")
    headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": method}
    return headers | ({"mcp_name": named} if named else {})


def events(reply: httpx2.Response) -> list[tuple[str | None, Any]]:
    """Return the id and message of each event of a stream."""
    found: list[tuple[str | None, Any]] = []
    for block in reply.text.split("\n\n"):
        fields = [line.partition(": ") for line in block.split("\n")]
        data = "\n".join(value for name, _, value in fields if name == "data")
        event_id = next((value for name, _, value in fields if name == "id"), None)
        if data or event_id:
            found.append((event_id, json.loads(data) if data else None))
    return found


def answer(reply: httpx2.Response) -> Any:
    """Return the last message of a reply, whichever form it has."""
    if reply.headers.get("content-type", "").startswith("text/event-stream"):
        return events(reply)[-1][1]
    return reply.json()


def text(message: Any) -> str:
    return str(message["result"]["content"][0]["text"])


def eventually(wanted: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while not (found := wanted()) and time.monotonic() < until:
        threading.Event().wait(0.02)
    return found


def write_servers(paths: Paths, **servers: Mapping[str, Any]) -> None:
    paths.servers_file.parent.mkdir(parents=True, exist_ok=True)
    paths.servers_file.write_text(json.dumps({"mcpServers": servers}))


def write_policy(paths: Paths, server: str, **document: Any) -> None:
    file = paths.policy_file(server)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"version": "1", "default": "allow", "tools": {}, **document}))


def plain(*options: str) -> dict[str, Any]:
    command, *rest = plain_server(*options)
    return {"command": command, "args": rest}


@contextmanager
def served(paths: Paths, settings: Settings | None = None) -> Iterator[Served]:
    """Listen in a thread of this process until the context is left."""
    ledger = Ledger.open(paths.ledger_file)
    silence = os.open(os.devnull, os.O_WRONLY)
    narrator = Narrator(silence)
    chosen = settings or Settings()
    gateway = HttpGateway(paths, chosen, load_servers(paths), ledger, narrator)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    thread = threading.Thread(target=lambda: asyncio.run(gateway.serve(listener, "127.0.0.1")))
    thread.start()
    running = Served(paths, gateway, port)
    try:
        assert eventually(lambda: gateway.serving)
        yield running
    finally:
        running.close()
        gateway.stop()
        thread.join(PATIENCE)
        listener.close()
        narrator.finish()
        os.close(silence)
        ledger.close()
        assert not thread.is_alive()


@contextmanager
def sdk_over_http() -> Iterator[str]:
    """Run the SDK's server over HTTP and yield its URL."""
    with subprocess.Popen(
        [sys.executable, str(SDK_HTTP)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
        finally:
            process.kill()
