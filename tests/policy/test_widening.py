# ruff: noqa: E501  a case a line
"""Whether a change of a policy lets agents do more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktui.policy.document.policy import parse_policy
from pktui.policy.effective import effective
from pktui.policy.widening import widened


def document(default: str = "approve", /, **parts: Any) -> bytes:
    return json.dumps({"version": "1", "default": default} | parts).encode()


def when(op: str, value: object) -> list[dict[str, Any]]:
    return [{"conditions": [{"path": "args.n", "op": op, "value": value}]}]


def limit(most: int, counter: str = "c", window: str = "minute") -> list[dict[str, Any]]:
    return [{"counter": counter, "window": window, "max": most}]


def asking(allow_if: list[dict[str, Any]]) -> dict[str, Any]:
    return {"action": "approve", "allow_if": allow_if}


TIGHTER = [
    ("allow", {}, "deny", {}),
    ("allow", {}, "allow", {"tools": {"x": {"action": "deny"}}}),
    ("allow", {}, "allow", {"tools": {"x": {"action": "approve"}}}),
    ("allow", {}, "allow", {"tools": {"x_*": {"action": "deny"}}}),
    ("allow", {}, "allow", {"hide": ["x"]}),
    ("allow", {"on_outage": "allow"}, "allow", {"on_outage": "deny"}),
    ("allow", {}, "allow", {"hide": ["x_*"]}),
    ("approve", {}, "approve", {"tools": {"x": {"action": "approve", "limits": limit(3)}}}),
    ("allow", {"tools": {"x": {}}}, "allow", {"tools": {"x": {"deny_if": when("gt", 3)}}}),
    ("allow", {"tools": {"x": {"limits": limit(5)}}}, "allow", {"tools": {"x": {"limits": limit(4)}}}),
    ("allow", {"all_tools": {"limits": limit(5)}}, "allow", {"all_tools": {"limits": limit(5)}, "tools": {"x": {}}}),
    ("deny", {"tools": {"x": {}}}, "deny", {"tools": {}}),
    ("deny", {"tools": {"x": asking(when("gt", 3))}}, "deny", {"tools": {"x": asking([])}}),
    ("deny", {"hide": ["x"]}, "deny", {}),
    ("approve", {"tools": {"x": {"action": "approve", "reason": "a"}}}, "approve", {"tools": {"x": {"action": "approve", "reason": "b"}}}),
    ("approve", {"description": "a"}, "approve", {"description": "b"}),
]  # fmt: skip

LOOSER = [
    ("deny", {}, "approve", {}),
    ("approve", {}, "allow", {}),
    ("approve", {}, "approve", {"tools": {"x": {}}}),
    ("deny", {}, "deny", {"tools": {"x": {"action": "approve"}}}),
    ("deny", {}, "deny", {"tools": {"x_*": {}}}),
    ("allow", {"hide": ["x"]}, "allow", {}),
    ("allow", {"hide": ["x_*"]}, "allow", {}),
    ("allow", {"hide": ["*"]}, "allow", {}),
    ("allow", {"tools": {"x_*": {"action": "deny"}}}, "allow", {}),
    ("allow", {"tools": {"x_*": {"action": "deny"}}}, "allow", {"tools": {"x_*": {"action": "deny"}, "x_a": {}}}),
    ("allow", {"tools": {"x_*": {"action": "approve"}}}, "allow", {"tools": {"x_*": {"action": "approve"}, "x_a*": {}}}),
    ("allow", {"tools": {"x": {"deny_if": when("gt", 3)}}}, "allow", {"tools": {"x": {"deny_if": when("gt", 4)}}}),
    ("allow", {"tools": {"x": {"deny_if": when("gt", 3)}}}, "allow", {"tools": {"x": {}}}),
    ("allow", {"tools": {"x": {"approve_if": when("gt", 3)}}}, "allow", {}),
    ("allow", {"tools": {"x": {"require": when("gt", 3)}}}, "allow", {"tools": {"x": {}}}),
    ("deny", {"tools": {"x": asking([])}}, "deny", {"tools": {"x": asking(when("gt", 3))}}),
    ("allow", {"tools": {"x": {"limits": limit(5)}}}, "allow", {"tools": {"x": {"limits": limit(6)}}}),
    ("allow", {"tools": {"x": {"limits": limit(5)}}}, "allow", {"tools": {"x": {"limits": limit(5, "d")}}}),
    ("allow", {"tools": {"x": {"limits": limit(5)}}}, "allow", {"tools": {"x": {"limits": limit(5, "c", "second")}}}),
    ("allow", {"all_tools": {"limits": limit(5)}}, "allow", {}),
    ("allow", {"tools": {"x": {"rate_limit": "5/minute"}}}, "allow", {"tools": {"x": {"rate_limit": "5/second"}}}),
]  # fmt: skip


@pytest.mark.parametrize(("old", "before", "new", "after"), TIGHTER)
def test_what_tightens_is_not_looser(
    old: str, before: dict[str, Any], new: str, after: dict[str, Any]
) -> None:
    assert widened(document(old, **before), document(new, **after)) == ()


@pytest.mark.parametrize(("old", "before", "new", "after"), LOOSER)
def test_what_loosens_is_said(
    old: str, before: dict[str, Any], new: str, after: dict[str, Any]
) -> None:
    assert widened(document(old, **before), document(new, **after))


def test_it_says_which_tool_may_do_what_more() -> None:
    (said,) = widened(document(), document(tools={"pay": {}}))
    assert said == '"pay": approve → allow'


def test_no_policy_is_a_person_who_decides_every_call() -> None:
    assert widened(None, document("deny")) == ()
    assert widened(None, document("approve")) == ()
    assert widened(None, document("allow"))


def test_what_cannot_be_compared_counts_as_more() -> None:
    intercept = b"version: '1'\ntools:\n  x:\n    rules:\n      - name: a\n        action: deny\n"
    assert widened(b"{", document("deny"))
    assert widened(intercept, document("deny"))
    assert widened(intercept, intercept) == ()


NAMES = st.sampled_from(["x", "x_a", "x_ab", "y", "x_*", "x_a*", "*a*"])
ENTRY = st.fixed_dictionaries(
    {"action": st.sampled_from(["allow", "approve", "deny"])},
    optional={"deny_if": st.just(when("gt", 3)), "limits": st.just(limit(2))},
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "default": st.sampled_from(["allow", "approve", "deny"]),
        "hide": st.lists(NAMES, max_size=2, unique=True),
        "tools": st.dictionaries(NAMES, ENTRY, max_size=4),
    }
)
RANK = {"hide": 0, "deny": 0, "approve": 1, "allow": 2}


@given(DOCUMENTS, DOCUMENTS)
def test_a_tool_never_may_more_unsaid(old: dict[str, Any], new: dict[str, Any]) -> None:
    before, after = (json.dumps({"version": "1"} | part).encode() for part in (old, new))
    try:
        policies = parse_policy(before), parse_policy(after)
    except Exception:  # noqa: BLE001  two globs that tie are no policy
        return
    said = widened(before, after)
    for tool in ("x", "x_a", "x_ab", "x_abc", "x_b", "y", "ya", "other"):
        was, now = (effective(policy, tool) for policy in policies)
        if RANK[now.action] > RANK[was.action]:
            assert said, tool
