"""`--group`: all that waits of one agent and tool, denied, or allowed where it only reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run
from pktui.ledger import Approval, Caller, Ledger, NewApproval, args_hash, now_us
from tests.support.tampering import tamper

if TYPE_CHECKING:
    from pktui.settings import Paths

READS = {"name": "get_entry", "description": "Get an entry."}
WRITES = {"name": "set_entry", "description": "Replace an entry."}
ADA = Caller("claude-code", "", "s1", "/home/ada/shop")


def ask(ledger: Ledger, tool: str, number: int, caller: Caller = ADA) -> Approval:
    given = {"id": number}
    return ledger.approvals.open(
        NewApproval(caller, "files", tool, given, args_hash(given), now_us() + 600_000_000)
    )


def statuses(ledger: Ledger, asked: list[Approval]) -> list[str]:
    found = [ledger.approvals.get(one.id) for one in asked]
    return [one.status for one in found if one is not None]


@pytest.fixture
def asked(ledger: Ledger) -> list[Approval]:
    ledger.catalogue.saw("files", [READS, WRITES], first=True)
    return [ask(ledger, "set_entry", number) for number in range(3)]


def test_all_of_an_agent_and_a_tool_are_denied_with_words(
    ledger: Ledger, asked: list[Approval], capsys: pytest.CaptureFixture[str]
) -> None:
    others = [ask(ledger, "get_entry", 1), ask(ledger, "set_entry", 1, Caller("codex"))]
    assert run(["approvals", "deny", asked[1].id, "--group", "--words", "Stop."]) == 0
    assert statuses(ledger, asked) == ["denied"] * 3
    assert statuses(ledger, others) == ["pending"] * 2
    assert capsys.readouterr().out.count("denied: files.set_entry for claude-code") == 3
    last = ledger.approvals.get(asked[2].id)
    assert last is not None
    assert last.words == "Stop."


def test_what_changes_something_is_not_allowed_together(
    ledger: Ledger, asked: list[Approval], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "approve", asked[0].id, "--group", "--yes"]) == 1
    assert statuses(ledger, asked) == ["pending"] * 3
    assert "not known to read only" in capsys.readouterr().err


@pytest.mark.usefixtures("asked")
def test_what_reads_is_allowed_together(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    reads = [ask(ledger, "get_entry", number) for number in range(3)]
    assert run(["approvals", "approve", reads[0].id, "--group"]) == 1
    assert statuses(ledger, reads) == ["pending"] * 3
    assert run(["approvals", "approve", reads[0].id, "--group", "--for", "5m", "--yes"]) == 2
    capsys.readouterr()
    assert run(["approvals", "approve", reads[0].id, "--group", "--yes", "--json"]) == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == [one.id for one in reads]
    assert statuses(ledger, reads) == ["allowed"] * 3


def test_one_that_is_not_what_was_shown_is_left_and_said(
    ledger: Ledger, asked: list[Approval], paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = "UPDATE approvals SET args_hash = ? WHERE id = ?"
    tamper(paths.ledger_file, changed, "0" * 64, asked[1].id)
    assert run(["approvals", "deny", asked[0].id, "--group"]) == 1
    assert statuses(ledger, asked) == ["denied", "pending", "denied"]
    assert f"{asked[1].id} is left as it was" in capsys.readouterr().err
