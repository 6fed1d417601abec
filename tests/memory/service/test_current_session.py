"""Whose current session is whose, over stateless HTTP: nothing but the request says who asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from tests.support.library_server import headers_of
from tests.support.memory_service import mcp_answer, paths_in, running_service

if TYPE_CHECKING:
    from pktui.settings import Paths

ADA = Identity("claude-code", "", "/home/ada/shop")
OTHERS = [
    Identity("claude-code", "", "/home/ada/blog"),
    Identity("codex", "", "/home/ada/shop"),
    Identity("claude-code", "night", "/home/ada/shop"),
    Identity("", "", "/home/ada/shop"),
    Identity("grant night", "", ""),
    Identity("", "agent claude-code\n/home/ada/shop", ""),
    Identity(),
]
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def use(paths: Paths, who: Identity, tool: str, _meta: Any = None, /, **arguments: Any) -> Any:
    """Call a tool in one HTTP request of its own, with no connection or state before it."""
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    if _meta:
        params["_meta"] = _meta
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    client = MemoryClient(paths, who, start=False)
    raw = json.dumps(body).encode()
    headers = {**client._headers, **headers_of(body)}
    answer = client._transport.request("POST", "/mcp", raw, headers)
    client.close()
    return json.loads(answer.body)["result"]


def started(paths: Paths, who: Identity, _meta: Any = None, /) -> int:
    return int(use(paths, who, "start_logging_session", _meta)["structuredContent"]["sessionId"])


def logged_to(paths: Paths, who: Identity, _meta: Any = None, /) -> int | None:
    result = use(paths, who, "log_message", _meta, role="user", content="x")
    return None if result["isError"] else int(result["structuredContent"]["sessionId"])


@pytest.mark.parametrize("other", OTHERS)
def test_no_other_client_takes_or_ends_a_current_session(served: Paths, other: Identity) -> None:
    mine = started(served, ADA)
    assert logged_to(served, other) is None
    theirs = started(served, other)
    assert logged_to(served, ADA) == mine
    assert logged_to(served, other) == (theirs if other.key else None)
    use(served, other, "end_session")
    assert logged_to(served, ADA) == mine
    use(served, ADA, "end_session")
    assert logged_to(served, ADA) is None


def test_a_grant_has_one_session_wherever_its_agent_works(served: Paths) -> None:
    mine = started(served, Identity("claude-code", "night", "/home/ada/shop"))
    assert logged_to(served, Identity("codex", "night", "/srv")) == mine


def test_a_client_without_headers_is_known_by_what_it_says_of_itself(served: Paths) -> None:
    names = [
        {**MODERN, "io.modelcontextprotocol/clientInfo": {"name": name, "version": "1"}}
        for name in ("one", "two")
    ]
    first, second = (started(served, Identity(), meta) for meta in names)
    assert [logged_to(served, Identity(), meta) for meta in names] == [first, second]
    session = MemoryClient(served, start=False).session(first)
    assert session.agent == "one"


def test_a_gateway_passes_on_what_a_nameless_client_says_of_itself(served: Paths) -> None:
    info = {"io.modelcontextprotocol/clientInfo": {"name": "three", "version": "1"}}
    params = {"name": "start_logging_session", "arguments": {}, "_meta": {**MODERN, **info}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    client = MemoryClient(served, start=False)
    answer = mcp_answer(client, json.dumps(body).encode())
    assert answer is not None
    number = json.loads(answer)["result"]["structuredContent"]["sessionId"]
    assert client.session(number).agent == "three"
    client.close()


def test_a_client_that_says_nothing_is_told_to_name_its_session(served: Paths) -> None:
    answer = use(served, Identity(), "start_logging_session")
    number = answer["structuredContent"]["sessionId"]
    for text in (answer["content"][0]["text"], answer["structuredContent"]["instructions"]):
        assert f"`sessionId={number}`" in text
    logged = use(served, Identity(), "log_message", role="user", content="x", sessionId=number)
    assert not logged["isError"]
    assert not use(served, Identity(), "end_session", sessionId=number)["isError"]


def test_windows_keep_their_sessions_when_the_service_is_started_again(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    first, second, third = (window("shop", number) for number in (1, 2, 3))
    with running_service(paths):
        sessions = started(paths, first), started(paths, second), started(paths, third)
        use(paths, third, "end_session")
    with running_service(paths):
        assert (logged_to(paths, first), logged_to(paths, second)) == sessions[:2]
        assert logged_to(paths, third) is None
        assert logged_to(paths, window("shop", 4)) == sessions[1]


def test_a_current_session_survives_the_service(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    with running_service(paths):
        mine, theirs = started(paths, ADA), started(paths, OTHERS[0])
    with running_service(paths):
        assert (logged_to(paths, ADA), logged_to(paths, OTHERS[0])) == (mine, theirs)


def window(place: str, number: int) -> Identity:
    return Identity(ADA.agent, "", f"/home/ada/{place}", f"window {number}\n%" if number else "")


def test_two_windows_of_one_agent_keep_their_own_sessions(served: Paths) -> None:
    first, second = started(served, window("place 1", 1)), started(served, window("place 1", 2))
    assert logged_to(served, window("place 1", 1)) == first
    assert logged_to(served, window("place 1", 2)) == second
    use(served, window("place 1", 2), "end_session")
    assert logged_to(served, window("place 1", 2)) is None
    assert logged_to(served, window("place 1", 1)) == first


def test_a_later_window_goes_on_with_the_newest_session_and_stays_there(served: Paths) -> None:
    started(served, window("place 2", 1))
    newest = started(served, window("place 2", 2))
    assert (
        logged_to(served, window("place 2", 3)) == logged_to(served, window("place 2", 0)) == newest
    )
    started(served, window("place 2", 4))
    assert logged_to(served, window("place 2", 3)) == newest


def test_a_second_session_of_a_window_takes_the_place_of_its_first(served: Paths) -> None:
    started(served, window("place 3", 1))
    second = started(served, window("place 3", 1))
    assert logged_to(served, window("place 3", 1)) == second
    use(served, window("place 3", 1), "end_session")
    assert logged_to(served, window("place 3", 1)) is None
    assert logged_to(served, window("place 3", 3)) is None


def test_a_client_without_a_connection_takes_no_window_its_session(served: Paths) -> None:
    first = started(served, window("place 4", 1))
    other = started(served, window("place 4", 0))
    assert logged_to(served, window("place 4", 1)) == first
    assert logged_to(served, window("place 4", 0)) == other
    assert logged_to(served, Identity("codex", "", "/home/ada/place 4", "window 1\n%")) is None
