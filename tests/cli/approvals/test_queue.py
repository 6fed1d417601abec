"""`pktui approvals`: the calls that wait, decided from a shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run
from pktui.ledger import NewApproval, args_hash, now_us
from tests.cli.approvals.conftest import ARGUMENTS, CALLER

if TYPE_CHECKING:
    from pktui.ledger import Approval, Ledger
    from pktui.settings import Paths


def status(ledger: Ledger, approval: Approval) -> str:
    found = ledger.approvals.get(approval.id)
    assert found is not None
    return found.status


def test_nothing_waits_before_the_first_use(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "list"]) == 0
    assert run(["approvals", "list", "--json"]) == 0
    shown = capsys.readouterr()
    assert "No call waits" in shown.err
    assert json.loads(shown.out) == []
    assert not paths.data_dir.exists()


def test_a_query_says_that_nothing_matches_and_looks_behind_the_newest(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "list", "machine:other"]) == 0
    assert capsys.readouterr() == ("", "No call matches.\n")
    ledger.catalogue.saw("wiki", [{"name": "edit"}])
    ledger.approvals.open(
        NewApproval(CALLER, "wiki", "edit", {}, args_hash({}), now_us() + 60_000_000)
    )
    assert run(["approvals", "list", "store_knowledge", "--all", "--limit", "1"]) == 0
    assert waiting.id in capsys.readouterr().out


def test_what_waits_is_listed_and_shown_with_hostile_text_visible(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "list"]) == 0
    assert run(["approvals", "show", waiting.id]) == 0
    shown = capsys.readouterr().out
    assert f"{waiting.id}  pending  claude-code  memory.store_knowledge" in shown
    assert '"content": "a\\u202eb"' in shown
    assert "Writes are asked for." in shown
    assert waiting.args_hash in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_json_carries_the_whole_approval(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "show", waiting.id, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads(found["arguments"]) == ARGUMENTS
    assert found.pop("risk")["category"] == "Write"
    assert run(["approvals", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [found]


@pytest.mark.parametrize("how", ["--yes", "--hash"])
def test_a_call_is_allowed_once(
    ledger: Ledger, waiting: Approval, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [how] if how == "--yes" else [how, waiting.args_hash[:12]]
    assert run(["approvals", "approve", waiting.id, *words]) == 0
    assert f"{waiting.id} allowed, once: memory.store_knowledge" in capsys.readouterr().out
    assert status(ledger, waiting) == "allowed"


def test_allowing_asks_and_decides_nothing_where_nobody_can_be_asked(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "approve", waiting.id]) == 1
    assert status(ledger, waiting) == "pending"
    assert "--yes" in capsys.readouterr().err


@pytest.mark.parametrize("shown", ["0123456789abcdef", "short"])
def test_another_hash_than_shown_allows_nothing(
    ledger: Ledger, waiting: Approval, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "approve", waiting.id, "--hash", shown]) == 1
    assert status(ledger, waiting) == "pending"
    assert f"do not have the hash {shown}" in capsys.readouterr().err


def test_a_call_is_denied_with_words(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "deny", waiting.id, "--words", "Ask Ada.", "--json"]) == 0
    decided = json.loads(capsys.readouterr().out)
    assert (decided["status"], decided["words"]) == ("denied", "Ask Ada.")
    assert decided["decided_by"] == "the command line"


def test_a_second_decision_is_refused(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "deny", waiting.id]) == 0
    assert run(["approvals", "approve", waiting.id]) == 1
    assert "already denied by the command line" in capsys.readouterr().err
    assert run(["approvals", "list", "--all"]) == 0
    assert "denied" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["show", "approve", "deny"])
def test_an_unknown_id_is_refused(
    ledger: Ledger, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", verb, "nope-10"]) == 1
    assert "there is no approval nope-10" in capsys.readouterr().err
