"""`pktui approvals approve --set`: allow a call with other arguments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run
from pktui.ledger import Approval, Ledger, NewApproval, args_hash, now_us
from tests.cli.approvals.conftest import CALLER

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths

TOOL = {
    "name": "pay",
    "description": "Pay.",
    "inputSchema": {
        "type": "object",
        "properties": {"amount": {"type": "integer"}, "to": {"type": "string"}},
        "required": ["to"],
    },
}
POLICY = {
    "version": "1",
    "default": "deny",
    "tools": {
        "pay": {
            "action": "approve",
            "deny_if": [{"conditions": [{"path": "args.amount", "op": "gt", "value": 1000}]}],
        }
    },
}


@pytest.fixture
def payment(paths: Paths, ledger: Ledger) -> Approval:
    file = paths.policy_file("bank")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(POLICY))
    ledger.catalogue.saw("bank", [TOOL])
    arguments = {"amount": 400, "to": "ada"}
    return ledger.approvals.open(
        NewApproval(
            caller=CALLER,
            server="bank",
            tool="pay",
            arguments=arguments,
            args_hash=args_hash(arguments),
            expires_us=now_us() + 600_000_000,
        )
    )


def test_a_call_is_allowed_with_the_arguments_that_were_set(
    ledger: Ledger, payment: Approval, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["approvals", "approve", payment.id, "--set", "amount=40", "--yes"]) == 0
    assert "allowed, once, as changed" in capsys.readouterr().out
    found = ledger.approvals.get(payment.id)
    assert found is not None
    assert (found.status, json.loads(found.changed)) == ("allowed", {"amount": 40, "to": "ada"})
    assert json.loads(found.arguments) == {"amount": 400, "to": "ada"}
    assert found.changed_hash == args_hash({"amount": 40, "to": "ada"})


def test_the_change_is_shown_before_it_is_asked_about(
    ledger: Ledger,
    payment: Approval,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("pktui.cli.output.confirm", lambda question, **_: asked.append(question))
    command = ["approvals", "approve", payment.id, "--set", "args.amount=40", "--unset", "amount"]
    assert run([*command[:5], "--set", "to=e\u202eve"]) == 0
    shown = capsys.readouterr().out
    assert '-  "amount": 400,' in shown
    assert '+  "amount": 40,' in shown
    assert "e\\u202eve" in shown
    assert "The policy, asked again: approve" in shown
    assert asked == ["Allow this call, so changed, once?"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "amount=4000"], "the policy refuses these arguments"),
        (["--set", "amount=much"], "amount must be a whole number"),
        (["--set", "amuont=4"], "Did you mean"),
        (["--set", "amount"], "has no value"),
        (["--unset", "to"], "to is required"),
        (["--set", "amount=4", "--for", "30m"], "change this one call"),
    ],
)
def test_a_change_that_cannot_be_allowed_decides_nothing(
    ledger: Ledger,
    payment: Approval,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    assert run(["approvals", "approve", payment.id, *options, "--yes"]) != 0
    assert said in capsys.readouterr().err
    found = ledger.approvals.get(payment.id)
    assert found is not None
    assert (found.status, found.changed) == ("pending", "")


@pytest.mark.parametrize("own", [True, False], ids=["a policy", "no policy yet"])
def test_a_managed_policy_has_its_word_on_the_change(
    paths: Paths,
    ledger: Ledger,
    payment: Approval,
    managed: Path,
    capsys: pytest.CaptureFixture[str],
    own: bool,
) -> None:
    over = {"path": "args.amount", "op": "gt", "value": 100}
    rule = {"action": "allow", "deny_if": [{"conditions": [over]}]}
    managed.mkdir()
    ceiling = {"version": "1", "default": "allow", "tools": {"pay": rule}}
    (managed / "bank.json").write_text(json.dumps(ceiling))
    if not own:
        paths.policy_file("bank").unlink()
    command = ["approvals", "approve", payment.id, "--yes", "--set"]
    assert run([*command, "amount=101"]) != 0
    said = capsys.readouterr().err
    assert "the policy refuses these arguments" in said
    assert "managed" in said
    assert run([*command, "amount=100"]) == 0


def test_the_same_arguments_are_no_change(ledger: Ledger, payment: Approval) -> None:
    assert run(["approvals", "approve", payment.id, "--set", "amount=400", "--yes"]) == 0
    found = ledger.approvals.get(payment.id)
    assert found is not None
    assert (found.status, found.changed, found.changed_hash) == ("allowed", "", "")
