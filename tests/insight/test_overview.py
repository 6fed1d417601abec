from __future__ import annotations

import json
import os
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from pktui.insight import overview
from pktui.insight.overview import ALL, PolicyOverview
from pktui.policy.document import policy as documents
from pktui.policy.selection import Selection
from pktui.settings import Settings
from tests.ledger.conftest import CLAUDE, MINUTE, Limit
from tests.support.charging import take
from tests.support.managing import manage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pktui.insight.overview import Page
    from pktui.ledger import Ledger
    from pktui.settings import Paths
    from tests.ledger.conftest import Clock

SERVERS = [f"server{number}" for number in range(10)]
BUILTIN = ({"name": "search_knowledge", "description": "Finds entries."},)


def rule(number: int) -> dict[str, Any]:
    limit = {"counter": f"tool{number}", "window": "minute", "max": 1000, "scope": "grant"}
    return {"limits": [limit]}


def write(paths: Paths, server: str, **tools: Any) -> None:
    document = {"version": "1", "default": "approve", "tools": tools}
    paths.policy_file(server).write_text(json.dumps(document))


def called(ledger: Ledger, server: str, tool: str, call_id: str = "c1") -> None:
    ledger.events.append(
        "decision", caller=CLAUDE, call_id=call_id, server=server, tool=tool, effect="allow"
    )


@contextmanager
def statements(ledger: Ledger) -> Iterator[list[str]]:
    """Collect every statement that SQLite runs on the ledger's connections."""
    seen: list[str] = []
    rollup = ledger.rollup._open()
    connections = (ledger._database._connection, ledger.index.database()._connection, rollup)
    for connection in connections:
        connection.set_trace_callback(seen.append)
    yield seen
    for connection in connections:
        connection.set_trace_callback(None)


@pytest.fixture
def reader(paths: Paths, ledger: Ledger, clock: Clock) -> PolicyOverview:
    return PolicyOverview(paths, Settings(), ledger, clock, lambda: BUILTIN)


def page_of(reader: PolicyOverview, server: str) -> Page:
    page = reader.shown(server).page
    assert page is not None
    return page


@pytest.fixture
def busy(paths: Paths, ledger: Ledger) -> None:
    """Ten servers with four limited tools each, which 200 callers have used."""
    for server in SERVERS:
        write(paths, server, **{f"tool{number}": rule(number) for number in range(4)})
        ledger.catalogue.saw(server, [{"name": f"tool{number}"} for number in range(4)])
        with ledger.transaction():
            for caller in range(200):
                charges = [
                    Limit(
                        Decimal(1000), counter=f"tool{n}", holder=f"grant:{caller}", server=server
                    )
                    for n in range(4)
                ]
                take(ledger, charges, f"{server}-{caller}")


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("server", ["server3", ALL])
def test_a_look_takes_five_statements_and_parses_nothing_that_did_not_change(
    reader: PolicyOverview, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    first = reader.shown(server)
    parsed: list[bytes] = []
    for module in (overview, documents):
        monkeypatch.setattr(module, "parse_policy", lambda raw, _path: parsed.append(raw))
    monkeypatch.setattr("pktui.policy.live.parse_policy", lambda raw, _path: parsed.append(raw))
    take(ledger, [Limit(counter="tool0", holder="grant:0", server="server3")], "more")
    with statements(ledger) as seen:
        again = reader.shown(server)
    assert len(seen) <= 5
    assert parsed == []
    assert again.servers == first.servers
    assert again.page != first.page


@pytest.mark.usefixtures("busy")
def test_what_is_left_is_what_the_client_that_used_most_has_left(
    reader: PolicyOverview, ledger: Ledger
) -> None:
    for number in range(3):
        charge = Limit(Decimal(1000), counter="tool1", holder="grant:7", server="server3")
        take(ledger, [charge], f"more{number}")
    tools = {tool.name: tool for tool in page_of(reader, "server3").tools}
    assert tools["tool1"].limits[0].shown == "996/1000 left"
    assert tools["tool2"].limits[0].shown == "999/1000 left"


def test_a_counter_of_another_scope_or_window_is_not_taken_for_the_limits(
    paths: Paths, reader: PolicyOverview, ledger: Ledger
) -> None:
    write(paths, "files", tool1=rule(1))
    for other in (Limit(counter="tool1", holder="session:s1"), Limit(window_us=2 * MINUTE)):
        take(ledger, [other], "c1")
    assert page_of(reader, "files").tools[0].limits[0].left == 1000


def test_an_edit_counts_at_the_next_look(paths: Paths, reader: PolicyOverview) -> None:
    write(paths, "files", read={})
    assert page_of(reader, "files").tools[0].action == "allow"
    write(paths, "files", read={"action": "deny"})
    assert page_of(reader, "files").tools[0].action == "deny"
    paths.policy_file("files").write_text("{")
    broken = page_of(reader, "files")
    assert (broken.origin, broken.tools) == ("broken", ())
    assert broken.problems
    paths.policy_file("files").unlink()
    assert [server.name for server in reader.shown("files").servers] == ["memory"]


def test_a_broken_policy_harms_no_other(paths: Paths, reader: PolicyOverview) -> None:
    write(paths, "files", read={})
    paths.policy_file("broken").write_text("{")
    os.mkfifo(paths.policies_dir / "odd.txt")
    shown = reader.shown(ALL)
    assert [(one.name, one.origin) for one in shown.servers] == [
        ("memory", "shipped"),
        ("broken", "broken"),
        ("files", "file"),
    ]
    assert shown.page is not None
    assert ("files", "read") in {(tool.server, tool.name) for tool in shown.page.tools}


def test_a_changed_definition_is_asked_about_and_counted(
    paths: Paths, reader: PolicyOverview, ledger: Ledger
) -> None:
    write(paths, "files", read={})
    ledger.catalogue.saw("files", [{"name": "read", "description": "Reads."}])
    assert page_of(reader, "files").tools[0].action == "allow"
    ledger.catalogue.saw("files", [{"name": "read", "description": "Reads all."}])
    shown = reader.shown("files")
    assert shown.page is not None
    tool = shown.page.tools[0]
    assert (tool.action, tool.ruled, tool.mark) == ("approve", "allow", "changed")
    assert shown.servers[1].changed == 1
    ledger.catalogue.accept("files", "read")
    assert page_of(reader, "files").tools[0].action == "allow"


def test_calls_of_the_last_day_and_the_last_call_are_told(
    paths: Paths, reader: PolicyOverview, ledger: Ledger, clock: Clock
) -> None:
    write(paths, "files", read={}, write={})
    called(ledger, "files", "read", "c1")
    first_us = clock.now
    clock.forward(30 * 3600)
    called(ledger, "files", "write", "c2")
    called(ledger, "files", "write", "c3")
    tools = {tool.name: (tool.calls, tool.last_us) for tool in page_of(reader, "files").tools}
    assert tools == {"read": (0, first_us), "write": (2, clock.now)}


def test_a_definition_is_told_in_tokens(reader: PolicyOverview, ledger: Ledger) -> None:
    ledger.catalogue.saw("files", [{"name": "read", "description": "x" * 4000}])
    assert 1000 < page_of(reader, "files").tools[0].tokens < 1020
    assert page_of(reader, "memory").tools[0].tokens > 0


def test_a_tool_that_the_entry_leaves_out_is_hidden_and_keeps_its_rule(
    paths: Paths, ledger: Ledger, clock: Clock, managed: Path
) -> None:
    ledger.catalogue.saw("files", [{"name": "read"}, {"name": "write"}])
    write(paths, "files", write={}, read={})
    entry = Selection(without=frozenset({"write"}))
    reader = PolicyOverview(paths, Settings(), ledger, clock, tuple, selects=lambda _server: entry)

    def found() -> dict[str, tuple[str | None, str | None]]:
        return {one.name: (one.action, one.ruled) for one in page_of(reader, "files").tools}

    assert found() == {"read": ("allow", "allow"), "write": ("hide", "allow")}
    [because] = [one.because for one in page_of(reader, "files").tools if one.name == "write"]
    assert "servers.json, which leaves it out" in because
    entry = Selection(only=frozenset({"write"}))
    assert found() == {"read": ("hide", "allow"), "write": ("allow", "allow")}
    manage(managed, "files", tools={"*": {"action": "approve"}})
    assert found() == {"read": ("hide", "allow"), "write": ("approve", "allow")}


def test_a_second_name_shows_what_is_managed_for_what_it_starts(
    paths: Paths, ledger: Ledger, clock: Clock, managed: Path
) -> None:
    manage(managed, "npm_notes", tools={"write": {"action": "deny"}})
    write(paths, "mine", write={})

    def shown(starts: Callable[[str], str]) -> Page:
        reader = PolicyOverview(paths, Settings(), ledger, clock, tuple, starts)
        page = reader.shown("mine").page
        assert page is not None
        return page

    [tool] = shown(lambda _server: "").tools
    assert (tool.action, tool.layer, tool.ceiling) == ("allow", "", None)
    [tool] = shown(lambda server: "npm_notes" if server == "mine" else "").tools
    assert (tool.action, tool.ruled, tool.layer) == ("deny", "allow", "npm_notes.json")
