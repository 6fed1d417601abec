"""Predicates that can never hold, and rules that are never asked: written down, and without effect.

Only what is certain is told. Conditions on the elements of a list (`[*]`) each look at the list by
themselves, so they contradict none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pktui.policy.argument_check import input_schema
from pktui.policy.declared import (
    ANY,
    LIST,
    NONE,
    NUMBER,
    TEXT,
    Schema,
    Unreadable,
    kind,
    say_kinds,
)  # fmt: skip
from pktui.policy.operators import ORDER
from pktui.policy.paths import Each, Path, split_path
from pktui.policy.rules import Action
from pktui.policy.text.problems import QUOTED, Fault, Steps, quote
from pktui.policy.values import number, same
from pktui.suggest import did_you_mean

if TYPE_CHECKING:
    from pktui.policy.argument_check import Definition
    from pktui.policy.document.policy import Policy
    from pktui.policy.rules import Check, Condition, ToolRule

_OF_TEXT = ("regex", "within", "command")
# Arguments of a tool that are told, and the characters of one.
_MOST = 20
_LONGEST = 60
_CURE = "Change the condition, or remove it"


def never_asked(policy: Policy) -> Iterator[Fault]:
    """Note what other parts of the document keep from ever deciding."""
    for name, rule in policy.tools.items():
        conditional = rule.checks or rule.approvals or rule.limits != policy.all_limits
        if rule.action is Action.DENY and conditional:
            what = f"{quote(name)} denies every call; its conditions and limits are never asked"
            yield Fault(("tools", name), what, "Remove them, or the action", on_key=True)
        for at, check in _placed(name, rule):
            if why := contradiction(check.conditions):
                yield Fault(at, f"this never holds: {why}", _CURE)
            elif at[2] == "allow_if" and any(not one.conditions for one in rule.approvals):
                what = "this never allows: an approve_if without conditions asks about every call"
                yield Fault(at, what, "Remove one of them")


def contradicted(policy: Policy, definitions: Mapping[str, Definition]) -> Iterator[Fault]:
    """Note conditions that the input schema of a tool they are for leaves no value to hold for."""
    for tool, definition in definitions.items():
        rule = policy.rule_for(tool)
        entry = next((name for name, known in policy.tools.items() if known is rule), None)
        if entry is None or policy.hides(tool):
            continue
        for at, check in _placed(entry, rule):
            for index, condition in enumerate(check.conditions):
                told = _against_schema(condition, definition)
                if told:
                    what, cure = told
                    yield Fault((*at, "conditions", index), f"{quote(tool)}: {what}", cure)


def contradiction(conditions: tuple[Condition, ...]) -> str:
    """Say why conditions can't all hold for one call, empty where they may."""
    for condition in conditions:
        if condition.op == "in" and not condition.value:
            return f"{condition.path} is one of nothing"
    by_path: dict[str, list[Condition]] = {}
    for condition in conditions:
        if "[*]" not in condition.path:
            by_path.setdefault(condition.path, []).append(condition)
    return next((f"{path} {why}" for path, some in by_path.items() if (why := _clash(some))), "")


def _clash(conditions: list[Condition]) -> str:
    by_op: dict[str, list[Any]] = {}
    for condition in conditions:
        by_op.setdefault(condition.op, []).append(condition.value)
    given = by_op.get("exists", [])
    if True in given and False in given:
        return "is given and not given"
    if False in given and {*by_op} & {*ORDER, *_OF_TEXT, "contains"}:
        return "is not given, and compared"
    equal = by_op.get("eq", [])
    if any(not same(equal[0], other) for other in equal[1:]):
        return "is two values at once"
    return _clash_of_numbers(by_op, equal)


def _clash_of_numbers(by_op: Mapping[str, list[Any]], equal: list[Any]) -> str:
    """Say where bounds leave no number, or the only value lies outside of them."""
    bounds = [(op, number(bound)) for op in ORDER for bound in by_op.get(op, [])]
    for op, bound in bounds:
        for value in equal:
            exact = number(value)
            if exact is None or not ORDER[op](exact, bound):
                return "is one value, and outside of the bounds"
    lower = [(bound, op == "gt") for op, bound in bounds if op in ("gt", "gte")]
    upper = [(bound, op == "lt") for op, bound in bounds if op in ("lt", "lte")]
    for low, above in lower:
        for high, below in upper:
            if low is not None and high is not None and (
                low > high or (low == high and (above or below))
            ):  # fmt: skip
                return f"is over {low} and under {high}"
    return ""


def _placed(name: str, rule: ToolRule) -> Iterator[tuple[Steps, Check]]:
    """Give each predicate with its place in the document."""
    groups = {
        "require": [check for check in rule.checks if not check.denies_when],
        "deny_if": [check for check in rule.checks if check.denies_when],
        "approve_if": rule.approvals,
        "allow_if": rule.allowances,
    }
    for key, checks in groups.items():
        for index, check in enumerate(checks):
            yield ("tools", name, key, index), check


def _against_schema(condition: Condition, definition: Definition) -> tuple[str, str] | None:
    """Say what the schema has against a condition, and what to do; None where nothing."""
    root = input_schema(definition)
    path = split_path(condition.path)
    try:
        kinds = _kinds_at(Schema(root), root, path)
    except (Unreadable, RecursionError):
        return None
    if unnamed := _unnamed(root, path):
        return unnamed
    wanted = _kinds_of(condition)
    if kinds & wanted:
        return None
    declared = f"declared {say_kinds(kinds)}" if kinds else "declared to be left out"
    return f"{condition.path} is {declared}, so {condition.op} never holds for it", _CURE


def _kinds_at(schema: Schema, here: Any, path: Path) -> int:
    """Return the kinds declared at a path; a number may be a member's name or an index."""
    if not path:
        return schema.kinds(here)
    step, rest = path[0], path[1:]
    kinds = _kinds_at(schema, schema.inside(here, step), rest)
    if not isinstance(step, Each) and step.isascii() and step.isdigit() and len(step) < 10:
        kinds |= _kinds_at(schema, schema.inside(here, int(step)), rest)
    return kinds


def _unnamed(root: Any, path: Path) -> tuple[str, str] | None:
    """Tell of an argument that a schema which names its arguments does not name."""
    named = root.get("properties") if isinstance(root, dict) else None
    open_to_others = not isinstance(root, dict) or any(
        key in root for key in ("$ref", "allOf", "anyOf", "oneOf", "patternProperties")
    )
    if open_to_others or not isinstance(named, dict) or not named or path[0] in named:
        return None
    if isinstance(root.get("additionalProperties"), dict):
        return None
    shown = [name for name in named if name.isprintable() and len(name) <= _LONGEST][:_MOST]
    return f"the tool has no argument {quote(str(path[0]))}", did_you_mean(
        str(path[0]), shown, QUOTED
    )


def _kinds_of(condition: Condition) -> int:
    """Return the kinds of value that a condition can hold for."""
    if condition.op in ORDER:
        return NUMBER
    if condition.op in _OF_TEXT:
        return TEXT
    if condition.op == "contains":
        return TEXT | LIST
    if condition.op == "exists":
        return ANY
    values = condition.value if condition.op in ("in", "not_in") else [condition.value]
    kinds = NONE
    for value in values:
        one = kind(value)
        kinds |= NUMBER if one & NUMBER else one
    return kinds or ANY
