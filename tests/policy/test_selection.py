"""Tools that a server's entry leaves out are as if the policy hid them."""

from __future__ import annotations

from pktui.policy.document.policy import parse_policy
from pktui.policy.effective import effective
from pktui.policy.evaluate import Call, evaluate
from pktui.policy.memory_quota import MemoryQuota
from pktui.policy.selection import EVERYTHING, Selection

POLICY = parse_policy(b'{"version": "1", "default": "allow", "tools": {"run": {}}, "hide": ["no"]}')


def effect(selection: Selection, tool: str) -> str:
    policy = POLICY.selecting(selection)
    verdict = evaluate(policy, Call("s", tool, {}, "a", "b"), MemoryQuota(lambda: 0))
    assert (verdict.effect == "hide") == policy.hides(tool)
    assert (effective(policy, tool).action == "hide") == policy.hides(tool)
    return verdict.effect.value


def test_what_is_excluded_is_hidden_and_what_is_not_included() -> None:
    without = Selection(frozenset({"run"}))
    assert [effect(without, tool) for tool in ("run", "read", "no")] == ["hide", "allow", "hide"]
    only = Selection(only=frozenset({"run", "no"}))
    assert [effect(only, tool) for tool in ("run", "read", "no")] == ["allow", "hide", "hide"]
    both = Selection(frozenset({"run"}), frozenset({"run"}))
    assert effect(both, "run") == "hide"
    assert effect(EVERYTHING, "run") == "allow"


def test_a_foreign_name_is_no_pattern() -> None:
    assert effect(Selection(frozenset({"r*", "*"})), "run") == "allow"
    assert effect(Selection(only=frozenset({"*"})), "run") == "hide"


def test_it_is_said_who_hides_a_tool() -> None:
    policy = POLICY.selecting(Selection(frozenset({"run"})))
    assert "entry in servers.json" in effective(policy, "run").because
    assert "its name" in effective(policy, "no").because
