from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pktui.insight.trial import PRESETS, asks, recorded, try_policy, try_presets
from pktui.ledger import args_hash
from pktui.policy.document.policy import parse_policy
from tests.ledger.conftest import CLAUDE, Clock

if TYPE_CHECKING:
    import pytest

    from pktui.ledger import Ledger


def call(ledger: Ledger, tool: str, effect: str = "allow", **more: Any) -> None:
    arguments = more.pop("arguments", {})
    given: dict[str, Any] = {"caller": CLAUDE, "server": "files", **more}
    ledger.events.append(
        "decision", tool=tool, effect=effect, arguments=arguments,
        args_hash=args_hash(arguments), **given,
    )  # fmt: skip


def test_a_policy_is_tried_with_real_figures(ledger: Ledger, clock: Clock) -> None:
    for tool in ("read", "read", "write", "drop"):
        call(ledger, tool)
        clock.forward(1)
    call(ledger, "read", server="other")
    tools = {"read": {}, "write": {"action": "approve"}}
    policy = parse_policy(json.dumps({"version": "1", "default": "deny", "tools": tools}).encode())
    trial = try_policy(policy, recorded(ledger, "files", 0))
    assert trial.figures.words == "of 4 calls: 2 run, 1 ask, 1 denied"
    assert trial.figures.differ == 2
    assert [tried.call.tool for tried in trial.changed] == ["drop", "write"]


def test_the_newest_calls_are_taken_oldest_first(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.insight.trial._PAGE", 2)
    began = clock.now
    for number in range(7):
        call(ledger, f"t{number}")
        clock.forward(1)
    assert [row.tool for row in recorded(ledger, "files", 0)] == [f"t{n}" for n in range(7)]
    assert [row.tool for row in recorded(ledger, "files", 0, 3)] == ["t4", "t5", "t6"]
    since = began + 5_000_000
    assert [row.tool for row in recorded(ledger, "files", since)] == ["t5", "t6"]


def test_every_preset_is_tried(ledger: Ledger) -> None:
    for tool in ("read_file", "delete_file"):
        call(ledger, tool)
    own = b'{"version": "1", "default": "deny", "description": "None."}'
    tried = {one.name: one for one in try_presets(recorded(ledger, "files", 0), more={"own": own})}
    assert list(tried) == [*PRESETS, "own"]
    assert tried["observe"].figures.run == 2
    assert (tried["read-only"].figures.run, tried["read-only"].figures.denied) == (1, 1)
    assert (tried["own"].figures.denied, tried["own"].description) == (2, "None.")


def test_each_question_is_told_once(ledger: Ledger, clock: Clock) -> None:
    for number in range(3):
        for _again in range(2):
            call(
                ledger, "run", "approve",
                arguments={"n": number}, approval_id=f"a{number}", call_id=f"c{clock.now}",
            )  # fmt: skip
            clock.forward(1)
    call(ledger, "run")
    call(ledger, "other", "approve")
    found = [json.loads(row.arguments)["n"] for row in asks(ledger, "files", "run")]
    assert found == [2, 1, 0]
    assert len(asks(ledger, "files", "run", most=2)) == 2
