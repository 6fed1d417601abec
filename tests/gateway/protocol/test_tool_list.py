"""Lists of tools: the hidden leave, everything else stays as it came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.protocol.tool_list import with_result
from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from tests.gateway.conftest import House

MODERN = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
LISTED = (
    b'{"jsonrpc":"2.0","id":1,"extra":1e2,"result":{"tools":[{"name":"echo","x":1.50,"\\u0064":0},'
    b'{"name":"secret"},{"name":"secret_too"}],"nextCursor":"c","ttlMs":5,"cacheScope":"public"}}'
)


@pytest.fixture
def wired(house: House) -> Wired:
    house.policy(hide=["secret*"])
    return Wired(house)


def test_hidden_tools_leave_and_every_other_byte_stays(wired: Wired) -> None:
    wired.request("tools/list")
    wired.relay.from_server(LISTED)
    assert wired.client.lines == [
        (
            b'{"jsonrpc":"2.0","id":1,"extra":1e2,"result":{"tools":'
            b'[{"name":"echo","x":1.50,"\\u0064":0}],"nextCursor":"c","ttlMs":5,"cacheScope":"public"}}'
        )
    ]


def test_a_shortened_list_of_the_modern_era_is_private_and_stale_at_once(wired: Wired) -> None:
    wired.request("tools/list", MODERN)
    wired.relay.from_server(LISTED)
    result = wired.client.next()["result"]
    assert (result["ttlMs"], result["cacheScope"], len(result["tools"])) == (0, "private", 1)


def test_a_list_with_nothing_to_hide_is_the_very_same_bytes(wired: Wired) -> None:
    wired.house.policy()
    wired.request("tools/list", MODERN)
    wired.relay.from_server(LISTED)
    assert wired.client.lines == [LISTED]


def test_a_list_is_found_when_the_server_writes_the_id_otherwise(wired: Wired) -> None:
    wired.request("tools/list", request_id="1")
    wired.relay.from_server(LISTED)
    assert len(wired.client.next()["result"]["tools"]) == 1


@pytest.mark.parametrize("tools", [b'"tools"', b'"\\u0074ools"'])
@pytest.mark.parametrize("request_id", [b'"77"', b"null"])
def test_a_list_that_nobody_asked_for_is_shortened_too(
    wired: Wired, request_id: bytes, tools: bytes
) -> None:
    line = LISTED.replace(b'"id":1', b'"id":' + request_id).replace(b'"tools"', tools)
    wired.relay.from_server(line)
    assert len(wired.client.next()["result"]["tools"]) == 1
    assert len(wired.house.console.catalogue.tools("demo")) == 3


@pytest.mark.parametrize("method", ["7", "null", '"x"', "{}"])
def test_a_list_does_not_get_past_as_a_question(wired: Wired, method: str) -> None:
    wired.request("tools/list")
    wired.relay.from_server(LISTED.replace(b'"extra":1e2', b'"method":' + method.encode()))
    reply = wired.client.next()
    assert "secret" not in json.dumps(reply)
    assert reply["id"] == 1


def test_a_list_whose_result_differs_in_case_is_kept_back(wired: Wired) -> None:
    wired.request("tools/list")
    wired.relay.from_server(LISTED.replace(b'"result"', b'"Result"'))
    assert wired.client.next()["error"]["message"].endswith(
        "differs in case only from one that counts"
    )


def test_a_list_is_no_line_of_its_own_inside_another_message(wired: Wired) -> None:
    inner = LISTED.replace(b'"id":1', b'"id":2')
    around = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":\r'
    wired.relay.from_server(around + inner + b"\r}}\r")
    [line] = wired.client.lines
    assert line.rstrip().count(b"\r") == 0
    assert json.loads(line) == json.loads(around + inner + b"}}")


def test_a_list_inside_a_batch_is_shortened_too(wired: Wired) -> None:
    wired.relay.from_server(b'[{"jsonrpc":"2.0","method":"x"},' + LISTED + b",7]")
    assert wired.client.next()["method"] == "x"
    assert len(wired.client.next()["result"]["tools"]) == 1


def test_the_result_of_a_call_is_no_list(wired: Wired) -> None:
    wired.call("echo")
    wired.relay.from_server(LISTED)
    assert wired.client.lines == [LISTED]


def test_what_is_no_tool_in_a_list_stays(wired: Wired) -> None:
    wired.request("tools/list")
    line = wired.answer(1, result={"tools": [7, {"name": 3}, {"name": "echo"}]})
    assert wired.client.lines == [line]


def test_the_tools_are_in_the_catalogue_hidden_ones_too(wired: Wired) -> None:
    wired.request("tools/list")
    wired.relay.from_server(LISTED)
    names = [tool.name for tool in wired.house.console.catalogue.tools("demo")]
    assert names == ["echo", "secret", "secret_too"]
    definition = wired.house.console.catalogue.tools("demo")[0].definition
    assert json.loads(definition)["x"] == 1.5


def test_the_same_result_is_taken_out_of_another_line_unread() -> None:
    result = b'{"tools":[{"name":"a"}]}'
    line = b'{"jsonrpc":"2.0","id":7,"result":' + result + b"}"
    assert with_result(line, result, None) == line
    assert json.loads(with_result(line, result, b'{"tools":[]}') or b"") == {
        "jsonrpc": "2.0", "id": 7, "result": {"tools": []},
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":1,"result":%s,"result":%s}',
        b'{"id":1,"x":%s,"result":%s}',
        b'{"id":1,"Result":1,"result":%s}',
        b'{"id":1,"id":1,"result":%s}',
        b'[{"id":1,"result":%s}]',
    ],
)
def test_a_line_that_is_in_doubt_around_its_result_is_read_whole(line: bytes) -> None:
    result = b'{"tools":[{"name":"a"}]}'
    assert with_result(line.replace(b"%s", result), result, None) is None


def relisted(wired: Wired, number: int, line: bytes = LISTED) -> Any:
    wired.request("tools/list", request_id=number)
    wired.relay.from_server(line.replace(b'"id":1', b'"id":%d' % number))
    return json.loads(wired.client.lines[-1])


def test_a_list_that_comes_again_is_not_read_again(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = relisted(wired, 5)
    monkeypatch.setattr("pktui.gateway.relay.responses.read_listing", None)
    again = relisted(wired, 6)
    assert again == {**first, "id": 6}
    assert [tool["name"] for tool in again["result"]["tools"]] == ["echo"]


def test_a_list_that_comes_again_is_judged_by_what_is_in_force(wired: Wired, house: House) -> None:
    relisted(wired, 5)
    house.policy(hide=["echo"])
    names = [tool["name"] for tool in relisted(wired, 6)["result"]["tools"]]
    assert names == ["secret", "secret_too"]
    house.console.presence.announce("console")
    wired.relay.from_client(b"")
    assert [tool["name"] for tool in relisted(wired, 7)["result"]["tools"]] == names
    house.policy()
    assert len(relisted(wired, 8)["result"]["tools"]) == 3


def test_a_definition_that_changed_in_one_byte_is_seen(wired: Wired, house: House) -> None:
    relisted(wired, 5)
    relisted(wired, 6, LISTED.replace(b"1.50", b"1.51"))
    changed = house.console.catalogue.tool("demo", "echo")
    assert changed is not None
    assert changed.changed
