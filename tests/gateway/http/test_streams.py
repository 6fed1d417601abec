"""Streams: what a server says unsolicited, and going on after a break."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from pktui.gateway.http.streams import KEEP_BYTES
from tests.gateway.http.served import (
    Served,
    eventually,
    plain,
    request,
    served,
    write_policy,
    write_servers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2

    from pktui.settings import Paths

CHANGED = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'


def heard(reply: httpx2.Response) -> Iterator[tuple[str, Any]]:
    """Yield the id and message of each event as it comes."""
    event_id = ""
    for line in reply.iter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            event_id = value
        elif name == "data" and value:
            yield event_id, json.loads(value)


def listen(running: Served, session: str, **more: str) -> Any:
    headers = running.headers() | {"mcp-session-id": session} | more
    return running.client.stream("GET", running.url("/mcp/plain"), headers=headers)


def say(running: Served, session: str, *lines: bytes) -> None:
    """Have the server say lines unsolicited: the plain server echoes what it is told to say."""
    for line in lines:
        note = {"jsonrpc": "2.0", "method": "notifications/say", "params": {"line": line.decode()}}
        assert running.send("plain", note, mcp_session_id=session).status_code == 202


def test_what_the_server_says_unasked_goes_to_the_open_stream(running: Served) -> None:
    session = running.begin("plain")
    with listen(running, session) as reply:
        say(running, session, CHANGED)
        event_id, message = next(heard(reply))
    assert message["method"] == "notifications/tools/list_changed"
    assert event_id == "0/1"


def test_a_client_goes_on_after_the_last_event_it_had(running: Served) -> None:
    session = running.begin("plain")
    numbered = [json.dumps({"jsonrpc": "2.0", "method": f"notifications/n{n}"}) for n in range(4)]
    with listen(running, session) as reply:
        said = heard(reply)
        say(running, session, *(line.encode() for line in numbered[:2]))
        first, _ = next(said)
    say(running, session, *(line.encode() for line in numbered[2:]))
    with listen(running, session, **{"last-event-id": first}) as reply:
        said = heard(reply)
        assert [next(said)[1]["method"] for _ in range(3)] == [
            f"notifications/n{number}" for number in (1, 2, 3)
        ]


def test_an_answer_missed_in_a_break_is_there_when_the_client_comes_back(running: Served) -> None:
    session = running.begin("plain")
    headers = running.headers() | {"mcp-session-id": session, "mcp-protocol-version": "2025-11-25"}
    call = request("tools/call", 9, {"name": "silent", "arguments": {}})
    with running.client.stream(
        "POST", running.url("/mcp/plain"), json=call, headers=headers
    ) as reply:
        first = next(line for line in reply.iter_lines() if line.startswith("id: "))[4:]
    say(running, session, b'{"jsonrpc":"2.0","id":9,"result":{"content":[]}}')
    with listen(running, session, **{"last-event-id": first}) as reply:
        _, message = next(heard(reply))
    assert message == {"jsonrpc": "2.0", "id": 9, "result": {"content": []}}
    assert eventually(lambda: running.ledger.feed.page()[-1].outcome == "ok")


def test_a_second_listener_takes_over(running: Served) -> None:
    session = running.begin("plain")
    with listen(running, session) as first, listen(running, session) as second:
        assert list(heard(first)) == []
        say(running, session, CHANGED)
        assert next(heard(second))[1]["method"].endswith("list_changed")


def test_a_stream_needs_a_session_and_a_client_that_takes_events(running: Served) -> None:
    headers = running.headers()
    assert running.client.get(running.url("/mcp/plain"), headers=headers).status_code == 400
    headers |= {"mcp-session-id": running.begin("plain"), "accept": "application/json"}
    assert running.client.get(running.url("/mcp/plain"), headers=headers).status_code == 406
    modern = running.headers() | {"mcp-protocol-version": "2026-07-28"}
    assert running.client.get(running.url("/mcp/plain"), headers=modern).status_code == 405


def test_a_request_of_the_server_reaches_the_client_and_its_answer_the_server(
    running: Served,
) -> None:
    session = running.begin("plain")
    ask = b'{"jsonrpc":"2.0","id":"q","method":"roots/list"}'
    with listen(running, session) as reply:
        say(running, session, ask)
        assert next(heard(reply))[1]["method"] == "roots/list"
    roots = {"jsonrpc": "2.0", "id": "q", "result": {"roots": []}}
    assert running.send("plain", roots, mcp_session_id=session).status_code == 202


def test_nothing_grows_while_nobody_listens(running: Served) -> None:
    session = running.begin("plain")
    large = {
        "jsonrpc": "2.0",
        "method": "notifications/x/list_changed",
        "params": {"x": "x" * 300_000},
    }
    say(running, session, *[json.dumps(large).encode()] * 8)
    running.send(
        "plain", request("ping", 9, {}), mcp_session_id=session
    )  # answered after what was said before
    with listen(running, session, **{"last-event-id": "0/0"}) as reply:
        event_id, _ = next(heard(reply))
    assert int(event_id.partition("/")[2]) > 8 - 1 - KEEP_BYTES // 300_000


def test_a_revoked_grants_open_stream_ends(running: Served) -> None:
    _, token = running.grants("leaving", "plain")
    session = running.begin("plain", token=token)
    headers = running.headers(token) | {"mcp-session-id": session}
    with running.client.stream("GET", running.url("/mcp/plain"), headers=headers) as reply:
        threading.Thread(target=lambda: running.ledger.grants.revoke("leaving")).start()
        assert list(heard(reply)) == []


def test_a_toggle_reaches_a_client_that_listens(paths: Paths) -> None:
    write_servers(paths, plain=plain())
    write_policy(paths, "plain")
    with served(paths) as running:
        session = running.begin("plain")
        shown = running.ask("plain", session, "tools/list")["result"]["tools"]
        names = [tool["name"] for tool in shown]
        with listen(running, session) as reply:
            write_policy(paths, "plain", hide=[names[0]])
            _, message = next(heard(reply))
        assert message["method"] == "notifications/tools/list_changed"
        left = running.ask("plain", session, "tools/list", 2)["result"]["tools"]
        assert [tool["name"] for tool in left] == names[1:]


def test_a_toggle_while_nobody_listens_is_told_to_who_comes(paths: Paths) -> None:
    write_servers(paths, plain=plain())
    write_policy(paths, "plain")
    with served(paths) as running:
        session = running.begin("plain")
        names = [
            one["name"] for one in running.ask("plain", session, "tools/list")["result"]["tools"]
        ]
        write_policy(paths, "plain", hide=[names[0]])
        with listen(running, session) as reply:
            assert next(heard(reply))[1]["method"] == "notifications/tools/list_changed"
