"""What a client may send, and how long it may take."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pktui.gateway.http import exchange
from pktui.gateway.http.protocol import EVENTS
from pktui.settings import GatewaySettings, HttpSettings, MetricsSettings, Paths, Settings
from tests.gateway.http.served import (
    INITIALIZE,
    PATIENCE,
    Served,
    eventually,
    plain,
    request,
    served,
    write_policy,
    write_servers,
)

PING = request("ping", 1, {})


def raw(gateway: Served, data: bytes) -> bytes:
    """Send bytes and return all that comes until the connection ends."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as connection:
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def head(gateway: Served, *lines: str) -> bytes:
    fixed = (
        "POST /mcp/plain HTTP/1.1",
        f"Host: 127.0.0.1:{gateway.port}",
        f"Authorization: Bearer {gateway.token}",
        "Content-Type: application/json",
    )
    return "\r\n".join((*fixed, *lines, "", "")).encode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}', -32602),
    ],
)
def test_what_cannot_be_read_without_doubt_is_refused_and_recorded(
    running: Served, body: bytes, code: int
) -> None:
    before = running.ledger.events.last_seq()
    reply = running.send("plain", body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, code)
    refused = [one for one in running.ledger.events.tail(before) if one.kind == "refused"]
    assert [one.rule for one in refused] == [f"(refused {code})"]


def test_another_media_type_is_refused(running: Served) -> None:
    assert running.send("plain", PING, content_type="text/plain").status_code == 415


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
def test_a_compressed_body_is_never_passed_uninspected(running: Served, encoding: str) -> None:
    body = gzip.compress(json.dumps(PING).encode())
    assert running.send("plain", body, content_encoding=encoding).status_code == 415


def test_another_method_is_not_allowed(running: Served) -> None:
    reply = running.client.put(running.url("/mcp/plain"), headers=running.headers())
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, POST, DELETE")


def test_a_head_that_is_too_large_is_refused_by_name(running: Served) -> None:
    assert running.send("plain", PING, x_filler="x" * 17_000).status_code == 431


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway that takes little."""
    settings = Settings(
        gateway=GatewaySettings(max_message_bytes=10_000),
        http=HttpSettings(max_sessions=2, max_requests=2),
    )
    with served(at(tmp_path_factory.mktemp("strict")), settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway that waits for nobody long."""
    settings = Settings(
        http=HttpSettings(header_seconds=1, body_seconds=1), metrics=MetricsSettings(public=True)
    )
    with served(at(tmp_path_factory.mktemp("hasty")), settings) as gateway:
        yield gateway


def at(place: Path) -> Paths:
    paths = Paths.at(place / "config", place / "data")
    write_servers(paths, plain=plain())
    write_policy(paths, "plain")
    return paths


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(strict: Served) -> None:
    big = b'{"jsonrpc":"2.0","id":1,"method":"ping","x":"' + b"x" * 10_000 + b'"}'
    assert strict.send("plain", big).status_code == 413
    chunks = b"%x\r\n%s\r\n" % (len(big), big)
    reply = raw(strict, head(strict, "Transfer-Encoding: chunked") + chunks)
    assert reply.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_come_ends_the_wait(hasty: Served) -> None:
    assert raw(hasty, head(hasty, "Content-Length: 5") + b"{").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("data", [b"", b"POST /mcp/plain HTTP/1.1\r\nHost: x"])
def test_a_head_that_does_not_come_ends_the_connection(hasty: Served, data: bytes) -> None:
    assert raw(hasty, data) == b""


def test_a_second_head_that_does_not_come_ends_the_connection(hasty: Served) -> None:
    first = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{hasty.port}\r\n\r\n".encode()
    reply = raw(hasty, first + b"GET /heal")
    assert reply.startswith(b"HTTP/1.1 200 ")


def test_no_more_sessions_than_allowed(strict: Served) -> None:
    first = strict.begin("plain")
    strict.begin("plain")
    full = strict.send("plain", request("initialize", 0, INITIALIZE))
    assert (full.status_code, full.headers["retry-after"]) == (503, "60")
    assert strict.end("plain", first) == 200
    strict.begin("plain")


def test_no_more_requests_of_a_grant_at_once_than_allowed(strict: Served) -> None:
    _, token = strict.grants("busy", "plain")
    for session in strict.sessions:
        strict.end("plain", session)
    one, other = (
        strict.headers(token) | {"mcp-session-id": strict.begin("plain", token=token)}
        for _ in range(2)
    )
    address = strict.url("/mcp/plain")
    with (
        strict.client.stream("GET", address, headers=one) as first,
        strict.client.stream("GET", address, headers=other) as second,
    ):
        assert (first.status_code, second.status_code) == (200, 200)
        reply = strict.send("plain", PING, token=token)
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
        assert strict.send("plain", PING).status_code == 400


def test_no_more_bytes_of_a_grant_at_once_than_allowed(paths: Paths) -> None:
    write_servers(paths, plain=plain())
    write_policy(paths, "plain")
    large = {**PING, "params": {"padding": "x" * 900}}
    begun = b"x" * 900
    with served(paths, Settings(gateway=GatewaySettings(max_message_bytes=1000))) as gateway:
        _, other = gateway.grants("other", "plain")
        address = ("127.0.0.1", gateway.port)
        with ExitStack() as open_ones:

            def full() -> bool:
                one = open_ones.enter_context(socket.create_connection(address, timeout=PATIENCE))
                one.sendall(head(gateway, "Content-Length: 1000") + begun)
                return gateway.send("plain", large).status_code == 429

            assert eventually(full)
            refused = gateway.send("plain", large)
            assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
            assert "larger than 16000 bytes together" in refused.json()["error"]["message"]
            assert gateway.send("plain", PING).status_code == 400
            assert gateway.send("plain", large, token=other).status_code == 400
        assert eventually(lambda: gateway.send("plain", large).status_code == 400)


def test_a_server_that_takes_nothing_holds_up_nobody_else(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LOOKS", 2)
    write_servers(paths, plain=plain(), stuck=plain("--stuck"))
    write_policy(paths, "plain")
    write_policy(paths, "stuck")
    large = request("tools/call", 1, {"name": "echo", "arguments": {"text": "x" * 500_000}})
    with served(paths) as gateway:
        gateway.ledger.catalogue.saw("stuck", [{"name": "echo"}])
        session = gateway.begin("stuck")
        headers = gateway.headers() | {"mcp-session-id": session}
        with gateway.client.stream(
            "POST", gateway.url("/mcp/stuck"), json=large, headers=headers
        ) as waiting:
            assert waiting.headers["content-type"] == EVENTS
        decided = gateway.ledger.events.last_seq()
        for number in range(2, 12):
            reply = gateway.send("stuck", large | {"id": number}, mcp_session_id=session)
            assert reply.status_code == 503
        assert not [one for one in gateway.ledger.events.tail(decided) if one.kind == "decision"]
        assert "result" in gateway.ask("plain", gateway.begin("plain"), "ping")
