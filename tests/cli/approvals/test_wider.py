"""Wider answers from a shell: for a time, for a connection, as a rule."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run
from pktui.ledger import now_us
from pktui.policy.document.policy import load_policy
from tests.cli.approvals.conftest import ask

if TYPE_CHECKING:
    from pktui.ledger import Approval, Ledger
    from pktui.settings import Paths


def test_a_tool_is_allowed_for_a_time(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "approve", waiting.id, "--for", "30m", "--yes"]) == 0
    [made] = ledger.standing.live()
    assert abs(made.expires_us - now_us() - 30 * 60_000_000) < 60_000_000
    assert (made.session, made.args_hash, made.made_by) == ("", "", "the command line")
    assert f"standing as {made.id}" in capsys.readouterr().out
    assert run(["approvals", "standing", "list"]) == 0
    listed = capsys.readouterr().out
    assert made.id in listed
    assert "memory.store_knowledge" in listed


def test_a_tool_is_allowed_until_its_client_disconnects_for_exact_arguments(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--until-disconnect", "--exact", "--hash", waiting.args_hash[:12], "--json"]
    assert run(["approvals", "approve", waiting.id, *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["approval"]["status"] == "allowed"
    [made] = ledger.standing.live()
    assert told["standing"]["id"] == made.id
    assert (made.session, made.args_hash) == ("s1", waiting.args_hash)


def test_a_tool_is_allowed_where_conditions_hold(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--if", 'args.title contains "Shop"', "--if", "args.n gt 10"]
    assert run(["approvals", "approve", waiting.id, "--for", "30m", *words, "--yes"]) == 0
    [made] = ledger.standing.live()
    assert json.loads(made.conditions) == [
        {"path": "args.title", "op": "contains", "value": "Shop"},
        {"path": "args.n", "op": "gt", "value": 10},
    ]
    capsys.readouterr()
    assert run(["approvals", "standing", "list"]) == 0
    listed = capsys.readouterr().out
    assert 'where args.title contains "Shop" and args.n is over 10' in listed
    assert ledger.verify().ok


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("args.n gt", "Write PATH OP VALUE"),
        ("args.n like 5", "OP is one of"),
        ("n gt 5", "path"),
        ("args.n gt many", "number"),
        ("args.n lt 5", "itself is none of the calls where args.n is under 5"),
    ],
)
def test_a_condition_that_makes_no_sense_decides_nothing(
    ledger: Ledger, waiting: Approval, condition: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--for", "30m", "--if", condition, "--yes"]
    assert run(["approvals", "approve", waiting.id, *words]) != 0
    assert why in capsys.readouterr().err
    assert ledger.approvals.pending() == (waiting,)


def test_a_rule_is_shown_written_and_can_be_taken_back(
    ledger: Ledger, waiting: Approval, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "approve", waiting.id, "--always", "--yes"]) == 0
    file = paths.policy_file("memory")
    assert load_policy(file).rule_for("store_knowledge").action == "allow"
    assert str(file) in capsys.readouterr().err
    [event] = [event for event in ledger.events.tail() if event.kind == "policy"]
    assert (event.tool, event.approval_id) == ("store_knowledge", waiting.id)
    assert run(["policy", "undo", "memory"]) == 0
    assert load_policy(file).rule_for("store_knowledge").action == "approve"


def test_a_rule_may_be_for_some_calls_only(
    ledger: Ledger, waiting: Approval, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = json.loads(waiting.arguments)["title"]
    said: list[str] = []
    monkeypatch.setattr("pktui.cli.output.line", said.append)
    monkeypatch.setattr("pktui.cli.output.confirm", lambda _question, *, yes: yes)
    words = ["--always", "--if", f"args.title eq {json.dumps(title)}"]
    assert run(["approvals", "approve", waiting.id, *words]) == 0
    rule = json.loads(paths.policy_file("memory").read_bytes())["tools"]["store_knowledge"]
    assert rule["action"] == "approve"
    condition = {"path": "args.title", "op": "eq", "value": title}
    assert rule["allow_if"] == [{"conditions": [condition]}]
    assert any("Would have answered" in one for one in said)
    assert ledger.approvals.pending() == ()


def test_a_rule_that_would_not_help_decides_nothing(
    ledger: Ledger, waiting: Approval, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    file = paths.policy_file("memory")
    file.parent.mkdir(parents=True)
    condition = {"conditions": [{"path": "args.title", "op": "exists", "value": True}]}
    rule = {"action": "approve", "approve_if": [condition]}
    file.write_text(
        json.dumps({"version": "1", "default": "deny", "tools": {"store_knowledge": rule}})
    )
    before = file.read_bytes()
    assert run(["approvals", "approve", waiting.id, "--always", "--yes"]) == 1
    assert "approve_if" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert ledger.approvals.pending() == (waiting,)


@pytest.mark.parametrize("words", [["--for", "30m"], ["--until-disconnect"], ["--always"]])
def test_a_tool_that_destroys_is_allowed_call_by_call(
    ledger: Ledger, waiting: Approval, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    grave = ask(ledger, once=True)
    for sure in (["--yes"], []):
        assert run(["approvals", "approve", grave.id, *words, *sure]) == 1
        out, err = capsys.readouterr()
        assert "each call of it is asked about" in err
        assert not out
    assert ledger.standing.live() == ()
    assert grave in ledger.approvals.pending()


@pytest.mark.parametrize(
    "words",
    [
        ["--for", "30m", "--always"],
        ["--for", "30m", "--until-disconnect"],
        ["--exact"],
        ["--if", "args.n gt 5"],
        ["--for", "30m", "--exact", "--if", "args.n gt 5"],
        ["--always", "--exact"],
        ["--for", "soon"],
        ["--for", "0m"],
        ["--for", "8d"],
        ["--for", "1999-01-01"],
    ],
)
def test_answers_that_make_no_sense_are_refused(
    ledger: Ledger, waiting: Approval, words: list[str]
) -> None:
    assert run(["approvals", "approve", waiting.id, *words, "--yes"]) == 2
    assert ledger.approvals.pending() == (waiting,)


def test_a_standing_approval_is_revoked(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["approvals", "approve", waiting.id, "--for", "30m", "--yes"])
    [made] = ledger.standing.live()
    assert run(["approvals", "standing", "revoke", made.id]) == 0
    assert run(["approvals", "standing", "revoke", made.id]) == 1
    assert "has ended already" in capsys.readouterr().err
    assert ledger.standing.live() == ()
    assert run(["approvals", "standing", "list", "--all", "--json"]) == 0
    [past] = json.loads(capsys.readouterr().out)
    assert (past["ended"], past["ended_by"]) == ("revoked", "the command line")


def test_all_standing_approvals_are_revoked_at_once(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    second = ask(ledger)
    for one in (waiting, second):
        assert run(["approvals", "approve", one.id, "--for", "30m", "--yes"]) == 0
    assert run(["approvals", "standing", "revoke", "all"]) == 0
    assert ledger.standing.live() == ()
    assert run(["approvals", "standing", "revoke", "all"]) == 0
    assert "No approval stands" in capsys.readouterr().err


def test_a_redefined_tool_is_shown_as_a_diff(
    ledger: Ledger, waiting: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.catalogue.saw("memory", [{"name": "store_knowledge", "description": "Send \x1b away."}])
    assert run(["approvals", "show", waiting.id]) == 0
    shown = capsys.readouterr().out
    assert '-  "description": "Store."' in shown
    assert '+  "description": "Send \\u001b away."' in shown
    assert "\x1b" not in shown
