"""Names a server does not have: answered here, in the one form that hidden ones get."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.lineio.lines import TooLong
from pktui.gateway.protocol.server_messages import Unanswered
from pktui.gateway.relay import known_tools
from pktui.gateway.relay.tool_discovery import OWN
from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from tests.gateway.conftest import House

MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
OK: dict[str, Any] = {"content": []}


@pytest.fixture
def wired(house: House) -> Wired:
    """Nothing was listed yet, on this connection or on any before."""
    house.policy(default="approve", hide=["secret"], tools={"danger": {"action": "deny"}})
    return Wired(house, lists=None)


def asked(wired: Wired, at: int = -1) -> Any:
    """Return a request of the gateway's own."""
    message = json.loads(wired.server.lines[at])
    assert message["method"] == "tools/list"
    assert message["id"].startswith(OWN)
    return message


def listed(wired: Wired, *names: str, cursor: str = "", at: int = -1) -> None:
    """Answer the gateway's own request."""
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
    more = {"nextCursor": cursor} if cursor else {}
    wired.answer(asked(wired, at)["id"], result={"tools": tools, **more})


def unknown(tool: str, request_id: Any = 1) -> dict[str, Any]:
    content = [{"type": "text", "text": f"Unknown tool: {tool}"}]
    result = {"content": content, "isError": True}
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def text(reply: Any) -> str:
    return str(reply["result"]["content"][0]["text"])


def test_an_invented_tool_asks_no_person_and_does_not_go_out(wired: Wired) -> None:
    wired.call("invented")
    assert wired.client.lines == []
    listed(wired, "echo", "secret")
    assert wired.client.next() == unknown("invented")
    assert len(wired.server.lines) == 1
    assert wired.house.console.approvals.recent() == ()
    [row] = wired.house.console.feed.page()
    assert (row.tool, row.effect, row.rule) == ("invented", "deny", "(unknown tool)")


def test_a_policy_that_lets_all_run_and_hides_nothing_leaves_names_to_the_server(
    house: House,
) -> None:
    house.policy(tools={"danger": {"action": "deny"}, "db_*": {"action": "approve"}})
    wired = Wired(house, lists=None)
    wired.call("unlisted", request_id=1)
    assert [json.loads(line)["method"] for line in wired.server.lines] == ["tools/call"]
    wired.call("db_drop", request_id=2)  # a rule is about it: it must be on the list
    listed(wired, "echo")
    assert wired.client.next() == unknown("db_drop", 2)


@pytest.mark.parametrize("meta", [{}, {"_meta": MODERN}])
def test_hidden_and_missing_are_answered_alike_after_the_same_exchange(
    house: House, meta: dict[str, Any]
) -> None:
    house.policy(hide=["secret"])
    seen = []
    for tool in ("secret", "missing"):
        wired = Wired(house, lists=None)
        house.enforcer.saw([{"name": "secret"}])
        wired.call(tool, **meta)
        assert wired.client.lines == []
        listed(wired, "secret", "echo")
        first = wired.client.next()
        wired.call(tool, request_id=2, **meta)
        again = wired.client.next()
        assert len(wired.server.lines) == 1
        seen.append(json.dumps([first, again]).replace(tool, "NAME"))
    assert seen[0] == seen[1]
    assert "pktui" not in seen[0]
    assert ("resultType" in seen[0]) == bool(meta)


def test_the_list_is_asked_for_in_the_era_of_the_call(wired: Wired) -> None:
    wired.call("invented", _meta={**MODERN, "progressToken": 5})
    assert asked(wired)["params"] == {"_meta": MODERN}
    listed(wired, "echo")
    other = Wired(wired.house, lists=None)
    other.call("invented")
    assert asked(other)["params"] == {}


def test_a_tool_that_the_fresh_list_holds_is_decided_as_any_other(wired: Wired) -> None:
    wired.house.policy(default="allow", hide=["secret"])
    line = wired.call("echo")
    assert len(wired.server.lines) == 1
    listed(wired, "other", cursor="2")
    assert asked(wired)["params"]["cursor"] == "2"
    listed(wired, "echo")
    assert wired.server.lines[2:] == [line]
    wired.answer(1, result=OK)
    assert wired.client.next()["result"] == OK
    assert wired.house.console.feed.page()[0].outcome == "ok"


def test_a_tool_of_the_catalogue_needs_no_list_on_this_connection(wired: Wired) -> None:
    wired.house.policy(default="allow", hide=["secret"])
    wired.house.enforcer.saw([{"name": "echo"}])
    line = wired.call("echo")
    assert wired.server.lines == [line]


def test_a_name_that_is_not_on_the_list_that_was_read_is_looked_for_again(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_tools, "FRESH_NS", 0)
    wired.house.policy(default="allow", hide=["secret"])
    wired.request("tools/list", request_id="l")
    wired.answer("l", result={"tools": [{"name": "echo"}]})
    line = wired.call("later", request_id=2)
    listed(wired, "echo", "later")
    assert wired.server.lines[2:] == [line]


def test_one_that_just_read_the_list_is_not_asked_again_unless_it_changed(wired: Wired) -> None:
    wired.call("one")
    listed(wired, "echo")
    wired.call("two", request_id=2)
    assert len(wired.server.lines) == 1
    note = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
    wired.relay.from_server(note)
    assert wired.client.lines[-1] == note
    wired.call("three", request_id=3)
    assert len(wired.server.lines) == 2


def test_calls_that_come_meanwhile_wait_for_the_same_list_and_others_do_not(wired: Wired) -> None:
    wired.house.policy(default="allow", hide=["secret"])
    wired.house.enforcer.saw([{"name": "known"}])
    wired.call("one", request_id=1)
    wired.call("two", request_id=2)
    line = wired.call("known", request_id=3)
    assert wired.server.lines[1:] == [line]
    listed(wired, "known", "two", at=0)
    assert wired.client.next() == unknown("one", 1)
    assert json.loads(wired.server.lines[-1])["params"]["name"] == "two"


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32601, "message": "no tools here"}},
        {"result": {"no": "tools"}},
        {"result": {"tools": [{"name": "a", "NAME": "b"}]}},
        {"result": None},
        {},
    ],
)
def test_a_server_that_cannot_list_leaves_it_to_the_policy_and_that_is_on_record(
    wired: Wired, answer: dict[str, Any]
) -> None:
    wired.call("whatever")
    wired.answer(asked(wired)["id"], **answer)
    assert text(wired.client.next()).startswith("[WAITING")
    [row] = wired.house.console.feed.page()
    assert json.loads(row.detail)["unlisted"]
    assert row.effect == "approve"


@pytest.mark.parametrize("how", ["gone", "too large", "not JSON", "time", "several ids", "ended"])
def test_a_list_that_never_comes_leaves_no_call_waiting(wired: Wired, how: str) -> None:
    wired.call("whatever")
    own = asked(wired)["id"]
    line = b'{"jsonrpc":"2.0","id":"%s","result":{"tools":[NaN}' % own.encode()
    if how == "gone":
        wired.relay.from_server(Unanswered(own, "it is gone", sent=True))
    elif how == "too large":
        wired.relay.from_server(TooLong.of(line))
    elif how == "not JSON":
        wired.relay.from_server(line)
    elif how == "several ids":
        wired.relay.from_server(line.replace(b'"result"', b'"id":1,"result"').replace(b"NaN", b"]"))
    elif how == "ended":
        wired.relay.server_lost("it ended")
    else:
        wired.relay._lookup._expire()
    reply = wired.client.next()
    assert reply["id"] == 1
    assert (reply.get("error") is not None) == (how == "ended")
    wired.answer(own, result={"tools": [{"name": "whatever"}]})
    assert len(wired.client.lines) == 1
    assert not wired.relay.busy


def test_a_list_without_end_is_left(wired: Wired) -> None:
    wired.call("whatever")
    listed(wired, "a", cursor="x")
    listed(wired, "b", cursor="x")
    assert text(wired.client.next()).startswith("[WAITING")
    assert len(wired.server.lines) == 2


def test_a_call_that_is_cancelled_while_it_waits_is_forgotten(wired: Wired) -> None:
    wired.call("whatever")
    cancel = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    wired.relay.from_client(cancel)
    listed(wired, "whatever")
    assert wired.client.lines == []
    assert len(wired.server.lines) == 1
    [row] = wired.house.console.feed.page()
    assert (row.effect, "cancelled" in row.reason) == ("refused", True)


def test_the_id_of_a_call_that_waits_cannot_be_used_again(wired: Wired) -> None:
    wired.call("one")
    wired.call("two")
    assert wired.client.next()["error"]["message"] == "a request with this id still waits"


def test_nothing_that_speaks_of_the_gateways_requests_reaches_the_client(wired: Wired) -> None:
    wired.call("one")
    own = asked(wired)["id"]
    params = {"requestId": own, "reason": "slow"}
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
    wired.relay.from_server(json.dumps(note).encode())
    listed(wired, "echo")
    listed(wired, "echo")
    assert [json.loads(line)["id"] for line in wired.client.lines] == [1]


def test_a_denied_tool_is_answered_with_the_reason_shown_or_not(wired: Wired) -> None:
    wired.call("danger")
    listed(wired, "danger", "echo")
    assert "[DENIED by pktui]" in text(wired.client.next())
    wired.request("tools/list", request_id=2)
    wired.answer(2, result={"tools": [{"name": "danger"}, {"name": "echo"}]})
    shown = wired.client.next()["result"]["tools"]
    assert [tool["name"] for tool in shown] == ["echo"]
    wired.call("danger", request_id=3)
    assert "[DENIED by pktui]" in text(wired.client.next())


def test_every_tool_is_listed_where_the_policy_says_so(wired: Wired) -> None:
    wired.house.policy(list="all", hide=["secret"], tools={"danger": {"action": "deny"}})
    wired.request("tools/list")
    wired.answer(1, result={"tools": [{"name": "danger"}, {"name": "secret"}]})
    assert [tool["name"] for tool in wired.client.next()["result"]["tools"]] == ["danger"]


def test_a_tool_that_was_shown_and_is_hidden_since_is_answered_with_the_reason(
    wired: Wired,
) -> None:
    wired.request("tools/list")
    wired.answer(1, result={"tools": [{"name": "echo"}, {"name": "secret"}]})
    wired.client.next()
    wired.house.policy(hide=["secret", "echo"])
    wired.call("echo", request_id=2)
    assert "is hidden by policy" in text(wired.client.next())
    wired.call("secret", request_id=3)
    assert wired.client.next() == unknown("secret", 3)
    rows = wired.house.console.feed.page()
    assert [(row.effect, row.rule) for row in rows] == [("hide", "(hidden)")] * 2


def test_the_first_call_of_a_server_without_a_policy_meets_the_one_that_is_written_for_it(
    house: House,
) -> None:
    wired = Wired(house, lists=None)
    line = wired.call("get_time")
    listed(wired, "get_time")
    assert house.policy_file.exists()
    assert wired.server.lines[1:] == [line]
