"""The service for other machines: who gets in, and every client that finds it there."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.cli import app
from pktui.errors import InvalidRequest, MemoryUnavailable
from pktui.memory.access_token import VARIABLE
from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from pktui.memory.rendezvous import listens
from pktui.memory.service.listening import Entrance, Limits, open_entrance
from pktui.settings import MemorySettings
from tests.support.gateway import RunningGateway
from tests.support.memory_service import mcp_answer, paths_in, running_service

if TYPE_CHECKING:
    from pktui.settings import Paths

ADA = Identity("claude-code", "", "/home/ada")
TOKEN = "t0ken-of-the-whole-team"


@pytest.fixture(scope="module")
def entrance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    """A service on another machine, as it were: its directories are its own."""
    opened = open_entrance("127.0.0.1", 0, TOKEN)
    settings = MemorySettings(allowed_hosts=("memory.lan",))
    there = paths_in(tmp_path_factory.mktemp("there"))
    with running_service(there, settings=settings, entrance=opened):
        yield opened


@pytest.fixture
def here(paths: Paths, entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """Directories of this machine, whose settings name that service."""
    paths.config_dir.mkdir(parents=True)
    paths.settings_file.write_text(f'[memory]\nservice = "{entrance.url}"\n')
    monkeypatch.setenv(VARIABLE, TOKEN)
    yield paths
    assert not listens(paths)
    assert not paths.memory_lock.exists()


def status_of(
    entrance: Entrance, headers: dict[str, str], *, method: str = "GET", path: str = "/v1/status"
) -> int:
    host, port = entrance.listener.getsockname()
    connection = http.client.HTTPConnection(host, port, timeout=60)
    sent = {"Host": f"{host}:{port}", "Authorization": f"Bearer {TOKEN}", **headers}
    connection.putrequest(method, path, skip_host=True)
    for name, value in sent.items():
        if value:
            connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    challenge = response.getheader("www-authenticate")
    assert (challenge is not None) == (response.status == 401)
    response.read()
    connection.close()
    return response.status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Authorization": f"bearer  {TOKEN}"}, 200),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": "Bearer t\xf6ken"}, 401),
        ({"Host": "memory.lan:8765"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "rebound.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
    ],
)
def test_only_the_token_under_a_known_name_lets_in(
    entrance: Entrance, headers: dict[str, str], status: int
) -> None:
    assert status_of(entrance, headers) == status


@pytest.mark.parametrize("path", ["/v1/stop", "/v1/%73top", "/v1/stop?x=1"])
def test_nobody_elsewhere_ends_the_service(entrance: Entrance, path: str) -> None:
    assert status_of(entrance, {"Content-Length": "0"}, method="POST", path=path) == 403
    assert status_of(entrance, {}) == 200


def test_a_client_elsewhere_does_all_it_can_do_here(here: Paths) -> None:
    client = MemoryClient(here, ADA)
    client.ensure()
    session = client.start_session("from afar")
    message = client.log("user", "a stoat in winter")
    assert (message.session_id, client.current_session()) == (
        session.id,
        client.session(session.id),
    )
    assert client.search("stoat", "words").hits
    assert mcp_answer(client, b'{"jsonrpc":"2.0","id":1,"method":"ping"}') is not None
    with pytest.raises(InvalidRequest, match=r"is not this machine's\. End it where it runs"):
        client.stop()
    client.close()


def test_a_wrong_token_is_told_with_its_cure(here: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "some-other-token")
    client = MemoryClient(here, ADA)
    with pytest.raises(MemoryUnavailable, match=r"does not know this token.*pktui memory token"):
        client.sessions()
    client.close()


def test_a_service_that_is_not_there_is_named(here: Paths) -> None:
    here.settings_file.write_text('[memory]\nservice = "http://127.0.0.1:9"\n')
    client = MemoryClient(here, ADA)
    with pytest.raises(MemoryUnavailable, match=r"no memory service listens on http://127"):
        client.sessions()
    client.close()


def test_a_gateway_carries_calls_to_it(here: Paths) -> None:
    with RunningGateway("memory") as gateway:
        gateway.call("start_logging_session", 1, name="through the gateway")
        number = gateway.reply()["result"]["structuredContent"]["sessionId"]
        gateway.call("log_message", 2, role="user", content="hello from afar")
        assert gateway.reply()["result"]["structuredContent"]["sessionId"] == number
        assert gateway.hang_up() == 0
        assert gateway.all_words().count("memory") == 0, gateway.all_words()


def test_commands_use_it(here: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    client = MemoryClient(here, ADA)
    session = client.start_session("seen by commands")
    client.close()
    assert app.run(["sessions", "show", str(session.id), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["session"]["name"] == "seen by commands"
    assert app.run(["memory", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "ready"
    assert app.run(["memory", "stop"]) == 1
    assert "End it where it runs" in capsys.readouterr().err


@contextmanager
def limited(directory: Path, limits: Limits) -> Iterator[Callable[[], socket.socket]]:
    """A service for others with these limits; what is yielded connects to it."""
    entrance = replace(open_entrance("127.0.0.1", 0, TOKEN), limits=limits)
    with running_service(paths_in(directory), entrance=entrance), ExitStack() as opened:

        def connect() -> socket.socket:
            made = socket.create_connection(entrance.listener.getsockname(), timeout=60)
            return opened.enter_context(made)

        yield connect


def head(method: str, target: str, *more: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}"]
    return "".join(f"{line}\r\n" for line in (*lines, *more, "")).encode()


def all_from(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize("said", [b"", b"GET /v1/sta", head("GET", "/v1/status")[:-2]])
def test_a_head_that_does_not_come_ends_the_connection(tmp_path: Path, said: bytes) -> None:
    with limited(tmp_path, Limits(head_seconds=0.05)) as connect:
        connection = connect()
        with suppress(ConnectionError):  # it may have ended before a slow test says anything
            connection.sendall(said)
            assert all_from(connection) == b""


@pytest.mark.parametrize("target", ["/v1/sessions", "/mcp"])
def test_a_body_that_does_not_come_is_refused_and_nothing_is_done(
    tmp_path: Path, target: str
) -> None:
    with limited(tmp_path, Limits(body_seconds=0.05)) as connect:
        connection = connect()
        connection.sendall(head("POST", target, "Content-Length: 100") + b'{"name":')
        answer = all_from(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"did not come within 0.05 seconds" in answer


def test_a_body_in_many_parts_is_one_and_the_connection_goes_on(tmp_path: Path) -> None:
    with limited(tmp_path, Limits()) as connect:
        connection = connect()
        chunked = head("POST", "/v1/start-session", "Transfer-Encoding: chunked")
        for part in (chunked, *(b"1\r\n%c\r\n" % one for one in b'{"name":"slow"}'), b"0\r\n\r\n"):
            connection.sendall(part)
        connection.sendall(head("GET", "/v1/sessions", "Connection: close"))
        answers = all_from(connection)
        assert answers.count(b"HTTP/1.1 200 ") == 2
        assert answers.count(b'"name":"slow"') == 2


def test_a_connection_too_many_is_told_so_and_one_that_ends_makes_room(tmp_path: Path) -> None:
    with limited(tmp_path, Limits(connections=2)) as connect:
        kept = [connect(), connect()]
        refused = all_from(connect())
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"as many connections as it takes" in refused
        kept[0].sendall(head("GET", "/v1/status", "Connection: close"))
        assert all_from(kept[0]).startswith(b"HTTP/1.1 200 ")
        next_one = connect()
        next_one.sendall(head("GET", "/v1/status", "Connection: close"))
        assert all_from(next_one).startswith(b"HTTP/1.1 200 ")


def test_it_stays_however_long_nobody_asks(tmp_path: Path) -> None:
    passed = [0.0]
    paths = paths_in(tmp_path)
    entrance = open_entrance("127.0.0.1", 0, TOKEN)
    with running_service(paths, monotonic=lambda: passed[0], entrance=entrance) as service:
        client = MemoryClient(paths, ADA, start=False)
        client.sessions()
        passed[0] += 1_000_000
        threading.Event().wait(0.1)
        assert not service.stopping
        client.close()


def test_the_token_is_printed_for_whoever_sets_up_another_machine(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["memory", "token"]) == 0
    first = capsys.readouterr()
    assert first.out.strip() == (paths.config_dir / "memory.token").read_text().strip()
    assert str(paths.config_dir / "memory.token") in first.err
    assert app.run(["memory", "token", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "token": first.out.strip(),
        "file": str(paths.config_dir / "memory.token"),
    }
    assert app.run(["memory", "token", "--new"]) == 0
    assert capsys.readouterr().out != first.out


def test_without_a_token_nothing_listens(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["memory", "serve", "--listen", "127.0.0.1:0"]) == 1
    assert "pktui memory token makes one" in capsys.readouterr().err
    assert app.run(["memory", "serve", "--listen", "here"]) == 2
    assert not paths.memory_lock.exists()
