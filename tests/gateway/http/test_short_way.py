"""A POST that is answered without ASGI gets what it gets through ASGI, whoever sends it."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.http.asgi import McpEndpoint
from tests.gateway.http.served import (
    PATIENCE,
    VERSION_KEY,
    Served,
    answer,
    eventually,
    plain,
    request,
    routed,
    served,
    stateless,
    text,
    write_policy,
    write_servers,
)

if TYPE_CHECKING:
    from pktui.httpserver.serving import Post
    from pktui.settings import Paths

PING = request("ping", 1, {})
ECHO = request("tools/call", 2, {"name": "echo", "arguments": {"text": "a"}})
DENIED = request("tools/call", 3, {"name": "fail", "arguments": {}})
MODERN = stateless("tools/call", 4, {"name": "echo", "arguments": {"text": "a"}})
ODD = ("X-Odd: 1", "X-Odd: 2")


def raw(running: Served, message: Any, *lines: str, **changed: str) -> tuple[int, str, Any]:
    """Post a message in one piece; return status, media type and body."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    heads = {
        "Host": f"127.0.0.1:{running.port}",
        "Authorization": f"Bearer {running.token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Content-Length": str(len(body)),
        "Connection": "close",
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    named = [f"{name}: {value}" for name, value in heads.items() if value]
    head = "\r\n".join(("POST /mcp/plain HTTP/1.1", *named, *lines, "", ""))
    with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + body)
        came = b""
        while part := connection.recv(65536):
            came += part
    answered, _, rest = came.partition(b"\r\n\r\n")
    kind = re.search(rb"content-type: (.*)", answered)
    whole = json.loads(rest) if rest.startswith(b"{") else rest
    return int(answered.split()[1]), kind[1].decode() if kind else "", whole


@pytest.mark.parametrize("message", [PING, ECHO, DENIED], ids=["ping", "a call", "a denied one"])
def test_both_ways_give_the_same_answer_in_a_session(running: Served, message: Any) -> None:
    session = running.begin("plain")
    short = raw(running, message, **{"Mcp-Session-Id": session})
    assert short == raw(running, message, *ODD, **{"Mcp-Session-Id": session})
    assert short[0] == 200
    assert short[2]["id"] == message["id"]


def test_both_ways_give_the_same_answer_without_one(running: Served) -> None:
    lines = [
        f"{name.replace('_', '-')}: {value}"
        for name, value in routed("tools/call", MODERN["params"]).items()
    ]
    running.modern("plain", "tools/list")
    short = raw(running, MODERN, *lines)
    assert short == raw(running, MODERN, *lines, *ODD)
    assert json.loads(text(short[2])) == ["echo", {"text": "a"}]
    assert VERSION_KEY in MODERN["params"]["_meta"]


@pytest.mark.parametrize(
    ("message", "changed", "status"),
    [
        (PING, {"Authorization": ""}, 401),
        (PING, {"Authorization": "Bearer nobody"}, 401),
        (PING, {"Host": "evil.example"}, 403),
        (PING, {"Origin": "https://evil.example"}, 403),
        (PING, {"Content-Type": "text/plain"}, 415),
        (PING, {"Content-Encoding": "gzip"}, 415),
        (PING, {"Mcp-Session-Id": "made-up"}, 404),
        (PING, {"Mcp-Method": "tools/call"}, 400),
        (PING, {"MCP-Protocol-Version": "2026-07-28"}, 400),
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', {}, 400),
        (b"[]", {}, 400),
        (b'{"jsonrpc":"2.0","method":"notifications/x"}', {}, 202),
    ],
)
def test_both_ways_turn_away_the_same(
    running: Served, message: Any, changed: dict[str, str], status: int
) -> None:
    changed = {"Mcp-Session-Id": running.begin("plain")} | changed
    short = raw(running, message, **changed)
    assert short == raw(running, message, *ODD, **changed)
    assert short[0] == status


@pytest.mark.parametrize("server", ["plain", "my-server_2.1"])
def test_every_name_that_a_server_may_have_goes_the_short_way(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    taken: list[bytes] = []
    post_short = McpEndpoint.post_short

    def watched(endpoint: McpEndpoint, post: Post) -> bool:
        took = post_short(endpoint, post)
        taken.extend([post.path] * took)
        return took

    monkeypatch.setattr(McpEndpoint, "post_short", watched)
    write_servers(paths, **{server: plain()})
    write_policy(paths, server)
    with served(paths) as running:
        session = running.begin(server)
        assert running.ask(server, session, "ping")["result"] == {}
    assert f"/mcp/{server}".encode() in taken


def test_what_a_tool_answered_is_on_record_either_way(running: Served) -> None:
    session = running.begin("plain")
    replies = [
        running.ask("plain", session, "tools/call", 1, name="echo", arguments={"text": "a"}),
        running.modern("plain", "tools/call", 2, name="echo", arguments={"text": "b"}),
    ]
    ids = [row.call_id for row in running.ledger.feed.page()[-2:]]
    assert eventually(lambda: len(running.ledger.results.of(ids)) == 2)
    found = running.ledger.results.of(ids)
    assert [json.loads(found[one].text) for one in ids] == [one["result"] for one in replies]


def test_a_token_that_was_revoked_is_out_from_the_next_request_on(running: Served) -> None:
    _, token = running.grants("short-way", "plain")
    session = running.begin("plain", token=token)
    told = {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session}
    assert raw(running, PING, **told)[0] == 200
    running.ledger.grants.revoke("short-way")
    assert raw(running, PING, **told)[0] == 401


def test_a_request_with_an_id_in_use_is_refused_and_the_first_one_answered(
    running: Served,
) -> None:
    session = running.begin("plain")
    silent = request("tools/call", 9, {"name": "silent", "arguments": {}})
    headers = running.headers() | {"mcp-session-id": session}
    with running.client.stream(
        "POST", running.url("/mcp/plain"), json=silent, headers=headers
    ) as waiting:
        status, _, refused = raw(running, {**ECHO, "id": 9}, **{"Mcp-Session-Id": session})
        assert (status, refused["id"]) == (400, 9)
        said = {"line": '{"jsonrpc":"2.0","id":9,"result":{"content":[]}}'}
        note = {"jsonrpc": "2.0", "method": "notifications/say", "params": said}
        assert raw(running, note, **{"Mcp-Session-Id": session})[0] == 202
        assert b'"id":9' in b"".join(waiting.iter_raw())


def test_a_client_that_leaves_a_call_that_is_held_takes_it_back(running: Served) -> None:
    running.attend()
    session = running.begin("plain")
    held = request("tools/call", 2, {"name": "write", "arguments": {}})
    body = json.dumps(held).encode()
    head = (
        f"POST /mcp/plain HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\n"
        f"Authorization: Bearer {running.token}\r\nContent-Type: application/json\r\n"
        f"Accept: text/event-stream\r\nMcp-Session-Id: {session}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + body)
        assert eventually(lambda: len(running.ledger.approvals.pending()) == 1)
    assert eventually(lambda: not running.ledger.approvals.pending())
    assert answer(running.send("plain", {**PING, "id": 2}, mcp_session_id=session))["id"] == 2


def test_requests_of_clients_that_left_leave_nothing_behind(running: Served) -> None:
    session = running.begin("plain")
    body = json.dumps(ECHO).encode()
    head = (
        f"POST /mcp/plain HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\n"
        f"Authorization: Bearer {running.token}\r\nContent-Type: application/json\r\n"
        f"Accept: text/event-stream\r\nMcp-Session-Id: {session}\r\n"
        f"Content-Length: {len(body) + 3}\r\n\r\n"
    )
    address = ("127.0.0.1", running.port)
    for number in range(200):
        asked = {**ECHO, "id": 10_000 + number}
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            connection.sendall(head.encode() + json.dumps(asked).encode().ljust(len(body) + 3))

    def is_free(number: int) -> bool:
        reply = running.send("plain", {**ECHO, "id": number}, mcp_session_id=session)
        return "result" in answer(reply)

    for number in range(10_000, 10_200, 20):
        assert eventually(lambda number=number: is_free(number))  # type: ignore[misc]
