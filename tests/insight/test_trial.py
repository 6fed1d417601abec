from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pktui.insight.in_force import Layers
from pktui.insight.trial import PRESETS, asks, recorded, try_policy, try_presets
from pktui.ledger import args_hash
from pktui.policy.denied_paths import read_denied
from pktui.policy.document.policy import parse_policy
from pktui.policy.managed import Managed
from pktui.policy.selection import Selection
from tests.ledger.conftest import CLAUDE, Clock
from tests.support.managing import manage

if TYPE_CHECKING:
    from pathlib import Path

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


def test_managed_policies_decide_what_is_tried_and_are_named(ledger: Ledger, managed: Path) -> None:
    for tool in ("read", "write", "drop", "drop"):
        call(ledger, tool)
    manage(managed, "files", tools={"drop": {"action": "deny"}, "write": {"action": "approve"}})
    manage(managed, "_all", hide=["read"])
    layers = Layers(ceiling=Managed("files").current())
    calls = recorded(ledger, "files", 0)
    allowing = parse_policy(b'{"version": "1", "default": "allow"}')
    words = "of 4 calls: 0 run, 1 ask, 3 denied (1 by managed _all.json, 2 by managed files.json)"
    assert try_policy(allowing, calls, layers).figures.words == words
    observe = next(try_presets(calls, layers))
    assert (observe.name, observe.figures.words) == ("observe", words)
    denying = parse_policy(b'{"version": "1", "default": "deny"}')
    assert try_policy(denying, calls, layers).figures.managed == {"files.json": 2, "_all.json": 1}


def test_denied_paths_and_what_the_entry_leaves_out_are_denied_as_a_gateway_does(
    ledger: Ledger, tmp_path: Path
) -> None:
    call(ledger, "read", arguments={"path": str(tmp_path / "secret")})
    call(ledger, "read", arguments={"path": str(tmp_path / "open")})
    call(ledger, "drop")
    denied = json.dumps({"version": "1", "deny": [str(tmp_path / "secret")]}).encode()
    layers = Layers(
        selection=Selection(without=frozenset({"drop"})),
        denied=read_denied(denied, tmp_path / "_paths.json"),
    )
    policy = parse_policy(b'{"version": "1", "default": "allow"}')
    trial = try_policy(policy, recorded(ledger, "files", 0), layers)
    assert trial.figures.words == "of 3 calls: 1 run, 0 ask, 2 denied"
    assert {tried.now.rule for tried in trial.changed} == {"(hidden)", "(denied path)"}
