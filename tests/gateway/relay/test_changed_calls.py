"""Calls that a person allowed with other arguments: what goes out, and what the agent reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.relay.change_note import with_note
from pktui.ledger.arguments.canonical import args_hash
from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from tests.gateway.conftest import House

RULE = {
    "action": "approve",
    "reason": "Payments need a look.",
    "deny_if": [{"conditions": [{"path": "args.amount", "op": "gt", "value": 1000}]}],
    "limits": [{"counter": "spend", "window": "day", "max": 50, "increment_from": "args.amount"}],
}


@pytest.fixture
def wired(house: House) -> Wired:
    house.policy(tools={"pay": RULE})
    house.attend()
    return Wired(house)


def sent(wired: Wired) -> Any:
    return wired.server.next()["params"]


def text(reply: Any) -> str:
    return str(reply["result"]["content"][0]["text"])


def test_a_call_goes_out_with_the_arguments_that_the_person_gave_it(wired: Wired) -> None:
    line = wired.call("pay", {"amount": 40, "to": "a"}, _meta={"x": 1.50})
    wired.house.answer(allow=True, changed={"amount": 4, "to": "a"})
    params = sent(wired)
    assert params == {"name": "pay", "arguments": {"amount": 4, "to": "a"}, "_meta": {"x": 1.5}}
    assert json.loads(wired.server.lines[0])["id"] == json.loads(line)["id"]


def test_the_agent_reads_that_a_person_changed_its_call(wired: Wired) -> None:
    wired.house.enforcer.saw([{"name": "pay", "inputSchema": {"type": "object"}}])
    wired.call("pay", {"amount": 40})
    wired.house.answer(allow=True, changed={"amount": 4})
    sent(wired)
    content = [{"type": "text", "text": "paid"}]
    wired.answer(result={"content": content, "structuredContent": {"paid": 4}})
    reply = wired.client.next()
    assert "[CHANGED by pktui] A person changed" in text(reply)
    assert '{"amount":4}' in text(reply)
    assert reply["result"]["content"][1:] == content
    assert reply["result"]["structuredContent"]["paid"] == 4
    assert "CHANGED" in reply["result"]["structuredContent"]["pktui"]


def test_an_error_of_the_server_says_it_too(wired: Wired) -> None:
    wired.call("pay", {"amount": 40})
    wired.house.answer(allow=True, changed={"amount": 4})
    sent(wired)
    wired.answer(error={"code": -32602, "message": "no"})
    message = wired.client.next()["error"]["message"]
    assert message.startswith("[CHANGED by pktui]")
    assert message.endswith(" no")


def test_both_versions_of_the_arguments_are_on_record(wired: Wired) -> None:
    wired.call("pay", {"amount": 40})
    wired.house.answer(allow=True, changed={"amount": 4})
    sent(wired)
    [row] = wired.house.console.feed.page()
    assert json.loads(row.arguments) == {"amount": 40}
    [approval] = wired.house.console.approvals.recent()
    assert (approval.status, json.loads(approval.changed)) == ("spent", {"amount": 4})
    assert approval.changed_hash == args_hash({"amount": 4})
    changed = [
        detail["changed"]
        for event in wired.house.console.events.of_call(row.call_id)
        if "changed" in (detail := json.loads(event.detail or "{}"))
    ]
    assert changed == [{"amount": 4}, {"amount": 4}]
    assert wired.house.console.verify().ok


def test_the_policy_decides_the_changed_call_and_counts_it(wired: Wired) -> None:
    wired.call("pay", {"amount": 40})
    wired.house.answer(allow=True, changed={"amount": 4000})
    reply = wired.client.next()
    assert "other arguments, which the policy refuses" in text(reply)
    assert wired.server.lines == []
    wired.call("pay", {"amount": 45}, request_id=2)
    wired.house.answer(allow=True, changed={"amount": 50})
    assert sent(wired)["arguments"] == {"amount": 50}
    wired.call("pay", {"amount": 1}, request_id=3)
    assert "limit of 50 units" in text(wired.client.next())


def test_the_same_call_later_meets_the_changed_answer_once(house: House) -> None:
    house.policy(tools={"pay": RULE})
    wired = Wired(house)
    wired.call("pay", {"amount": 40})
    assert "WAITING" in text(wired.client.next())
    house.answer(allow=True, changed={"amount": 4})
    wired.call("pay", {"amount": 40}, request_id=2)
    assert sent(wired)["arguments"] == {"amount": 4}
    wired.call("pay", {"amount": 40}, request_id=3)
    assert "WAITING" in text(wired.client.next())
    assert len(wired.server.lines) == 1


def test_the_changed_call_itself_meets_the_answer_byte_for_byte(house: House) -> None:
    house.policy(tools={"pay": RULE})
    wired = Wired(house)
    wired.call("pay", {"amount": 40})
    wired.client.next()
    house.answer(allow=True, changed={"amount": 4})
    line = wired.call("pay", {"amount": 4}, request_id=2)
    wired.server.next()
    assert wired.server.lines == [line]
    wired.answer(request_id=2, result={"content": []})
    assert wired.client.next()["result"] == {"content": []}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (None, True),
        ({"type": "object"}, True),
        ({"type": "object", "additionalProperties": False}, False),
        ({"type": "object", "additionalProperties": {"type": "number"}}, False),
        ({"$ref": "#/$defs/x"}, False),
        ([], False),
    ],
)
def test_structured_content_is_told_where_its_schema_leaves_room(schema: Any, told: bool) -> None:
    answer = {"id": 1, "result": {"content": [], "structuredContent": {"n": 1}}}
    tool = {"name": "pay"} | ({} if schema is None else {"outputSchema": schema})
    line = with_note(json.dumps(answer).encode(), "changed", json.dumps(tool))
    assert ("pktui" in json.loads(line)["result"]["structuredContent"]) is told


@pytest.mark.parametrize("line", [b"{}", b"[", b'{"result":[]}', b'{"result":{"content":1}}'])
def test_an_answer_without_a_place_for_a_note_stays_as_it_is(line: bytes) -> None:
    assert with_note(line, "changed", "{}") == line
