"""Lines that other gateways let through: the wire cases of PolicyLayer Intercept.

Each line meets a policy that denies `danger` and hides `secret`. What reaches the server and what
the client is told follows pktui's own rules; none of the holes is open here. They are tried on the
relay, one by one, and on a real gateway before a real server, with the policy as Intercept has it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.ledger.ledger import Ledger
from tests.gateway.wired import Wired
from tests.support.gateway import RunningGateway, plain_server

if TYPE_CHECKING:
    from pktui.settings import Paths
    from tests.gateway.conftest import House

INTERCEPT_POLICY = {
    "version": "1",
    "hide": ["secret"],
    "tools": {"danger": {"rules": [{"name": "nope", "action": "deny", "on_deny": "No danger"}]}},
}

GATEWAYS = re.compile('"ping"|"tools/list"')
"""What the test itself sends after each line, and what the gateway asks for itself."""

HEAD = '{"jsonrpc":"2.0","id":1,"method":"tools/call",'
DENIED = "denied"
UNKNOWN = "unknown"

CASES = {
    "denied-call": (HEAD + '"params":{"name":"danger","arguments":{"a":1}}}', DENIED),
    "denied-string-id": (
        '{"jsonrpc":"2.0","id":"abc","method":"tools/call","params":{"name":"danger"}}',
        DENIED,
    ),
    "denied-float-id": (
        '{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"danger"}}',
        -32600,
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
    "arguments-null": (HEAD + '"params":{"name":"danger","arguments":null}}', DENIED),
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
    elif expected == UNKNOWN:
        assert reply["result"]["content"][0]["text"] == "Unknown tool: secret"
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


def test_a_real_gateway_decides_or_refuses_every_line(paths: Paths, tmp_path: Path) -> None:
    """After each line a ping comes back through the server, so that all it caused has happened."""
    policy, received = tmp_path / "policy.json", tmp_path / "received"
    policy.write_text(json.dumps(INTERCEPT_POLICY))
    tools = json.dumps([{"name": name} for name in ("danger", "fine", "secret")])
    server = plain_server("--received", str(received), "--tools", tools)
    lines = {**{name: line for name, (line, _) in CASES.items()}, **PASSED, **DROPPED}
    replies: dict[str, list[Any]] = {}
    with RunningGateway("demo", "--policy", str(policy), "--", *server) as gateway:
        for name, line in lines.items():
            gateway.send(line.encode())
            replies[name] = _until_ping(gateway, f"after {name}")
        assert gateway.hang_up() == 0
    reached = [line for line in received.read_text().splitlines() if not GATEWAYS.search(line)]
    assert reached == list(PASSED.values())
    for name, (_, expected) in CASES.items():
        [reply] = replies[name]
        if name == "hidden-call":  # Intercept says that a tool is hidden; pktui's own rules do not
            assert "hidden by policy" in reply["result"]["content"][0]["text"]
        elif expected == DENIED:
            assert "[DENIED by pktui] No danger" in reply["result"]["content"][0]["text"]
        else:
            assert reply["error"]["code"] == expected
    assert all(replies[name] == [] for name in DROPPED)
    _check_record(Ledger.open(paths.ledger_file))


def _until_ping(gateway: RunningGateway, mark: str) -> list[Any]:
    """Return what comes until the answer to a ping."""
    gateway.request("ping", mark)
    found: list[Any] = []
    while (reply := gateway.reply())["id"] != mark:
        found.append(reply)
    return found


def _check_record(ledger: Ledger) -> None:
    rows = ledger.feed.page(limit=1000)
    effects = [row.effect for row in rows]
    denied = sum(expected == DENIED for _, expected in CASES.values())
    refused = len(CASES) - denied - 1 + len(DROPPED) - 1
    counts = [effects.count(effect) for effect in ("deny", "allow", "refused")]
    assert counts == [denied + 1, 1, refused]
    assert ledger.verify().ok
    ledger.close()
