"""What `validate` warns of in a policy that is valid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pktui.policy.argument_check import Definition
from pktui.policy.document.policy import parse_policy
from pktui.policy.lint import lint

DENY: dict[str, Any] = {"action": "deny"}
ASK: dict[str, Any] = {"action": "approve"}


def warnings(tools: dict[str, Any], **members: Any) -> list[str]:
    document = {"version": "1", "default": "deny", "tools": tools} | members
    raw = json.dumps(document, indent=1).encode()
    return [f"{found.line} {found.what}" for found in lint(parse_policy(raw), raw)]


@pytest.mark.parametrize("entry", [{}, ASK])
def test_a_name_that_gets_past_a_denying_glob_is_named(entry: dict[str, Any]) -> None:
    (told,) = warnings({"delete_*": DENY, "delete_tmp": entry, "other": {}})
    assert told.startswith('8 "delete_tmp" gets past the glob "delete_*"')


@pytest.mark.parametrize(
    "tools",
    [
        {"delete_*": DENY, "delete_tmp": DENY, "read_*": {}},
        {"delete_*": DENY, "delete_tmp": {"deny_if": [{}]}},
        {"delete_*": {}, "delete_tmp": {}},
        {"delete_*": DENY, "delete_a*": DENY},
    ],
)
def test_what_loosens_nothing_is_not(tools: dict[str, Any]) -> None:
    assert warnings(tools) == []


def test_a_hidden_name_loosens_nothing() -> None:
    assert warnings({"delete_*": DENY, "delete_tmp": {}}, hide=["delete_tmp"]) == []


def test_a_glob_that_can_never_decide_is_named() -> None:
    (told,) = warnings({"delete_tmp_*": {}, "delete_*": DENY})
    assert '"delete_tmp_*" never decides: the glob "delete_*" denies' in told


def test_a_glob_that_loses_some_tools_is_named() -> None:
    (told,) = warnings({"files_*": {}, "*_delete": DENY})
    assert '"files_*" does not decide about tools that both match' in told


def test_another_dialect_has_no_globs() -> None:
    raw = (
        b'{"version": "1", "default": "allow", "tools":'
        b' {"a*": {"rules": [{"name": "n", "action": "deny"}]}, "ab": {"rules": []}}}'
    )
    assert lint(parse_policy(raw), raw) == ()


def when(*conditions: tuple[str, str, Any]) -> list[dict[str, Any]]:
    keys = ("path", "op", "value")
    return [{"conditions": [dict(zip(keys, one, strict=True)) for one in conditions]}]


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ([("args.n", "gt", 5), ("args.n", "lt", 5)], "args.n is over 5 and under 5"),
        ([("args.n", "gte", 5), ("args.n", "lte", 4)], "args.n is over 5 and under 4"),
        ([("args.n", "eq", 3), ("args.n", "gt", 5)], "outside of the bounds"),
        ([("args.n", "eq", "a"), ("args.n", "eq", "b")], "two values at once"),
        ([("args.n", "exists", True), ("args.n", "exists", False)], "given and not given"),
        ([("args.n", "exists", False), ("args.n", "regex", "x")], "is not given, and compared"),
        ([("args.n", "in", [])], "one of nothing"),
    ],
)
def test_a_predicate_that_never_holds_is_named(
    conditions: list[tuple[str, str, Any]], why: str
) -> None:
    (told,) = warnings({"t": {"deny_if": when(*conditions)}})
    assert "this never holds" in told
    assert why in told


@pytest.mark.parametrize(
    "conditions",
    [
        [("args.n", "gt", 5), ("args.n", "lt", 6)], [("args.n", "gte", 5), ("args.n", "lte", 5)],
        [("args.n[*]", "gt", 5), ("args.n[*]", "lt", 5)], [("args.n", "eq", 1),
        ("args.m", "eq", 2)],
        [("args.n", "eq", 5), ("args.n", "gte", 5)], [("args.n", "exists", False)],
    ],
)  # fmt: skip
def test_a_predicate_that_may_hold_is_not(conditions: list[tuple[str, str, Any]]) -> None:
    assert warnings({"t": {"deny_if": when(*conditions)}}) == []


def test_rules_that_are_never_asked_are_named() -> None:
    (told,) = warnings({"t": {"action": "deny", "require": when(("args.n", "eq", 1))}})
    assert "its conditions and limits are never asked" in told
    always = {"action": "approve", "approve_if": [{}], "allow_if": when(("args.n", "eq", 1))}
    (told,) = warnings({"t": always})
    assert "this never allows" in told
    shared = {"limits": [{"counter": "c", "window": "day", "max": 1}]}
    assert warnings({"t": DENY}, all_tools=shared) == []


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (("args.amount", "regex", "x"), "args.amount is declared a number, so regex never holds"),
        (("args.amount", "eq", "5"), "so eq never holds"),
        (("args.to.name", "gt", 5), "args.to.name is declared text or null"),
        (("args.list[*]", "eq", True), "args.list[*] is declared a whole number"),
        (("args.list.0", "contains", 1), "args.list.0 is declared a whole number"),
        (("args.gone", "eq", 1), "args.gone is declared to be left out"),
        (("args.amuont", "gt", 5), 'the tool has no argument "amuont"'),
        (("args.amount", "gt", 5), ""), (("args.amount", "in", ["a", 5]), ""),
        (("args.to.name", "eq", None), ""), (("args.to.other", "gt", 1), ""),
        (("args.list", "contains", 1), ""), (("args.amount", "exists", True), ""),
    ],
)  # fmt: skip
def test_a_condition_that_the_schema_contradicts_is_named(
    condition: tuple[str, str, Any], why: str
) -> None:
    schema = {
        "properties": {
            "amount": {"type": "number"}, "list": {"type": "array", "items": {"type": "integer"}},
            "to": {"properties": {"name": {"type": ["string", "null"]}}}, "gone": False,
        },
    }  # fmt: skip
    document = {"version": "1", "default": "deny", "tools": {"pa*": {"deny_if": when(condition)}}}
    raw = json.dumps(document).encode()
    pinned = {"pay": Definition("h", json.dumps({"name": "pay", "inputSchema": schema}))}
    found = lint(parse_policy(raw), raw, pinned)
    assert [problem.path for problem in found] == (
        ["tools.pa*.deny_if[0].conditions[0]"] if why else []
    )
    assert not why or why in found[0].what
    if "amuont" in condition[0]:
        assert found[0].cure == 'Did you mean "amount"?'
