from __future__ import annotations

import pytest

from pktui.policy.document.policy import parse_policy
from pktui.policy.effective import effective
from tests.policy.build import policy, tool


def test_a_tool_has_one_state_and_a_reason_for_it() -> None:
    rules = policy(
        hide=["h", "x_*"],
        tools={"a": {}, "d_*": {"action": "deny", "reason": "No."}, "q": {"action": "approve"}},
    )
    found = {
        name: (effective(rules, name).action, effective(rules, name).because)
        for name in ("a", "d_1", "q", "h", "x_1", "other")
    }
    assert found == {
        "a": ("allow", "the policy lists it"),
        "d_1": ("deny", 'the glob "d_*" matches it: No.'),
        "q": ("approve", "the policy lists it"),
        "h": ("hide", "it is hidden by its name"),
        "x_1": ("hide", 'it is hidden by the glob "x_*"'),
        "other": ("deny", "the policy does not list it, and its default is deny"),
    }


@pytest.mark.parametrize(
    ("name", "action", "because"),
    [
        ("free", "approve", "its definition changed since it was accepted"),
        ("asked", "approve",
         "its definition changed since it was accepted, and the policy lists it"),
        ("never", "deny", "the policy lists it"),
        ("gone", "hide", "it is hidden by its name"),
    ],
)  # fmt: skip
def test_a_changed_definition_makes_an_allow_an_ask(name: str, action: str, because: str) -> None:
    rules = policy(
        hide=["gone"],
        tools={"free": {}, "asked": {"action": "approve"}, "never": {"action": "deny"}},
    )
    found = effective(rules, name, changed=True)
    assert (found.action, found.because) == (action, because)
    assert (found.rule == "(definition changed)") is (action == "approve")


def test_conditions_are_told_in_words() -> None:
    def when(op: str, value: object) -> list[dict[str, object]]:
        return [{"conditions": [{"path": "args.n", "op": op, "value": value}]}]

    rules = tool(
        require=when("exists", True), deny_if=when("gt", 9), approve_if=when("in", ["a", 1.5])
    )
    assert effective(rules, "t").conditions == (
        "only when args.n is given",
        "not when args.n is over 9",
        'asks when args.n is one of ["a", 1.5]',
    )


def test_a_rule_without_conditions_is_the_state() -> None:
    always: list[dict[str, object]] = [{"conditions": []}]
    assert effective(tool(deny_if=always), "t").action == "deny"
    assert effective(tool(approve_if=always), "t").action == "approve"
    assert effective(tool(approve_if=always), "t").rule == "/tools/t/approve_if/0"


def test_intercepts_rules_are_told_too() -> None:
    raw = b"""version: "1"
tools:
  t:
    rules:
      - {name: cap, rate_limit: 5/hour}
      - {name: only, conditions: [{path: args.x, op: eq, value: 1}]}
  d:
    rules: [{name: no, action: deny}]
"""
    rules = parse_policy(raw)
    assert effective(rules, "d").action == "deny"
    assert effective(rules, "t").conditions == ("only when args.x is 1",)
    assert [limit.rule for limit in effective(rules, "t").limits] == ["cap"]
