"""Answers that stand until a client disconnects, where a connection is an HTTP session."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pktui.ledger.approvals.standing import Wider
from tests.gateway.http.served import answer, eventually, request

if TYPE_CHECKING:
    import pytest

    from tests.gateway.http.served import Served


def test_they_are_for_their_session_and_end_with_it(
    running: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.gateway.http.gateway.SWEEP_SECONDS", 0.05)
    running.attend()
    session, other = running.begin("plain"), running.begin("plain")
    running.ask("plain", session, "tools/list", 9)

    def allow() -> None:
        assert eventually(lambda: len(running.ledger.approvals.pending()) == 1)
        [asked] = running.ledger.approvals.pending()
        running.ledger.standing.allow(asked.id, Wider(), by="x", args_hash=asked.args_hash)

    person = threading.Thread(target=allow)
    person.start()
    first = running.ask("plain", session, "tools/call", 1, name="write", arguments={"n": 1})
    person.join()
    second = running.ask("plain", session, "tools/call", 2, name="write", arguments={"n": 2})
    assert [reply["result"]["isError"] for reply in (first, second)] == [False, False]
    [made] = running.ledger.standing.live()
    assert (made.grant, made.uses) == ("tester", 1)

    call = request("tools/call", 3, {"name": "write", "arguments": {"n": 3}})
    deny = threading.Thread(target=lambda: running.decide(allow=False))
    deny.start()
    denied = answer(running.send("plain", call, mcp_session_id=other))
    deny.join()
    assert "A person denied" in denied["result"]["content"][0]["text"]

    ended = running.client.delete(
        running.url("/mcp/plain"), headers=running.headers() | {"mcp-session-id": session}
    )
    assert ended.status_code == 200
    assert eventually(lambda: not running.ledger.standing.live())
    [past] = running.ledger.standing.recent()
    assert past.ended == "disconnected"
