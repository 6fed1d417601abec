"""Lines that came together: one transaction for all of them, each with its own answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.relay.held_calls import CAPACITY
from tests.gateway.wired import Mailbox, Wired

if TYPE_CHECKING:
    from tests.gateway.conftest import House

OK = b'{"content":[{"type":"text","text":"done"}]}'
LIMIT = {"counter": "calls", "window": "hour", "max": 3, "scope": "server"}


@pytest.fixture
def wired(house: House) -> Wired:
    house.policy(
        tools={
            "danger": {"action": "deny", "reason": "No danger"},
            "few": {"limits": [LIMIT]},
            "asked": {"action": "approve"},
        }
    )
    return Wired(house)


def call(request_id: Any, tool: str = "echo") -> bytes:
    params = {"name": tool, "arguments": {"n": request_id}}
    message = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
    return json.dumps(message).encode()


def answer(request_id: int) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (request_id, OK)


def ids(lines: list[bytes]) -> list[Any]:
    return [json.loads(line)["id"] for line in lines]


def test_each_goes_its_own_way_in_its_order(wired: Wired, house: House) -> None:
    ping = b'{"jsonrpc":"2.0","id":"p","method":"ping"}'
    wired.relay.from_client(call(1), call(2, "danger"), b"not JSON", ping, call(3))
    assert ids(wired.server.lines) == [1, "p", 3]
    assert ids(wired.client.lines) == [2, None]
    wired.relay.from_server(answer(3), answer(1))
    assert ids(wired.client.lines)[2:] == [3, 1]
    rows = house.console.feed.page()
    assert [row.effect for row in rows] == ["allow", "deny", "refused", "allow"]
    assert [row.outcome for row in rows] == ["ok", "", "", "ok"]


def test_an_id_counts_once_among_them(wired: Wired) -> None:
    wired.relay.from_client(call(1), call(1), call("1"), call("one"))
    assert ids(wired.server.lines) == [1, "one"]
    assert ids(wired.client.lines) == [1, "1"]


def test_a_quota_counts_every_one_of_them(wired: Wired, house: House) -> None:
    wired.relay.from_client(*(call(number, "few") for number in range(1, 6)))
    assert ids(wired.server.lines) == [1, 2, 3]
    assert ids(wired.client.lines) == [4, 5]
    house.clock.pass_seconds(3600)
    wired.relay.from_client(call(6, "few"))
    assert ids(wired.server.lines) == [1, 2, 3, 6]


def test_a_cancel_meets_the_call_that_came_with_it(wired: Wired, house: House) -> None:
    cancel = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    wired.relay.from_client(call(1), cancel)
    assert [row.outcome for row in house.console.feed.page()] == ["cancelled"]


def test_no_more_are_held_than_there_is_room_for(wired: Wired, house: House) -> None:
    house.attend()
    wired.relay.from_client(*(call(number, "asked") for number in range(1, CAPACITY + 3)))
    waiting = [json.loads(line) for line in wired.client.lines]
    refused = [message["id"] for message in waiting if "result" in message]
    assert refused == [CAPACITY + 1, CAPACITY + 2]
    wired.relay.stop("over")


def test_none_goes_out_where_one_cannot_be_recorded(wired: Wired, house: House) -> None:
    house.ledger.close()
    wired.relay.from_client(call(1), call(2))
    assert wired.server.lines == []
    texts = [json.loads(line)["result"]["content"][0]["text"] for line in wired.client.lines]
    assert ["could not be put on record" in text for text in texts] == [True, True]


def test_how_they_ended_is_on_record_before_they_are_answered(house: House) -> None:
    house.policy()
    seen: list[str] = []

    class Watchful(Mailbox):
        def put(self, *lines: bytes) -> None:
            seen.extend(row.outcome for row in house.console.feed.page())
            super().put(*lines)

    wired = Wired(house, client=Watchful())
    wired.relay.from_client(call(1), call(2))
    wired.relay.from_server(answer(1), answer(2))
    assert seen == ["ok", "ok"]
