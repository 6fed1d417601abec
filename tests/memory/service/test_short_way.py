"""The short way of a small request gives the answers that ASGI gives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.memory.addresses import LocalAddress
from pktui.memory.client import MemoryClient
from pktui.memory.store import Store
from tests.support.memory_service import running_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths

HEADERS = {"Content-Type": "application/json", "Pktui-Agent": "ada", "Pktui-Project": "/work"}


@pytest.fixture
def open_store(paths: Paths) -> Iterator[Paths]:
    """Serve, with a store that is open: before that nothing goes the short way."""
    with running_service(paths):
        client = MemoryClient(paths, start=False)
        client.sessions()
        client.close()
        yield paths


def both_ways(paths: Paths, verb: str, body: bytes) -> tuple[int, Any]:
    """Send the request in one piece, and in chunks, which go through ASGI; return what both say."""
    answers = []
    for given in (body, iter([body])):
        connection = LocalAddress(paths).connection(60)
        connection.request("POST", f"/v1/{verb}", given, HEADERS)
        response = connection.getresponse()
        said = json.loads(response.read())
        answers.append((response.status, response.headers["content-type"], said))
        connection.close()
    assert answers[0] == answers[1]
    return answers[0][0], answers[0][2]


def test_what_is_found_refused_and_not_read_is_answered_alike(open_store: Paths) -> None:
    assert both_ways(open_store, "session", b'{"session_id": 7}')[0] == 404
    assert both_ways(open_store, "log", b'{"role": "user", "content": "a"}')[0] == 404
    assert both_ways(open_store, "session", b'{"session": 7}')[0] == 400
    assert both_ways(open_store, "session", b"\xff")[0] == 400
    nested = b'{"name": "a", "arguments": {"b": ' + b"[" * 9000 + b"]" * 9000 + b"}}"
    assert both_ways(open_store, "tool", nested)[0] == 400
    assert both_ways(open_store, "sesion", b"{}")[0] == 404
    assert both_ways(open_store, "sessions", b"{}") == (
        200,
        {"items": [], "total": 0, "cursor": ""},
    )
    call = b'{"name": "search_all_sessions", "arguments": {"query": "deploy"}}'
    assert both_ways(open_store, "tool", call)[0] == 200
    call = b'{"name": "log_message", "arguments": {"role": "user", "content": "a"}}'
    status, said = both_ways(open_store, "tool", call)
    assert (status, said["is_error"]) == (200, True)


@pytest.mark.parametrize(
    ("verb", "body", "failed"),
    [
        ("session", b'{"session_id": 7}', 500),
        ("tool", b'{"name": "list_sessions", "arguments": {}}', 200),
    ],
)
def test_a_panic_of_the_library_is_answered_alike(
    open_store: Paths, monkeypatch: pytest.MonkeyPatch, verb: str, body: bytes, failed: int
) -> None:
    class Panic(BaseException):
        """What the library raises where it breaks."""

    def broken(*_given: object, **_named: object) -> None:
        raise Panic("index out of bounds")

    monkeypatch.setattr(Store, "session", broken)
    monkeypatch.setattr(Store, "sessions", broken)
    status, said = both_ways(open_store, verb, body)
    assert status == failed
    assert "index out of bounds" in json.dumps(said)


def test_what_nobody_foresaw_is_answered_alike(
    open_store: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: object, **_named: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Store, "session", broken)
    status, said = both_ways(open_store, "session", b'{"session_id": 7}')
    assert status == 500
    assert "RuntimeError" in said["error"]["what"]
