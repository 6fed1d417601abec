from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pktui.policy.document import PolicyInvalid
from tests.policy.build import decide, effect, tool

MISSING = object()


def holds(op: str, value: Any, found: Any = MISSING, path: str = "args.v") -> bool:
    rules = tool(deny_if=[{"conditions": [{"path": path, "op": op, "value": value}]}])
    arguments = {} if found is MISSING else {"v": found}
    return effect(rules, **arguments) == "deny"


@pytest.mark.parametrize(
    ("op", "value", "found", "expected"),
    [
        ("eq", "a", "a", True), ("eq", "a", "A", False), ("eq", 1, 1.0, True),
        ("eq", 1, "1", False), ("eq", "1", 1, False), ("eq", 1, True, False),
        ("eq", False, 0, False), ("eq", None, None, True), ("eq", None, 0, False),
        ("eq", [1, {"a": 2}], [1, {"a": 2.0}], True), ("eq", [1], [True], False),
        ("eq", 0.1, 0.1, True), ("eq", 0.1, Decimal("0.1"), True),
        ("eq", 9007199254740993, 9007199254740992, False),
        ("eq", 9007199254740993, 9007199254740993, True),
        ("eq", "a", MISSING, False), ("neq", "a", MISSING, False),
        ("neq", "a", "b", True), ("neq", "a", None, True), ("neq", 1, "1", True),
        ("in", ["a", 1], 1.0, True), ("in", ["a", 1], "1", False), ("in", [None], None, True),
        ("in", [], "a", False), ("in", ["a"], MISSING, False), ("in", [[1]], [1], True),
        ("not_in", ["a"], "b", True), ("not_in", [], "b", True), ("not_in", ["a"], "a", False),
        ("not_in", ["a"], MISSING, False), ("not_in", ["a"], None, True),
        ("lt", 2.5, 2, True), ("lt", 2.5, 2.5, False), ("lt", 5, "4", False),
        ("lte", 10, 10.0, True), ("lte", 10, 10.0001, False), ("lt", 1, None, False),
        ("gt", 0.1, 0.1, False), ("gt", 0, True, False), ("gt", 0, MISSING, False),
        ("gte", 10, 9.9999, False), ("gte", 10, 1e300, True), ("gt", 1, float("inf"), False),
        ("gt", 10**17, 10**17 + 1, True), ("gt", 1, Decimal("NaN"), False),
        ("gt", 1, Decimal("1e5000"), True), ("lt", 1, [0], False),
        ("regex", "^feat/", "feat/x", True), ("regex", "feat", "a feat b", True),
        ("regex", "^a.b$", "a\nb", False), ("regex", "\\d+", 42, False),
        ("regex", "", "", True), ("regex", "^\\pL+$", "café", True),
        ("regex", "x", "x\ud800", True), ("regex", "a", MISSING, False),
        ("contains", "b", "abc", True), ("contains", "B", "abc", False),
        ("contains", 4, "42", False), ("contains", 4, [4.0], True),
        ("contains", "a", {"a": 1}, False), ("contains", ["a"], [["a"]], True),
        ("exists", True, None, False), ("exists", True, "", True), ("exists", True, 0, True),
        ("exists", True, MISSING, False), ("exists", False, MISSING, True),
        ("exists", False, None, True), ("exists", False, 1, False),
    ],
)  # fmt: skip
def test_an_operator_holds(op: str, value: Any, found: Any, expected: bool) -> None:
    assert holds(op, value, found) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("args.v.a.b", True), ("args.v.list.1", True), ("args.v.list.2", False),
        ("args.v.list.-1", False), ("args.v.list.x", False), ("args.v.d\\.t", True),
        ("args.v.d.t", False), ("args.v.a.b.c", False), ("args.v.map.0", True),
        ("args.v.list.999999999999999999999999", False), ("args.v.list.²", False),
    ],
)  # fmt: skip
def test_a_path_leads_through_objects_and_lists(path: str, expected: bool) -> None:
    found = {"a": {"b": 1}, "list": ["x", "y"], "d.t": 1, "map": {"0": 1}}
    assert holds("exists", True, found, path) is expected


@pytest.mark.parametrize("key", ["require", "deny_if", "approve_if"])
def test_a_text_too_long_for_a_pattern_denies_the_call(key: str) -> None:
    rules = tool(**{key: [{"conditions": [{"path": "args.v", "op": "regex", "value": "x"}]}]})
    verdict = decide(rules, v="x" * 1_000_001)
    assert (verdict.effect, verdict.rule) == ("deny", "(undecidable)")
    assert "too long" in verdict.reason


@pytest.mark.parametrize("pattern", ["[\\pL\\pN]{1,30}!$", "(.{1,30}.){1,30}$", "\\C{1,900}x" * 9])
def test_a_pattern_that_could_be_slow_is_refused(pattern: str) -> None:
    with pytest.raises(PolicyInvalid, match="invalid regex"):
        holds("regex", pattern, "x")


def test_hostile_patterns_and_texts_take_linear_time() -> None:
    assert not holds("regex", "(a+)+$", "a" * 100_000 + "b")
    assert holds("regex", "(x*)*y", "x" * 100_000 + "y")
