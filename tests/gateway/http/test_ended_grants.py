"""A grant that ends takes with it all that its clients have: requests, sessions, servers."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from pktui.gateway.http.admission import GrantWatch
from pktui.ledger.ledger import Ledger
from tests.gateway.http.served import (
    INITIALIZE,
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
from tests.gateway.http.test_process import alive, children, listening
from tests.gateway.http.test_streams import heard, listen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths
    from tests.gateway.http.served import Served

WRITE = {"name": "write", "arguments": {"a": 1}}


@pytest.fixture
def running(paths: Paths) -> Iterator[Served]:
    write_servers(paths, plain=plain())
    write_policy(paths, "plain", tools={"write": {"action": "approve"}})
    with served(paths) as gateway:
        yield gateway


def write(running: Served, session: str, token: str) -> Any:
    return running.send(
        "plain", request("tools/call", 5, WRITE), token=token, mcp_session_id=session
    )


def test_its_processes_end_within_a_moment(paths: Paths) -> None:
    write_servers(paths, plain=plain())
    write_policy(paths, "plain")
    ledger = Ledger.open(paths.ledger_file)
    _, token = ledger.grants.create("leaving", ["*"])
    _, staying = ledger.grants.create("staying", ["*"])
    with listening() as (process, port), httpx2.Client(timeout=60) as client:

        def send(message: Any, token: str, **headers: str) -> httpx2.Response:
            more = {name.replace("_", "-"): value for name, value in headers.items()}
            given = {"authorization": f"Bearer {token}", "accept": "application/json"}
            return client.post(
                f"http://127.0.0.1:{port}/mcp/plain", json=message, headers=given | more
            )

        assert send(request("initialize", 0, INITIALIZE), token).status_code == 200
        call = {"name": "echo", "arguments": {}}
        send(stateless("tools/call", 1, call), token, **routed("tools/call", call))
        theirs = children(process.pid)
        assert send(request("initialize", 0, INITIALIZE), staying).status_code == 200
        others = set(children(process.pid)) - set(theirs)
        assert theirs
        assert others
        ledger.grants.revoke("leaving")
        assert eventually(lambda: not any(map(alive, theirs)))
        assert all(map(alive, others))
        assert send(request("ping", 2, {}), token).status_code == 401
    ledger.close()


def test_its_open_questions_and_unused_permissions_end_and_a_namesake_has_none(
    running: Served,
) -> None:
    _, token = running.grants("ci", "plain")
    session = running.begin("plain", token=token)
    write(running, session, token)
    running.decide(allow=True)
    other = {**WRITE, "arguments": {"a": 2}}
    running.send("plain", request("tools/call", 6, other), token=token, mcp_session_id=session)
    assert len(running.ledger.approvals.pending()) == 1
    running.ledger.grants.revoke("ci")
    assert running.ledger.approvals.pending() == ()
    _, new = running.grants("ci", "plain")
    again = running.begin("plain", token=new)
    answer = write(running, again, new).json()
    assert text(answer).startswith("[WAITING for approval")
    assert running.ledger.verify().ok


def test_a_held_call_of_it_is_not_asked_about_again(running: Served) -> None:
    running.attend()
    _, token = running.grants("held", "plain")
    session = running.begin("plain", token=token)
    answers: list[httpx2.Response] = []
    holding = threading.Thread(target=lambda: answers.append(write(running, session, token)))
    holding.start()
    assert eventually(lambda: len(running.ledger.approvals.pending()) == 1)
    running.ledger.grants.revoke("held")
    holding.join(60)
    assert not holding.is_alive()
    assert running.ledger.approvals.pending() == ()
    assert len(running.ledger.approvals.recent()) == 1
    assert "plain" not in answers[0].text


def test_one_whose_time_has_passed_ends_too(running: Served) -> None:
    soon = time.time_ns() // 1000 + 1_500_000
    _, token = running.ledger.grants.create("brief", ["plain"], expires_us=soon)
    session = running.begin("plain", token=token)
    write(running, session, token)
    assert len(running.ledger.approvals.pending()) == 1
    running.token = token
    with listen(running, session) as reply:
        assert list(heard(reply)) == []
    assert eventually(lambda: running.ledger.approvals.pending() == ())


def test_each_end_is_told_once_and_a_late_request_is_not_served(paths: Paths) -> None:
    ledger = Ledger.open(paths.ledger_file)
    person = Ledger.open(paths.ledger_file)
    grant, _ = person.grants.create("ci", ["*"])
    watch = GrantWatch(ledger, lambda: 1)
    assert watch.serve(grant)
    assert watch.ended() == ()
    person.grants.revoke("ci")
    assert watch.ended() == (grant.key,)
    assert watch.ended() == ()
    assert not watch.serve(grant)
    ledger.close()
    person.close()
