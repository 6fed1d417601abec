"""Looks through real gateways: at commands, URLs and the memory, over stdio and HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import run
from pktui.ledger.ledger import Ledger
from tests.gateway.http.served import INITIALIZE, Served, served, write_policy, write_servers
from tests.support.gateway import RunningGateway

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.settings import Paths

SERVER = str(Path(__file__).parents[1] / "support" / "entry_server.py")
LOOK = {"tool": "get_entry", "args": {"id": "args.id"}}
TOOLS = {"set_entry": {"action": "approve", "look": LOOK}, "get_entry": {}}
CHANGE = {"id": 7, "text": "mine"}

Call = Callable[[int], str]
"""Calls the tool that asks, with that request id; returns the text of its answer."""


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    file = tmp_path / "entry"
    file.write_text("old")
    return file


@contextmanager
def over_http(entry: Path) -> Iterator[str]:
    command = [sys.executable, SERVER, str(entry), "--http"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
        finally:
            process.kill()


def said(reply: Any) -> str:
    return str(reply["result"]["content"][0]["text"])


def allow(ledger: Ledger) -> Approval:
    """Allow what waits as it was shown; return it."""
    [asked] = ledger.approvals.pending()
    ledger.approvals.decide(asked.id, True, by="console", args_hash=asked.args_hash)
    return asked


def check(ledger: Ledger, entry: Path, call: Call) -> None:
    """Ask, allow, change the thing under the call, and see that a person is asked anew."""
    assert "WAITING" in call(1)
    first = allow(ledger)
    assert first.looked is not None
    assert (first.looked.shown, first.looked.why) == ("entry 7: old", "")
    entry.write_text("theirs")
    told = call(2)
    assert f"What get_entry shows has changed since {first.id} was allowed." in told
    assert entry.read_text() == "theirs"
    second = allow(ledger)
    assert second.looked is not None
    assert (second.looked.before, second.looked.shown) == ("entry 7: old", "entry 7: theirs")
    assert call(3) == "replaced 7"
    assert entry.read_text() == "mine"
    looks = [row for row in ledger.feed.page() if row.tool == "get_entry"]
    assert [row.outcome for row in looks] == ["ok"] * 3
    assert ledger.verify().ok


def in_process(gateway: RunningGateway) -> Call:
    gateway.ask("initialize", 0, **INITIALIZE)
    gateway.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    def call(number: int) -> str:
        return said(gateway.ask("tools/call", number, name="set_entry", arguments=CHANGE))

    gateway.ask("tools/list", 99)
    return call


def test_over_stdio_before_a_command(paths: Paths, entry: Path) -> None:
    write_policy(paths, "entries", tools=TOOLS)
    with RunningGateway("entries", "--", sys.executable, SERVER, str(entry)) as gateway:
        check(Ledger.open(paths.ledger_file), entry, in_process(gateway))


def test_over_stdio_before_a_url(paths: Paths, entry: Path) -> None:
    write_policy(paths, "entries", tools=TOOLS)
    with over_http(entry) as url, RunningGateway("entries", "--url", url) as gateway:
        check(Ledger.open(paths.ledger_file), entry, in_process(gateway))


def in_session(gateway: Served) -> Call:
    session = gateway.begin("entries")
    gateway.ask("entries", session, "tools/list", 99)
    change = {"name": "set_entry", "arguments": CHANGE}
    return lambda number: said(gateway.ask("entries", session, "tools/call", number, **change))


def without_session(gateway: Served) -> Call:
    gateway.modern("entries", "tools/list", 99)
    change = {"name": "set_entry", "arguments": CHANGE}
    return lambda number: said(gateway.modern("entries", "tools/call", number, **change))


@pytest.mark.parametrize("era", [in_session, without_session])
def test_over_http_before_a_command(
    paths: Paths, entry: Path, era: Callable[[Served], Call]
) -> None:
    write_servers(paths, entries={"command": sys.executable, "args": [SERVER, str(entry)]})
    write_policy(paths, "entries", tools=TOOLS)
    with served(paths) as gateway:
        check(gateway.ledger, entry, era(gateway))


@pytest.mark.parametrize("era", [in_session, without_session])
def test_over_http_before_a_url(paths: Paths, entry: Path, era: Callable[[Served], Call]) -> None:
    with over_http(entry) as url:
        write_servers(paths, entries={"url": url})
        write_policy(paths, "entries", tools=TOOLS)
        with served(paths) as gateway:
            check(gateway.ledger, entry, era(gateway))


def test_a_held_call_is_looked_at_again_over_http(paths: Paths, entry: Path) -> None:
    write_servers(paths, entries={"command": sys.executable, "args": [SERVER, str(entry)]})
    write_policy(paths, "entries", tools=TOOLS)
    with served(paths) as gateway:
        call = in_session(gateway)
        gateway.attend()
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor() as pool:
            reply = pool.submit(call, 1)
            gateway.decide(allow=True)
            assert reply.result(60) == "replaced 7"
    assert entry.read_text() == "mine"


@pytest.mark.usefixtures("memory")
def test_before_the_built_in_memory(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    look = {"tool": "get_knowledge", "args": {"id": "args.id"}}
    asks = {"action": "approve", "look": look}
    write_policy(paths, "memory", tools={"update_knowledge": asks})
    ledger = Ledger.open(paths.ledger_file)
    with RunningGateway("memory") as gateway:
        gateway.ask("initialize", 0, **INITIALIZE)
        kept = {"title": "Deploy", "content": "by hand"}
        made = gateway.ask("tools/call", 1, name="store_knowledge", arguments=kept)
        number = made["result"]["structuredContent"]["id"]
        change = {"id": number, "content": "by a script"}
        reply = gateway.ask("tools/call", 2, name="update_knowledge", arguments=change)
        assert "WAITING" in said(reply)
        asked = allow(ledger)
        assert asked.looked is not None
        assert "by hand" in asked.looked.shown
        reply = gateway.ask("tools/call", 3, name="update_knowledge", arguments=change)
        assert not reply["result"].get("isError"), said(reply)
    assert run(("approvals", "show", asked.id)) == 0
    shown = capsys.readouterr().out
    assert "get_knowledge" in shown
    assert "by hand" in shown
    assert run(("approvals", "show", asked.id, "--json")) == 0
    assert "by hand" in json.loads(capsys.readouterr().out)["look"]["shown"]
