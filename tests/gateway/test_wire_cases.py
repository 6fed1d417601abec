"""Lines that other gateways let through: the wire cases of PolicyLayer Intercept.

Each line meets a policy that denies `danger` and hides `secret`. What reaches the server and what
the client is told follows pktui's own rules; none of the holes is open here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from tests.gateway.conftest import House

HEAD = '{"jsonrpc":"2.0","id":1,"method":"tools/call",'
DENIED = "denied"
UNKNOWN = -32602

CASES = {
    "denied-call": (HEAD + '"params":{"name":"danger","arguments":{"a":1}}}', DENIED),
    "denied-string-id": (
        '{"jsonrpc":"2.0","id":"abc","method":"tools/call","params":{"name":"danger"}}',
        DENIED,
    ),
    "denied-float-id": (
        '{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"danger"}}',
        DENIED,
    ),
    "extra-whitespace": (
        '  {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "danger"}}  ',
        DENIED,
    ),
    "hidden-call": (HEAD + '"params":{"name":"secret"}}', UNKNOWN),
    "denied-null-id": (
        '{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"danger"}}',
        -32600,
    ),
    "arguments-null": (HEAD + '"params":{"name":"danger","arguments":null}}', -32602),
    "no-jsonrpc-member": ('{"id":1,"method":"tools/call","params":{"name":"danger"}}', -32600),
    "upper-case-members": (
        '{"jsonrpc":"2.0","id":1,"METHOD":"tools/call","PARAMS":{"NAME":"danger"}}',
        -32600,
    ),
    "bypass-batch": (
        '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"danger"}}]',
        -32600,
    ),
    "bypass-arguments-list": (HEAD + '"params":{"name":"danger","arguments":[1]}}', -32602),
    "bypass-arguments-string": (HEAD + '"params":{"name":"danger","arguments":"x"}}', -32602),
    "bypass-params-list": (HEAD + '"params":["danger"]}', -32602),
    "bypass-params-missing": (HEAD[:-1] + "}", -32602),
    "bypass-number-overflow": (
        HEAD + '"params":{"name":"danger","arguments":{"x":1e400}}}',
        -32700,
    ),
    "bypass-duplicate-method": (HEAD + '"Method":"x","params":{"name":"danger"}}', -32600),
    "bypass-duplicate-name": (HEAD + '"params":{"name":"danger","Name":"fine"}}', -32600),
    "name-not-a-string": (HEAD + '"params":{"name":7}}', -32602),
    "name-missing": (HEAD + '"params":{"arguments":{}}}', -32602),
    "not-json": ("hello", -32700),
}
PASSED = {
    "other-method": '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}',
    "allowed-call": HEAD + '"params":{"name":"fine","arguments":{"a":1}}}',
    "method-with-space": (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"danger"}}'
    ),
}
DROPPED = {
    "denied-notification": '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"danger"}}',
    "empty-line": "",
}


@pytest.fixture
def wired(house: House) -> Wired:
    house.policy(hide=["secret"], tools={"danger": {"action": "deny", "reason": "No danger"}})
    return Wired(house)


@pytest.mark.parametrize("name", CASES)
def test_the_line_is_answered_here_and_never_reaches_the_server(wired: Wired, name: str) -> None:
    line, expected = CASES[name]
    wired.relay.from_client(line.encode())
    assert wired.server.lines == []
    reply = wired.client.next()
    if expected == DENIED:
        assert "No danger" in reply["result"]["content"][0]["text"]
        written = line.split('"id":')[1].split(",")[0].strip()
        assert f'"id":{written},'.encode() in wired.client.lines[0]
    else:
        assert reply["error"]["code"] == expected


@pytest.mark.parametrize("name", PASSED)
def test_the_line_passes_as_it_is(wired: Wired, name: str) -> None:
    wired.relay.from_client(PASSED[name].encode())
    assert wired.server.lines == [PASSED[name].encode()]


@pytest.mark.parametrize("name", DROPPED)
def test_the_line_is_dropped_without_an_answer(wired: Wired, name: str) -> None:
    wired.relay.from_client(DROPPED[name].encode())
    assert wired.client.lines + wired.server.lines == []
