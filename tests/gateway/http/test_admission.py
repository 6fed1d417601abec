"""Who is let in: tokens, grants, hosts, origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.gateway.http.admission import Authenticator
from pktui.gateway.http.protocol import Headers
from pktui.httpserver.guard import Guard
from pktui.ledger.ledger import Ledger
from pktui.times import now_us
from tests.gateway.http.served import INITIALIZE, Served, request

if TYPE_CHECKING:
    from pktui.ledger.records import Grant

PING = request("ping", 1, {})


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic x", "Bearer x"])
def test_a_request_without_a_known_token_is_answered_401(
    running: Served, authorization: str | None
) -> None:
    headers = running.headers()
    del headers["authorization"]
    if authorization is not None:
        headers["authorization"] = authorization
    reply = running.client.post(running.url("/mcp/plain"), json=PING, headers=headers)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith('Bearer realm="pktui"')
    assert reply.json()["id"] is None


def test_two_tokens_are_none(running: Served) -> None:
    twice = [*running.headers().items(), ("authorization", f"Bearer {running.token}")]
    reply = running.client.post(running.url("/mcp/plain"), json=PING, headers=twice)
    assert reply.status_code == 401


def test_a_revoked_grant_is_out_from_the_next_request_on_in_an_open_session_too(
    running: Served,
) -> None:
    _, token = running.grants("short", "plain")
    session = running.begin("plain", token=token)
    running.ledger.grants.revoke("short")
    reply = running.send("plain", PING, token=token, mcp_session_id=session)
    assert reply.status_code == 401
    assert "revoked" in reply.json()["error"]["message"]


def test_an_expired_grant_is_out(running: Served) -> None:
    earlier = now_us() - 60_000_000
    past = Ledger.open(running.paths.ledger_file, clock=lambda: earlier)
    _, token = past.grants.create("brief", ("plain",), "", earlier + 1)
    past.close()
    reply = running.send("plain", PING, token=token)
    assert (reply.status_code, "expired" in reply.text) == (401, True)


@pytest.mark.parametrize(("spaces", "looked_up"), [(1, 1), (5000, 2)])
def test_only_short_headers_are_remembered(running: Served, spaces: int, looked_up: int) -> None:
    asked: list[str] = []

    def find(token: str) -> Grant | None:
        asked.append(token)
        return running.ledger.grants.find(token)

    authenticator = Authenticator(Guard(()), find, lambda: 1, now_us)
    header = b"Bearer" + b" " * spaces + running.token.encode()
    for _ in range(2):
        authenticator.admit(Headers({b"authorization": header}))
    assert asked == [running.token] * looked_up


def test_a_grant_opens_only_its_servers(running: Served) -> None:
    _, token = running.grants("narrow", "plain")
    assert running.send("other", PING, token=token).status_code == 403
    assert running.send("nowhere", PING, token=token).status_code == 403
    assert running.send("nowhere", PING).status_code == 404


def test_a_session_belongs_to_the_grant_that_made_it(running: Served) -> None:
    session = running.begin("plain")
    _, token = running.grants("stranger", "plain", "other")
    assert running.send("plain", PING, token=token, mcp_session_id=session).status_code == 404
    assert running.send("other", PING, mcp_session_id=session).status_code == 404
    assert running.send("plain", PING, mcp_session_id=session).status_code == 200


def test_a_later_grant_of_the_same_name_does_not_inherit_sessions(running: Served) -> None:
    _, token = running.grants("again", "plain")
    session = running.begin("plain", token=token)
    running.ledger.grants.revoke("again")
    _, token = running.grants("again", "plain")
    assert running.send("plain", PING, token=token, mcp_session_id=session).status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", ""])
def test_a_foreign_host_is_refused(running: Served, host: str) -> None:
    host = host.format(port=running.port)
    assert running.send("plain", PING, host=host).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1"])
def test_a_foreign_page_is_refused(running: Served, origin: str) -> None:
    reply = running.send("plain", PING, origin=origin)
    assert (reply.status_code, reply.json()["id"]) == (403, None)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machines_names_and_pages_are_welcome(running: Served, name: str) -> None:
    address = f"{name}:{running.port}"
    reply = running.send(
        "plain", request("initialize", 1, INITIALIZE), host=address, origin=f"http://{address}"
    )
    assert reply.status_code == 200
