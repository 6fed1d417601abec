"""What happens to a message: the same whether a process or a URL is behind, in both eras."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pktui.settings import Paths
from tests.gateway.http.served import (
    INITIALIZE,
    PATIENCE,
    Served,
    answer,
    eventually,
    plain,
    request,
    routed,
    sdk_over_http,
    served,
    stateless,
    text,
    write_policy,
    write_servers,
)

SDK = Path(__file__).parents[2] / "support" / "sdk_server.py"
RULES = {
    "remove": {"action": "deny", "reason": "Nothing is removed here."},
    "fail": {"action": "approve", "reason": "Look first."},
}
BACKENDS = ["url", "command"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("messages")
    paths = Paths.at(place / "config", place / "data")
    with sdk_over_http() as url:
        secret = {"Authorization": "Bearer upstream-secret"}
        command = {"command": sys.executable, "args": [str(SDK)]}
        write_servers(
            paths,
            url={"url": url, "headers": secret},
            command=command,
            plain=plain(),
            dead={"url": "http://127.0.0.1:9/mcp"},
            broken={"command": "/nowhere/at-all"},
        )
        for server in BACKENDS:
            write_policy(paths, server, hide=["secret"], tools=RULES)
        for server in ("plain", "dead", "broken"):
            write_policy(paths, server)
        with served(paths) as gateway:
            gateway.attend()
            yield gateway


@pytest.mark.parametrize("server", BACKENDS)
def test_a_hidden_tool_is_not_listed_and_unknown_when_called(running: Served, server: str) -> None:
    session = running.begin(server)
    listed = running.ask(server, session, "tools/list")["result"]
    assert "secret" not in [tool["name"] for tool in listed["tools"]]
    called = running.ask(server, session, "tools/call", 2, name="secret", arguments={})
    assert called["result"]["isError"]
    assert text(called) == "Unknown tool: secret"


@pytest.mark.parametrize("server", BACKENDS)
def test_a_shortened_list_of_the_stateless_era_is_private_and_not_kept(
    running: Served, server: str
) -> None:
    listed = running.modern(server, "tools/list")["result"]
    assert "secret" not in [tool["name"] for tool in listed["tools"]]
    assert (listed["ttlMs"], listed["cacheScope"]) == (0, "private")


@pytest.mark.parametrize("server", BACKENDS)
def test_a_stateless_request_begins_no_session(running: Served, server: str) -> None:
    """As a server of that era answers it, whatever a shared process makes of it."""
    asked = stateless("initialize", 7, INITIALIZE)
    reply = running.send(server, asked, **routed("initialize", {}))
    assert (reply.status_code, answer(reply)["error"]["code"]) == (404, -32601)
    assert running.modern(server, "tools/list")["result"]["tools"]


@pytest.mark.parametrize("server", BACKENDS)
def test_a_denial_is_a_result_that_tells_the_agent_why(running: Served, server: str) -> None:
    session = running.begin(server)
    denied = running.ask(server, session, "tools/call", 1, name="remove", arguments={"path": "x"})
    assert denied["result"]["isError"] is True
    assert text(denied).startswith("[DENIED by pktui] Nothing is removed here.")
    modern = running.modern(server, "tools/call", 1, name="remove", arguments={"path": "x"})
    assert modern["result"]["resultType"] == "complete"


@pytest.mark.parametrize("server", BACKENDS)
def test_an_allowed_call_runs_and_is_on_record_under_the_grant(
    running: Served, server: str
) -> None:
    session = running.begin(server)
    added = running.ask(server, session, "tools/call", 1, name="add", arguments={"a": 2, "b": 3})
    assert text(added) == "5"
    row = running.ledger.feed.page()[-1]
    assert (row.server, row.tool, row.agent, row.grant, row.outcome) == (
        *(server, "add", "tester", "tester", "ok"),
    )


@pytest.mark.parametrize("server", BACKENDS)
@pytest.mark.parametrize("era", ["session", "stateless"])
def test_a_held_call_streams_progress_and_runs_once_it_is_allowed(
    running: Served, server: str, era: str
) -> None:
    params: dict[str, Any] = {"name": "fail", "arguments": {}, "_meta": {"progressToken": "t"}}
    if era == "session":
        message, more = request("tools/call", 5, params), {"mcp-session-id": running.begin(server)}
    else:
        message = stateless("tools/call", 5, params)
        more = {
            name.replace("_", "-"): value for name, value in routed("tools/call", params).items()
        }
    address, headers = running.url(f"/mcp/{server}"), running.headers() | more
    with running.client.stream("POST", address, json=message, headers=headers) as reply:
        said = (json.loads(line[6:]) for line in reply.iter_lines() if line.startswith("data: {"))
        progress = next(said)
        assert progress["params"]["message"].startswith("Waiting for a person to allow fail")
        running.decide(allow=True)
        *_, last = said
    assert last["result"]["isError"] is True
    assert "DENIED" not in text(last)


@pytest.mark.parametrize("server", BACKENDS)
def test_a_client_that_leaves_takes_its_question_back(running: Served, server: str) -> None:
    session = running.begin(server)
    message = request(
        "tools/call", 7, {"name": "fail", "arguments": {"n": 1}, "_meta": {"progressToken": 1}}
    )
    with running.client.stream(
        "POST",
        running.url(f"/mcp/{server}"),
        json=message,
        headers=running.headers() | {"mcp-session-id": session},
    ):
        assert eventually(lambda: len(running.ledger.approvals.pending()) == 1)
    assert eventually(lambda: not running.ledger.approvals.pending())
    assert running.ledger.feed.page()[-1].outcome == "cancelled"


@pytest.mark.parametrize("server", BACKENDS)
def test_a_cancellation_posted_apart_reaches_the_held_call(running: Served, server: str) -> None:
    session = running.begin(server)
    replies: list[Any] = []
    call = request("tools/call", "c1", {"name": "fail", "arguments": {"n": 2}})
    waiting = threading.Thread(
        target=lambda: replies.append(answer(running.send(server, call, mcp_session_id=session)))
    )
    waiting.start()
    assert eventually(lambda: len(running.ledger.approvals.pending()) == 1)
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "c1"}}
    assert running.send(server, cancel, mcp_session_id=session).status_code == 202
    waiting.join(PATIENCE)
    [reply] = replies
    assert reply["error"]["code"] == -32800
    assert not running.ledger.approvals.pending()


@pytest.mark.parametrize("server", BACKENDS)
@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("mcp_method", "tools/list"),
        ("mcp_method", None),
        ("mcp_name", "remove"),
        ("mcp_name", None),
        ("mcp_name", "=?base64?####?="),
        ("mcp_protocol_version", "2025-11-25"),
    ],
)
def test_headers_that_say_other_than_the_body_are_refused_before_anything_is_decided(
    running: Served, server: str, changed: str, value: str | None
) -> None:
    params = {"name": "add", "arguments": {"a": 1, "b": 1}}
    headers = {**routed("tools/call", params), changed: value}
    before = running.ledger.events.last_seq()
    reply = running.send(
        server,
        stateless("tools/call", 1, params),
        **{name: given for name, given in headers.items() if given is not None},
    )
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, -32020)
    assert "decision" not in {one.kind for one in running.ledger.events.tail(before)}


def test_a_name_in_its_wrapping_is_what_it_stands_for(running: Served) -> None:
    params = {"name": "add", "arguments": {"a": 1, "b": 1}}
    headers = routed("tools/call", params) | {"mcp_name": "=?base64?YWRk?="}
    assert running.send("url", stateless("tools/call", 1, params), **headers).status_code == 200


def test_a_routing_header_given_twice_is_refused(running: Served) -> None:
    params = {"name": "add", "arguments": {"a": 1, "b": 1}}
    once = running.headers() | {
        name.replace("_", "-"): value for name, value in routed("tools/call", params).items()
    }
    reply = running.client.post(
        running.url("/mcp/url"),
        json=stateless("tools/call", 1, params),
        headers=[*once.items(), ("mcp-name", "remove")],
    )
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize("server", BACKENDS)
def test_a_call_that_goes_on_with_a_state_is_neither_charged_nor_asked_about_again(
    running: Served, server: str
) -> None:
    first = running.modern(server, "tools/call", 1, name="book", arguments={})["result"]
    assert first["resultType"] == "input_required"
    responses = {"sure": {"action": "accept", "content": {"ok": True}}}
    second = running.modern(
        *(server, "tools/call", 2),
        name="book",
        arguments={},
        requestState=first["requestState"],
        inputResponses=responses,
    )
    assert text(second) == "booked: accept"
    earlier, later = running.ledger.feed.page()[-2:]
    assert json.loads(later.detail)["continues"] == earlier.call_id


@pytest.mark.parametrize("server", BACKENDS)
def test_a_session_that_its_client_ends_is_gone(running: Served, server: str) -> None:
    session = running.begin(server)
    assert running.end(server, session) == 200
    again = running.send(server, request("ping", 1, {}), mcp_session_id=session)
    assert again.status_code == 404


def test_a_server_that_cannot_be_reached_is_an_error_at_once(running: Served) -> None:
    reply = running.send(
        "dead", stateless("tools/call", 3, {"name": "x"}), **routed("tools/call", {"name": "x"})
    )
    assert (reply.status_code, reply.json()["id"]) == (200, 3)
    assert "dead" in reply.json()["error"]["message"]
    assert running.ledger.feed.page()[-1].outcome == "lost"


def test_a_server_that_cannot_be_started_is_an_error_at_once(running: Served) -> None:
    reply = running.send("broken", request("initialize", 3, {"protocolVersion": "2025-11-25"}))
    assert (reply.status_code, "cannot be started" in reply.text) == (502, True)
    assert "/nowhere" not in reply.text


def test_a_client_that_takes_no_stream_gets_one_answer(running: Served) -> None:
    session = running.begin("command")
    message = request("tools/call", 1, {"name": "walk", "arguments": {}})
    reply = running.send("command", message, mcp_session_id=session, accept="application/json")
    assert reply.headers["content-type"] == "application/json"
    assert text(reply.json()) == "arrived"


def test_requests_at_once_with_the_same_id_do_not_meet(running: Served) -> None:
    """Clients of the stateless era count their ids each for itself."""
    found: list[Any] = []

    def call(number: int) -> None:
        params = {"name": "add", "arguments": {"a": number, "b": 0}, "_meta": {"progressToken": 1}}
        reply = running.send(
            "command", stateless("tools/call", 1, params), **routed("tools/call", params)
        )
        found.append((number, text(answer(reply))))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(found) == [(number, str(number)) for number in range(4)]


def test_line_ends_in_a_body_never_become_two_messages(running: Served) -> None:
    session = running.begin("plain")
    call = request("tools/call", 1, {"name": "echo", "arguments": {"a": 1}})
    reply = running.send("plain", json.dumps(call, indent=1).encode(), mcp_session_id=session)
    assert json.loads(text(answer(reply))) == ["echo", {"a": 1}]


def test_a_grants_own_policy_file_counts_instead_of_the_servers(
    running: Served, tmp_path: Path
) -> None:
    file = tmp_path / "strict.json"
    file.write_text('{"version":"1","default":"deny"}')
    _, token = running.grants("strict", "plain", policy=str(file))
    params = {"name": "echo", "arguments": {}}
    reply = running.send(
        "plain", stateless("tools/call", 1, params), token=token, **routed("tools/call", params)
    )
    assert text(answer(reply)).startswith("[DENIED by pktui]")
