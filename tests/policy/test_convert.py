"""Converting Intercept's policies. The cases are from PolicyLayer Intercept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pktui.errors import PolicyError
from pktui.policy.document.convert import convert
from pktui.policy.document.policy import parse_policy
from pktui.policy.replay import read_call, replay
from tests.policy.build import START_US, effect, policy

CASES = [
    case
    for case in json.loads(
        (Path(__file__).parent / "intercept_decisions.json").read_text(encoding="utf-8")
    )
    if any(isinstance(entry, dict) for entry in (case["policy"].get("tools") or {}).values())
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_converted_policy_lets_the_same_calls_through_or_says_why_not(case: Any) -> None:
    converted = convert(parse_policy(json.dumps(case["policy"]).encode()))
    native = parse_policy(converted.document)
    assert native.dialect == "native"
    calls = [read_call(call) for call in case["calls"]]
    found = [told.decision == "allow" for told in replay(native, calls, start_us=START_US)]
    wanted = [expected[0] == "allow" for expected in case["expect"]]
    if any("instead" in note or "no longer" in note for note in converted.notes):
        assert all(not mine or theirs for mine, theirs in zip(found, wanted, strict=True))
    elif not any("also indexes" in note for note in converted.notes):
        assert found == wanted


def test_what_cannot_be_said_denies_and_is_noted() -> None:
    reading = {"path": "state.a.n", "op": "lt", "value": 2}
    source = {
        "version": "1",
        "tools": {
            "a": {"rules": [{"name": "cap", "conditions": [reading],
                             "state": {"counter": "n", "window": "day"}}]},
            "b": {"rules": [{"name": "peek", "conditions": [reading]}]},
        },
    }  # fmt: skip
    converted = convert(parse_policy(json.dumps(source).encode()))
    assert [note for note in converted.notes if note.startswith('b: rule "peek" reads')]
    assert effect(parse_policy(converted.document), "b") == "deny"
    assert effect(parse_policy(converted.document), "a") == "allow"


def test_a_policy_in_pktuis_own_form_is_not_converted() -> None:
    with pytest.raises(PolicyError, match="own form already"):
        convert(policy())
