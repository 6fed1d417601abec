"""Looks on the wire: what a call would change is looked at before it asks, and before it goes."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.lineio.lines import TooLong
from pktui.gateway.relay import looks
from pktui.gateway.relay.held_calls import Pace
from pktui.ledger.arguments.canonical import args_hash
from tests.gateway.wired import PATIENCE, TOOLS, Wired

if TYPE_CHECKING:
    from pktui.ledger.records import Approval, Looked
    from tests.gateway.conftest import House

READS = {"name": "get_entry", "description": "Get an entry.", "inputSchema": {"type": "object"}}
LOOK = {"tool": "get_entry", "args": {"id": "args.id"}}
ASKS = {"action": "approve", "reason": "Edits need a look.", "look": LOOK}
CANCEL = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'


@pytest.fixture
def wired(house: House) -> Wired:
    house.attend()
    return wire(house)


def wire(house: House, pace: Pace | None = None, **tools: Any) -> Wired:
    house.policy(tools={"set_entry": ASKS} | tools)
    house.enforcer.saw([READS, {"name": "set_entry"}, {"name": "send_mail"}])
    return Wired(house, pace, lists=(*TOOLS, "get_entry", "set_entry", "send_mail"))


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"result": {"content": [{"type": "text", "text": text}], **more}}


def call(wired: Wired, request_id: int = 1, **more: Any) -> bytes:
    return wired.call("set_entry", {"id": 7, "text": "new"}, request_id=request_id, **more)


def look(wired: Wired) -> Any:
    """Return the next request of a look."""
    asked = wired.server.next()
    assert asked["params"]["name"] == "get_entry"
    return asked


def show(wired: Wired, text: str = "old", **more: Any) -> None:
    """Have the next look answered."""
    wired.answer(look(wired)["id"], **said(text, **more))


def waiting(wired: Wired) -> Approval:
    [approval] = wired.house.console.approvals.pending()
    return approval


def looked(wired: Wired) -> Looked:
    found = waiting(wired).looked
    assert found is not None
    return found


def text(reply: Any) -> str:
    return str(reply["result"]["content"][0]["text"])


def test_the_card_shows_what_the_server_says_it_would_change(wired: Wired) -> None:
    call(wired)
    asked = look(wired)
    assert asked["params"] == {"name": "get_entry", "arguments": {"id": 7}}
    assert wired.house.console.approvals.pending() == ()
    wired.answer(asked["id"], **said("title: old"))
    found = looked(wired)
    assert (found.tool, found.shown, found.why) == ("get_entry", "title: old", "")
    assert json.loads(found.arguments) == {"id": 7}
    assert wired.client.lines == []


def test_the_look_is_a_row_of_its_own_and_is_not_charged(house: House) -> None:
    house.attend()
    limit = {"counter": "reads", "window": "day", "max": 1}
    wired = wire(house, get_entry={"limits": [limit]})
    for number in (1, 2):
        wired.call("set_entry", {"id": number}, request_id=number)
        show(wired)
    rows = [row for row in house.console.feed.page() if row.tool == "get_entry"]
    assert {(row.effect, row.outcome) for row in rows} == {("allow", "ok")}
    assert {row.reason for row in rows} == {"A look at what a call of set_entry would change."}
    assert {row.arguments for row in rows} == {'{"id":1}', '{"id":2}'}
    wired.call("get_entry", {"id": 3}, request_id=3)
    assert wired.server.next()["id"] == 3
    assert house.console.verify().ok


def test_an_allowed_call_goes_out_once_it_was_looked_at_again(wired: Wired) -> None:
    line = call(wired)
    show(wired)
    wired.house.answer(allow=True)
    again = look(wired)
    assert len(wired.server.lines) == 2
    wired.answer(again["id"], **said("old"))
    wired.server.next()
    assert wired.server.lines[2] == line
    assert wired.client.lines == []


def test_another_answer_by_then_asks_anew_and_says_so(wired: Wired) -> None:
    line = call(wired)
    show(wired)
    first = waiting(wired)
    wired.house.answer(allow=True)
    show(wired, "someone else's")
    wired.pending.holder.wait_released("")
    second = await_anew(wired, first)
    assert wired.house.console.approvals.get(first.id).status == "withdrawn"  # type: ignore[union-attr]
    found = second.looked
    assert found is not None
    assert (found.shown, found.before, found.anew) == ("someone else's", "old", first.id)
    assert second.reason.startswith(f"What get_entry shows has changed since {first.id} was")
    wired.house.answer(allow=True)
    show(wired, "someone else's")
    wired.server.next()
    assert wired.server.lines[-1] == line


def await_anew(wired: Wired, first: Approval) -> Approval:
    """Return the question that follows another; the holder looks a few times a second."""
    tick = threading.Event()
    for _ in range(2000):
        found = wired.house.console.approvals.pending()
        if found and found[0].id != first.id:
            return found[0]
        tick.wait(0.01)
    raise AssertionError("nothing is asked anew")


def test_the_same_call_later_is_looked_at_again_and_the_agent_told(house: House) -> None:
    wired = wire(house)
    call(wired)
    show(wired)
    assert "[WAITING for approval in pktui]" in text(wired.client.next())
    first = waiting(wired)
    house.answer(allow=True)
    call(wired, 2)
    show(wired, "other")
    told = text(wired.client.next())
    assert told.startswith("[WAITING for approval in pktui]")
    assert f"What get_entry shows has changed since {first.id} was allowed." in told
    house.answer(allow=True)
    line = call(wired, 3)
    show(wired, "other")
    wired.server.next()
    assert wired.server.lines[-1] == line


def test_a_question_that_is_open_is_met_without_another_look(house: House) -> None:
    wired = wire(house)
    call(wired)
    show(wired)
    wired.client.next()
    call(wired, 2)
    assert waiting(wired).id in text(wired.client.next())
    house.answer(allow=False, words="No")
    call(wired, 3)
    assert "A person denied this call: No." in text(wired.client.next())
    assert len(wired.server.lines) == 1


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        ({"get_entry": {"action": "deny", "reason": "Closed."}}, "it is denied, and only what"),
        ({"get_entry": {"action": "approve"}}, "it asks a person itself"),
        ({"set_entry": ASKS | {"look": {"tool": "send_mail"}}}, "it is not known to read only"),
        ({"set_entry": ASKS | {"look": {"tool": "read_it"}}}, "it is not known to read only"),
        ({"set_entry": ASKS | {"look": {"tool": "get_entry", "args": {"id": "args.nr"}}}},
         "the call has no args.nr"),
    ],
)  # fmt: skip
def test_a_look_that_may_not_be_made_is_not_and_the_card_says_why(
    house: House, tools: dict[str, Any], why: str
) -> None:
    house.attend()
    wired = wire(house, **tools)
    line = call(wired)
    assert why in looked(wired).why
    house.answer(allow=True)
    wired.server.next()
    assert wired.server.lines == [line]
    assert [row.tool for row in house.console.feed.page()] == ["set_entry"]


def test_a_tool_that_is_defined_otherwise_than_accepted_is_not_asked(wired: Wired) -> None:
    wired.house.enforcer.saw([READS | {"description": "Get an entry, differently."}])
    call(wired)
    assert "it asks a person itself" in looked(wired).why


def test_a_server_that_does_not_answer_keeps_no_call_waiting(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "SECONDS", 0.01)
    call(wired)
    asked = look(wired)
    told = wired.server.next()
    assert (told["method"], told["params"]) == (
        "notifications/cancelled",
        {"requestId": asked["id"]},
    )
    first = await_anew(wired, waiting_before())
    assert first.looked is not None
    assert first.looked.why == "it did not answer within 0.01 seconds"
    wired.answer(asked["id"], **said("late"))
    assert wired.client.lines == []
    wired.house.answer(allow=True)
    look(wired)
    wired.server.next()
    assert wired.server.next()["params"]["name"] == "set_entry"


def test_a_fault_while_a_look_is_given_up_keeps_no_call_waiting(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_ended: object) -> None:
        raise RuntimeError("no such column")

    monkeypatch.setattr(looks, "SECONDS", 0.01)
    monkeypatch.setattr(wired.house.enforcer, "settle_all", broken)
    call(wired)
    first = await_anew(wired, waiting_before())
    assert first.looked is not None
    assert first.looked.why == "it did not answer within 0.01 seconds"
    assert any("giving up a look failed" in one for one in wired.house.said)


def waiting_before() -> Approval:
    from types import SimpleNamespace

    return SimpleNamespace(id="")  # type: ignore[return-value]


def test_no_answer_before_the_call_goes_is_another_answer(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(wired)
    show(wired)
    first = waiting(wired)
    monkeypatch.setattr(looks, "SECONDS", 0.01)
    wired.house.answer(allow=True)
    look(wired)
    second = await_anew(wired, first)
    assert second.looked is not None
    assert (second.looked.why, second.looked.before) == (
        "it did not answer within 0.01 seconds",
        "old",
    )


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"error": {"code": -32000, "message": "gone\x1b[2J"}}, "it answered with an error: "),
        ({"result": {"resultType": "input_required", "requestState": "s"}}, "it asks for more"),
        ({"result": [1]}, "its answer is none that can be read"),
        ({"result": {"content": [], "x": "y" * (looks.MOST_BYTES + 1)}}, "longer than 1,024 KiB"),
    ],
)
def test_what_is_no_answer_is_a_word_on_the_card(
    wired: Wired, answer: dict[str, Any], why: str
) -> None:
    call(wired)
    wired.answer(look(wired)["id"], **answer)
    assert why in looked(wired).why
    assert looked(wired).shown == ""


def test_a_line_too_long_to_be_read_is_no_answer(wired: Wired) -> None:
    call(wired)
    head = json.dumps({"jsonrpc": "2.0", "id": look(wired)["id"], "result": {}}).encode()
    wired.relay.from_server(TooLong.of(head))
    assert "too large or too deep" in looked(wired).why
    assert wired.client.lines == []


def test_deep_and_odd_answers_do_no_harm(wired: Wired) -> None:
    call(wired)
    deep = b'{"content":[{"type":"text","text":"' + b"x\\ud800" + b'"},{"type":"image"},7],"n":'
    deep += b"[" * 900 + b"]" * 900 + b"}"
    line = b'{"jsonrpc":"2.0","id":"%s","result":%s}' % (look(wired)["id"].encode(), deep)
    wired.relay.from_server(line)
    assert waiting(wired).looked is not None


def test_a_long_answer_is_cut_and_what_was_cut_counts(wired: Wired) -> None:
    call(wired)
    long = "a" * (looks.MOST_SHOWN + 10)
    show(wired, long + "b")
    first, found = waiting(wired), looked(wired)
    assert (len(found.shown), found.left_out) == (looks.MOST_SHOWN, 11)
    wired.house.answer(allow=True)
    show(wired, long + "c")
    assert await_anew(wired, first).looked is not None


def test_secrets_in_an_answer_are_masked_also_before_a_person(wired: Wired) -> None:
    token = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    call(wired)
    show(wired, f"use {token}", structuredContent={"password": "hunter2", "text": "all"})
    kept = waiting(wired).look
    assert token not in kept
    assert "hunter2" not in kept
    assert "all" in looked(wired).shown


def test_structured_content_is_shown_where_texts_do_not_say_the_same(wired: Wired) -> None:
    call(wired)
    show(wired, '{"n": 1}', structuredContent={"n": 1}, isError=True)
    assert (looked(wired).shown, looked(wired).failed) == ('{"n": 1}', True)


def test_structured_content_is_hashed_once_beside_any_number_of_texts(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[object] = []

    def noted(value: object) -> str:
        hashed.append(value)
        return args_hash(value)

    monkeypatch.setattr(looks, "args_hash", noted)
    call(wired)
    texts = [{"type": "text", "text": "1"}] * 40
    result = {"content": texts, "structuredContent": {"n": 1}}
    wired.answer(look(wired)["id"], result=result)
    assert hashed.count({"n": 1}) == 1
    assert '"n": 1' in looked(wired).shown


def test_meta_of_an_answer_and_its_layout_are_no_other_answer(wired: Wired) -> None:
    call(wired)
    show(wired, "a", structuredContent={"x": 1, "y": 2}, _meta={"at": 1})
    wired.house.answer(allow=True)
    show(wired, "a", structuredContent={"y": 2, "x": 1}, _meta={"at": 2})
    assert wired.server.next()["params"]["name"] == "set_entry"


def test_a_call_that_is_cancelled_while_it_is_looked_at_is_not_asked_about(wired: Wired) -> None:
    call(wired)
    asked = look(wired)
    wired.relay.from_client(CANCEL)
    assert wired.server.next()["params"] == {"requestId": asked["id"]}
    wired.answer(asked["id"], **said("old"))
    assert wired.house.console.approvals.pending() == ()
    assert wired.client.lines == []
    call(wired)
    show(wired)
    assert waiting(wired).tool == "set_entry"


def test_a_held_call_that_is_cancelled_while_it_is_looked_at_again_does_not_go(
    wired: Wired,
) -> None:
    call(wired)
    show(wired)
    wired.house.answer(allow=True)
    again = look(wired)
    wired.relay.from_client(CANCEL)
    wired.answer(again["id"], **said("old"))
    assert len(wired.server.lines) == 2


def test_a_stop_meanwhile_beats_the_answer(wired: Wired) -> None:
    call(wired)
    show(wired)
    wired.house.answer(allow=True)
    again = look(wired)
    wired.house.console.approvals.stop(by="me")
    wired.answer(again["id"], **said("old"))
    assert "stopped" in text(wired.client.next())
    assert len(wired.server.lines) == 2


def test_a_server_that_ends_answers_what_waits_for_a_look(wired: Wired) -> None:
    call(wired)
    look(wired)
    wired.relay.server_lost("it ended")
    assert wired.client.next()["error"]["message"] == "it ended"
    assert wired.house.console.approvals.pending() == ()
    rows = wired.house.console.feed.page()
    assert [row.outcome for row in rows if row.tool == "get_entry"] == ["lost"]


def test_a_standing_answer_needs_no_look(wired: Wired) -> None:
    from pktui.ledger.approvals.standing import Wider

    call(wired)
    show(wired)
    asked = waiting(wired)
    wired.house.console.standing.allow(
        asked.id, Wider(60_000_000), by="me", args_hash=asked.args_hash
    )
    show(wired)
    assert wired.server.next()["params"]["name"] == "set_entry"
    wired.call("set_entry", {"id": 8}, request_id=2)
    assert wired.server.next()["id"] == 2


def test_in_the_stateless_era_the_look_speaks_it_too(wired: Wired) -> None:
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "progressToken": 1}
    call(wired, _meta=meta)
    asked = look(wired)
    assert asked["params"]["_meta"] == {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    wired.answer(asked["id"], **said("old", resultType="complete"))
    assert looked(wired).shown == "old"


def test_a_client_that_holds_many_calls_has_each_looked_at(house: House) -> None:
    house.attend()
    wired = wire(house, Pace(hold=PATIENCE))
    for number in range(20):
        wired.call("set_entry", {"id": number}, request_id=number)
    for _ in range(20):
        asked = look(wired)
        wired.answer(asked["id"], **said(f"entry {asked['params']['arguments']['id']}"))
    shown = {
        json.loads(one.arguments)["id"]: one.looked for one in house.console.approvals.pending()
    }
    assert all(one is not None and one.shown == f"entry {n}" for n, one in shown.items())
    assert len(shown) == 20
