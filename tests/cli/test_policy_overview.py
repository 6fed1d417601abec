"""Policies over all servers, pages merged into them, and presets tried on what was recorded."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import run
from pktui.files import make_private_directory
from pktui.ledger import Caller, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths

CLAUDE = Caller("claude-code", "", "s1", "/home/ada/shop")


@pytest.fixture
def ledger(paths: Paths) -> Iterator[Ledger]:
    for directory in (paths.data_dir, paths.policies_dir):
        make_private_directory(directory)
    policy = {"version": "1", "default": "deny", "tools": {"read": {}}}
    paths.policy_file("files").write_text(json.dumps(policy))
    opened = Ledger.open(paths.ledger_file)
    opened.catalogue.saw("files", [{"name": "read"}, {"name": "drop"}])
    for number in range(3):
        opened.events.append(
            "decision", caller=CLAUDE, call_id=f"c{number}", server="files", tool="read",
            effect="allow",
        )  # fmt: skip
    yield opened
    opened.close()


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    assert run(argv) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("ledger")
def test_every_tool_of_every_server_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "policy", "show", "*")
    assert "files.read" in shown
    assert "memory.search_knowledge" in shown
    tools = {(one["server"], one["tool"]): one for one in json.loads(
        printed(capsys, "policy", "show", "*", "--json"))}  # fmt: skip
    assert tools["files", "read"]["calls_day"] == 3
    assert tools["files", "drop"]["action"] == "deny"
    only = json.loads(printed(capsys, "policy", "show", "*", "drop", "--json"))
    assert [one["tool"] for one in only] == ["drop"]


def test_without_a_ledger_the_memorys_tools_are_shown_and_none_is_made(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "memory.search_knowledge" in printed(capsys, "policy", "show", "*")
    assert not paths.data_dir.exists()


@pytest.mark.usefixtures("ledger")
def test_a_page_is_merged_from_standard_input(
    paths: Paths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = io.TextIOWrapper(io.BytesIO(b'{"drop": {"action": "deny", "reason": "Never."}}'))
    monkeypatch.setattr("sys.stdin", page)
    shown = printed(capsys, "policy", "merge", "files", "-")
    assert '"drop"' in shown
    tools = json.loads(paths.policy_file("files").read_bytes())["tools"]
    assert tools == {"read": {}, "drop": {"action": "deny", "reason": "Never."}}
    assert run(["policy", "undo", "files"]) == 0
    assert run(["policy", "merge", "files", "/nowhere/page.json"]) == 1
    assert run(["policy", "merge", "files", "/dev/zero"]) == 1
    assert "is larger than" in capsys.readouterr().err


@pytest.mark.usefixtures("ledger")
def test_presets_are_tried_on_what_was_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    tried = json.loads(printed(capsys, "policy", "replay", "files", "--presets", "--json"))
    assert {one["name"]: one["figures"]["run"] for one in tried} == {
        "observe": 3,
        "read-only": 0,
        "balanced": 0,
        "strict": 0,
    }
    assert "observe" in printed(capsys, "policy", "replay", "files", "--presets")
    assert run(["policy", "replay", "files", "--presets", "--audit"]) == 2
