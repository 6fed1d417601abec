from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pktui.policy.document.policy import PolicyInvalid
from tests.policy.build import decide, effect, tool

MISSING = object()


UNKNOWN = "can't be judged"


def truth(op: str, value: Any, found: Any = MISSING, path: str = "args.v") -> bool | str:
    """Tell how `deny_if` and `require` take it; where both deny, it can't be judged."""
    predicates = [{"conditions": [{"path": path, "op": op, "value": value}]}]
    arguments = {} if found is MISSING else {"v": found}
    denied = decide(tool(deny_if=predicates), **arguments)
    required = effect(tool(require=predicates), **arguments) == "allow"
    if denied.effect == "deny" and not required:
        assert UNKNOWN in denied.reason
        return UNKNOWN
    assert (denied.effect == "deny") is required
    return required


@pytest.mark.parametrize(
    ("op", "value", "found", "expected"),
    [
        ("eq", "a", "a", True), ("eq", "a", "A", False), ("eq", 1, 1.0, True),
        ("eq", 1, "1", UNKNOWN), ("eq", "1", 1, UNKNOWN), ("eq", 1, True, UNKNOWN),
        ("eq", False, 0, UNKNOWN), ("eq", True, "yes", UNKNOWN), ("eq", None, None, True),
        ("eq", None, 0, False),
        ("eq", [1, {"a": 2}], [1, {"a": 2.0}], True), ("eq", [1], [True], UNKNOWN),
        ("eq", "a", ["a"], UNKNOWN), ("eq", [1], [1, 2], False),
        ("eq", {"a": 1}, {"a": 1, "b": 2}, UNKNOWN), ("eq", {"a": 1}, {"b": 1}, False),
        ("eq", None, "null", UNKNOWN), ("eq", None, "x", False), ("eq", None, False, False),
        ("eq", 0.1, 0.1, True), ("eq", 0.1, Decimal("0.1"), True),
        ("eq", 9007199254740993, 9007199254740992, False),
        ("eq", 9007199254740992, 9007199254740993, UNKNOWN), ("lt", 2**53 + 1, 2**53 + 1, UNKNOWN),
        ("eq", 9007199254740993, 9007199254740993, True),
        ("eq", "a", MISSING, False), ("neq", "a", MISSING, False),
        ("neq", "a", "b", True), ("neq", "a", None, True), ("neq", 1, "1", UNKNOWN),
        ("neq", "a", ["b"], UNKNOWN),
        ("in", ["a", 1], 1.0, True), ("in", ["a", 1], "1", UNKNOWN), ("in", ["a"], "b", False),
        ("in", ["a"], 5, UNKNOWN), ("in", [None], None, True),
        ("in", [], "a", False), ("in", ["a"], MISSING, False), ("in", [[1]], [1], True),
        ("not_in", ["a"], "b", True), ("not_in", [], "b", True), ("not_in", ["a"], "a", False),
        ("not_in", ["a"], MISSING, False), ("not_in", ["a"], 1, UNKNOWN),
        ("not_in", ["a"], None, True),
        ("lt", 2.5, 2, True), ("lt", 2.5, 2.5, False), ("lt", 5, "4", UNKNOWN),
        ("gt", 5, " 5e4 ", UNKNOWN), ("gt", 5, {}, UNKNOWN),
        ("lte", 10, 10.0, True), ("lte", 10, 10.0001, False), ("lt", 1, None, False),
        ("gt", 0.1, 0.1, False), ("gt", 0, True, UNKNOWN), ("gt", 0, MISSING, False),
        ("gte", 10, 9.9999, False), ("gte", 10, 1e300, True), ("gt", 1, float("inf"), UNKNOWN),
        ("gt", 10**17, 10**17 + 1, True), ("gt", 1, Decimal("NaN"), UNKNOWN),
        ("gt", 1, Decimal("1e5000"), True), ("lt", 1, [0], UNKNOWN),
        ("regex", "^feat/", "feat/x", True), ("regex", "feat", "a feat b", True),
        ("regex", "^a.b$", "a\nb", False), ("regex", "\\d+", 42, UNKNOWN),
        ("regex", "a", ["a"], UNKNOWN), ("regex", "", None, False),
        ("regex", "^rm", '["\\u0072m x"]', UNKNOWN), ("regex", "^k", '{"\\u006b": 1}', UNKNOWN),
        ("regex", "^rm", '["\\u0073m x"]', False),
        ("regex", "", "", True), ("regex", "^\\pL+$", "café", True),
        ("regex", "x", "x\ud800", True), ("regex", "a", MISSING, False),
        ("contains", "b", "abc", True), ("contains", "B", "abc", False),
        ("contains", 4, "42", UNKNOWN), ("contains", "b", '["\\u0062"]', UNKNOWN),
        ("contains", "b", '["c"]', False), ("contains", 5, ["5"], UNKNOWN),
        ("contains", 5, [6], False), ("contains", 4, [4.0], True),
        ("contains", "a", {"a": 1}, UNKNOWN), ("contains", "a", None, False),
        ("contains", ["a"], [["a"]], True),
        ("exists", True, None, False), ("exists", True, "", True), ("exists", True, 0, True),
        ("exists", True, MISSING, False), ("exists", False, MISSING, True),
        ("exists", False, None, True), ("exists", False, "null", UNKNOWN),
        ("exists", False, 1, False),
    ],
)  # fmt: skip
def test_an_operator_holds(op: str, value: Any, found: Any, expected: bool | str) -> None:
    assert truth(op, value, found) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("args.v.a.b", True), ("args.v.list.1", True), ("args.v.list.2", False),
        ("args.v.list.-1", False), ("args.v.list.x", False), ("args.v.d\\.t", True),
        ("args.v.d.t", False), ("args.v.a.b.c", UNKNOWN), ("args.v.none.x", False),
        ("args.v.text.0", UNKNOWN), ("args.v.text[*]", UNKNOWN), ("args.v.map.0", True),
        ("args.v.list.999999999999999999999999", False), ("args.v.list.²", False),
    ],
)  # fmt: skip
def test_a_path_leads_through_objects_and_lists(path: str, expected: bool | str) -> None:
    found = {
        "a": {"b": 1}, "list": ["x", "y"], "d.t": 1, "map": {"0": 1}, "none": None, "text": "[5]",
    }  # fmt: skip
    assert truth("exists", True, found, path) == expected


@pytest.mark.parametrize("key", ["require", "deny_if", "approve_if"])
def test_a_text_too_long_for_a_pattern_denies_the_call(key: str) -> None:
    rules = tool(**{key: [{"conditions": [{"path": "args.v", "op": "regex", "value": "x"}]}]})
    verdict = decide(rules, v="x" * 1_000_001)
    assert (verdict.effect, verdict.rule) == ("deny", "(undecidable)")
    assert "too long" in verdict.reason


@pytest.mark.parametrize("pattern", ["[\\pL\\pN]{1,30}!$", "(.{1,30}.){1,30}$", "\\C{1,900}x" * 9])
def test_a_pattern_that_could_be_slow_is_refused(pattern: str) -> None:
    with pytest.raises(PolicyInvalid, match="invalid regex"):
        truth("regex", pattern, "x")


def test_hostile_patterns_and_texts_take_linear_time() -> None:
    assert not truth("regex", "(a+)+$", "a" * 100_000 + "b")
    assert truth("regex", "(x*)*y", "x" * 100_000 + "y")


def quantities(*found: Any) -> dict[str, Any]:
    return {"items": [{"qty": one} for one in found]}


@pytest.mark.parametrize(
    ("arguments", "denied", "allowed"),
    [
        (quantities(1, 50), True, False), (quantities(1, 2), False, False),
        (quantities(50, 60), True, True), (quantities(), False, False),
        (quantities(1, "2"), True, False), (quantities(50, "60"), True, False),
        ({"items": [{}]}, False, False), ({}, False, False), ({"items": None}, False, False),
        ({"items": '[{"qty": 50}]'}, True, False), ({"items": {"qty": 50}}, True, False),
        ({"items": [5]}, True, False), ({"items": [[{"qty": 50}]]}, False, False),
    ],
)  # fmt: skip
def test_a_star_is_any_element_where_it_denies_and_every_one_where_it_lets_through(
    arguments: dict[str, Any], denied: bool, allowed: bool
) -> None:
    when = [{"conditions": [{"path": "args.items[*].qty", "op": "gt", "value": 5}]}]
    assert (effect(tool(deny_if=when), **arguments) == "deny") is denied
    assert (effect(tool(approve_if=when), **arguments) == "approve") is denied
    assert (effect(tool(require=when), **arguments) == "allow") is allowed
    asked = tool(action="approve", allow_if=when)
    assert (effect(asked, **arguments) == "allow") is allowed


def test_stars_stand_for_lists_in_lists() -> None:
    when = [{"conditions": [{"path": "args.rows[*][*]", "op": "gt", "value": 5}]}]
    assert effect(tool(deny_if=when), rows=[[1], [2, 9]]) == "deny"
    assert effect(tool(deny_if=when), rows=[[1], []]) == "allow"
    assert effect(tool(require=when), rows=[[6], []]) == "deny"
    assert effect(tool(require=when), rows=[[6], [7, 8]]) == "allow"


@pytest.mark.parametrize(
    ("path", "cure"),
    [
        ("args.items[0].qty", "args.items.0"), ("args.items[].qty", r"args.items\[\*\].qty"),
        ("args.items.*.qty", r"args.items\[\*\].qty"), ("args.items[*", r"\[\*\]"),
        ("args.items[*]x", r"\[\*\]"), ("args.items]", r"\[\*\]"), ("args.[*]", "before"),
        ("args.a..b", "between the dots"), ("amount", "Start it with args."),
    ],
)  # fmt: skip
def test_another_languages_way_to_name_elements_is_an_error(path: str, cure: str) -> None:
    with pytest.raises(PolicyInvalid, match=cure):
        truth("eq", 1, 1, path)


def test_brackets_and_stars_of_a_name_are_escaped() -> None:
    rules = tool(deny_if=[{"conditions": [{"path": r"args.a\[0\].\*", "op": "eq", "value": 1}]}])
    named: dict[str, Any] = {"a[0]": {"*": 1}}
    assert effect(rules, **named) == "deny"
    assert effect(rules, a=[{"*": 1}]) == "allow"


def test_a_condition_that_is_certainly_false_decides_over_one_that_cannot_be_judged() -> None:
    both = [
        {"path": "args.a", "op": "gt", "value": 5}, {"path": "args.b", "op": "eq", "value": True},
    ]  # fmt: skip
    rules = tool(deny_if=[{"conditions": both}])
    assert effect(rules, a="9", b=False) == "allow"
    assert effect(rules, a="9", b=True) == "deny"
    assert effect(rules, a="9", b=1) == "deny"
    assert effect(rules, a=9, b="no") == "deny"


def test_the_reason_says_what_could_not_be_judged() -> None:
    when = [{"conditions": [{"path": "args.amount", "op": "gt", "value": 5}]}]
    told = "args.amount can't be judged: it is text, and the rule is about a number."
    assert decide(tool(deny_if=when), amount="50").reason == told
    assert decide(tool(require=when), amount="50").reason == told
    assert decide(tool(approve_if=when), amount="50").reason == told
    worded = [when[0] | {"on_deny": "Over the cap."}]
    assert decide(tool(deny_if=worded), amount="50").reason == f"{told} Over the cap."


@pytest.mark.parametrize("op", ["neq", "not_in"])
def test_a_requirement_to_differ_fails_on_a_value_of_another_type(op: str) -> None:
    value = ["prod"] if op == "not_in" else "prod"
    rules = tool(require=[{"conditions": [{"path": "args.env", "op": op, "value": value}]}])
    assert effect(rules, env="dev") == "allow"
    assert effect(rules, env=["prod"]) == "deny"
    assert effect(rules, env=1) == "deny"


def test_lists_are_compared_in_bounded_time() -> None:
    """A list that could be the same set as the rule's, and is too long to tell, can't be judged."""
    assert truth("eq", [[n] for n in range(200)], [[n + 1] for n in range(200)]) == UNKNOWN
    assert truth("eq", [1, 2], [2, 1]) == UNKNOWN
    assert truth("eq", [1, 2], [1, 1, 2]) == UNKNOWN
    assert truth("eq", [1, 2], [1, 3]) is False
    assert truth("eq", [1], [2] * 10_001) == UNKNOWN
