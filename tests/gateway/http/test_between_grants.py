"""What one grant's client does or is told must not reach another's, nor a server unchecked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.gateway.http.served import Served, request, served, write_policy, write_servers
from tests.gateway.upstream.far import FarServer

if TYPE_CHECKING:
    from pktui.settings import Paths
    from tests.gateway.upstream.far import Asked

CALL = {"name": "echo", "arguments": {}}


def sessions_and_cookies() -> Iterator[dict[str, str]]:
    for number in count(1):
        yield {"Mcp-Session-Id": f"s-{number}", "Set-Cookie": f"who={number}; Path=/"}


@pytest.fixture
def far() -> Iterator[FarServer]:
    headers = sessions_and_cookies()

    def script(asked: Asked) -> None:
        if asked.method == "POST" and "id" in asked.message:
            asked.result({"content": []}, next(headers))
        else:
            asked.answer(202)

    with FarServer(script) as server:
        yield server


@pytest.fixture
def running(paths: Paths, far: FarServer) -> Iterator[Served]:
    write_servers(paths, far={"url": far.url})
    write_policy(paths, "far")
    with served(paths) as gateway:
        yield gateway


@pytest.mark.parametrize("name", ["mcp-session-id", "last-event-id"])
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_second_session_beside_ones_own_is_refused(
    running: Served, far: FarServer, method: str, name: str
) -> None:
    own = running.begin("far")
    _, token = running.grants("other", "far")
    others = running.begin("far", token=token)
    body = json.dumps(request("tools/call", 1, CALL)).encode() if method == "POST" else None
    headers = [*running.headers().items(), ("mcp-session-id", own), (name, "1"), (name, others)]
    reply = running.client.request(method, running.url("/mcp/far"), content=body, headers=headers)
    assert reply.status_code == 400
    assert not {"POST tools/call", "DELETE"} & set(far.methods())


def test_a_servers_cookie_is_kept_for_nobody(running: Served, far: FarServer) -> None:
    session = running.begin("far")
    _, token = running.grants("other", "far")
    running.begin("far", token=token)
    running.ask("far", session, "tools/call", **CALL)
    assert not [one for one in far.asked if "cookie" in {name.lower() for name in one.headers}]
