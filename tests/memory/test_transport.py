"""When a request is sent another time."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktui.errors import MemoryUnavailable, SettingsError
from pktui.memory import rendezvous
from pktui.memory.addresses import LocalAddress
from pktui.memory.transport import Transport
from pktui.settings import Paths

PATIENCE = 60.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CLOSING = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


class ScriptedServer:
    """Takes one connection after the other; on each, plays its script of answers.

    None in a script closes the connection instead of answering.
    """

    def __init__(self, path: Path, scripts: list[list[bytes | None]]) -> None:
        self.requests: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._scripts = scripts
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.close()
        self._thread.join(PATIENCE)

    def _serve(self) -> None:
        for script in self._scripts:
            connection, _ = self._listener.accept()
            with connection:
                for reply in script:
                    request = _read(connection)
                    if request:
                        self.requests.append(request)
                    if reply is None or not request:
                        break
                    connection.sendall(reply)


def _read(connection: socket.socket) -> bytes:
    """Return a request, which ends in its body `{}`, or nothing where the client has closed."""
    request = b""
    while not request.endswith(b"{}") and (part := connection.recv(65536)):
        request += part
    return request


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """A place with a name that is short enough for a socket, wherever temporary files go."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        yield Path(short) / "s"


@pytest.fixture
def address(socket_path: Path) -> LocalAddress:
    """The address of a service that says that it listens there."""
    paths = Paths.at(socket_path.parent, socket_path.parent)
    rendezvous.write(paths, rendezvous.Meeting(os.getpid(), "listening", socket_path.name))
    return LocalAddress(paths)


@pytest.fixture
def transport(address: LocalAddress) -> Iterator[Transport]:
    made = Transport(address, timeout=PATIENCE, start=None)
    yield made
    made.close()


def ask(transport: Transport) -> bytes:
    return transport.request("POST", "/x", b"{}", {"Key": "one and the same"}).body


def test_connections_are_kept(socket_path: Path, transport: Transport) -> None:
    server = ScriptedServer(socket_path, [[ANSWER, ANSWER, ANSWER]])
    assert [ask(transport) for _ in range(3)] == [b"{}"] * 3
    assert len(server.requests) == 3
    server.close()


def test_a_connection_that_was_closed_meanwhile_costs_nothing(
    socket_path: Path, transport: Transport
) -> None:
    server = ScriptedServer(socket_path, [[CLOSING], [ANSWER]])
    assert [ask(transport), ask(transport)] == [b"{}", b"{}"]
    assert len(server.requests) == 2
    server.close()


def test_a_service_that_ends_is_noticed_while_nothing_is_asked(
    socket_path: Path, transport: Transport
) -> None:
    server = ScriptedServer(socket_path, [[ANSWER]])
    ask(transport)  # its script is over then: the connection is closed
    began = time.monotonic()
    transport.wait_until_closed(2 * PATIENCE)
    assert time.monotonic() - began < PATIENCE
    server.close()


def test_a_request_whose_answer_was_lost_is_sent_again_as_it_was(
    socket_path: Path, transport: Transport
) -> None:
    server = ScriptedServer(socket_path, [[None], [ANSWER]])
    assert ask(transport) == b"{}"
    first, second = server.requests
    assert first == second
    server.close()


def test_a_third_loss_is_told(socket_path: Path, transport: Transport) -> None:
    server = ScriptedServer(socket_path, [[None], [None], [None]])
    with pytest.raises(MemoryUnavailable, match="went away"):
        ask(transport)
    assert len(server.requests) == 3
    server.close()


def test_a_service_that_is_silent_is_started_once(socket_path: Path, address: LocalAddress) -> None:
    started: list[ScriptedServer] = []

    def start() -> None:
        started.append(ScriptedServer(socket_path, [[ANSWER]]))

    transport = Transport(address, timeout=PATIENCE, start=start)
    assert ask(transport) == b"{}"
    assert len(started) == 1
    transport.close()
    started[0].close()


def test_a_slow_answer_is_a_time_out(socket_path: Path, address: LocalAddress) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(socket_path))
    listener.listen()
    transport = Transport(address, timeout=0.05, start=None)
    with pytest.raises(MemoryUnavailable, match=r"did not answer within 0\.05 seconds"):
        ask(transport)
    listener.close()


def test_nothing_is_said_to_a_socket_that_another_user_made(
    socket_path: Path, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ScriptedServer(socket_path, [[ANSWER]])
    other = os.getuid() + 1
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: other)
        with pytest.raises(SettingsError, match="another user"):
            ask(transport)
    ask(transport)
    transport.close()
    server.close()
    assert len(server.requests) == 1
