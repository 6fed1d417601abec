"""Writes an Intercept policy in pktui's own form, and says what could not be said there.

What cannot be expressed is never dropped in silence: the call is denied instead, and a note
names the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pktui.errors import PolicyError
from pktui.policy.document.intercept import EVERY_SCOPE, EVERY_TOOL
from pktui.policy.globs import is_pattern
from pktui.policy.limits import plain, window_name
from pktui.policy.rules import Action, Check, Condition, LimitRule, ToolRule
from pktui.policy.text.layout import write_document
from pktui.policy.text.problems import quote
from pktui.policy.values import number

if TYPE_CHECKING:
    from pktui.policy.document.policy import Policy

_LOST = "This rule could not be converted from Intercept; write it anew."


@dataclass(frozen=True, slots=True)
class Converted:
    """A document in pktui's own form, and what a person should know about it."""

    document: bytes
    notes: tuple[str, ...]


def convert(policy: Policy) -> Converted:
    """Convert a policy that was read from Intercept's dialect; raises `PolicyError` otherwise."""
    if policy.dialect != "intercept":
        raise PolicyError(
            f"{policy.source or 'the policy'} is in pktui's own form already",
            "Nothing is to be converted",
        )
    return _Writer(policy).write()


class _Writer:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.notes: list[str] = []

    def write(self) -> Converted:
        document: dict[str, Any] = {"version": "1"}
        if self.policy.description:
            document["description"] = self.policy.description
        document["default"] = self.policy.default.value
        hidden = [name for name in self.policy.hide if name == "*" or self._can_be_named(name)]
        if hidden:
            document["hide"] = hidden
        shared = self._shared_limits()
        if shared:
            document["all_tools"] = {"limits": [self._limit(limit) for limit in shared]}
        document["tools"] = self._tools()
        self._note_hidden()
        return Converted(write_document(document), tuple(self.notes))

    def _tools(self) -> dict[str, Any]:
        tools = {
            name: self._tool(name, rule)
            for name, rule in self.policy.tools.items()
            if name != EVERY_TOOL and self._can_be_named(name)
        }
        unlisted = self.policy.unlisted
        if self.policy.default is not Action.DENY and unlisted.checks:
            tools["*"] = self._tool("*", unlisted)
        return tools

    def _can_be_named(self, name: str) -> bool:
        if name.strip() and not is_pattern(name):
            return True
        raise PolicyError(
            f"the tool name {quote(name)} cannot be written in pktui's own form",
            "Rename or remove that entry first: *, ? and brackets are not part of names there",
        )

    def _shared_limits(self) -> list[LimitRule]:
        everyone = self.policy.tools.get(EVERY_TOOL)
        limits = everyone.limits if everyone else self.policy.unlisted.limits
        return [limit for limit in limits if limit.counter.startswith(f"{EVERY_SCOPE}.")]

    def _tool(self, name: str, rule: ToolRule) -> dict[str, Any]:
        """Write a tool's rules; those for every tool are part of them already."""
        entry: dict[str, Any] = {}
        for check in rule.checks:
            key, predicate = self._predicate(name, rule, check)
            if predicate:
                entry.setdefault(key, []).append(predicate)
        own = [limit for limit in rule.limits if not limit.counter.startswith(f"{EVERY_SCOPE}.")]
        if own:
            entry["limits"] = [self._limit(limit) for limit in own]
        return entry

    def _predicate(
        self, tool: str, rule: ToolRule, check: Check
    ) -> tuple[str, dict[str, Any] | None]:
        told = {"on_deny": check.reason}
        if check.denies_when:
            return "deny_if", {"conditions": [], **told}
        if self._is_lost(tool, rule, check):
            return "deny_if", {"conditions": [], "on_deny": _LOST}
        conditions = [self._condition(tool, condition) for condition in check.conditions]
        return "require", {"conditions": conditions, **told} if conditions else None

    def _is_lost(self, tool: str, rule: ToolRule, check: Check) -> bool:
        """Note what a rule asks that has no form here: another rule's counter, an empty key."""
        bounds = {limit.counter for limit in rule.limits if limit.rule == check.rule}
        for reading in check.readings:
            if reading.counter not in bounds:
                self.notes.append(
                    f"{tool}: rule {quote(check.rule)} reads the counter "
                    f"{quote(reading.counter)}, which no rule can do here; it denies instead"
                )
                return True
        for condition in check.conditions:
            if not all(condition.path.removeprefix("args.").split(".")):
                self.notes.append(
                    f"{tool}: rule {quote(check.rule)} looks at {quote(condition.path)}, a key "
                    "without a name; it denies instead"
                )
                return True
        return False

    def _condition(self, tool: str, condition: Condition) -> dict[str, Any]:
        path = _escaped(condition.path)
        if any(step.isdigit() for step in path.split(".")):
            self.notes.append(f"{tool}: {path} also indexes lists here")
        op, value = condition.op, condition.value
        if op in ("neq", "not_in") or (op == "exists" and not value and "." in path[5:]):
            self.notes.append(
                f"{tool}: {path} {op} no longer lets a value of another type through, which "
                "can't be judged here"
            )
        if op in ("eq", "neq") and len(variants := _variants(value)) > 1:
            op, value = {"eq": "in", "neq": "not_in"}[op], variants
        elif op in ("in", "not_in"):
            value = [form for item in value for form in _variants(item)]
        elif op == "contains" and len(_variants(value)) > 1:
            self.notes.append(
                f"{tool}: {path} contains {quote(str(value))} no longer finds it in a list where "
                "it is a number on one side and text on the other"
            )
        return {"path": path, "op": op, "value": value}

    def _limit(self, limit: LimitRule) -> dict[str, Any]:
        counter = limit.counter.removeprefix(f"{EVERY_SCOPE}.")
        maximum = max(limit.max, Decimal(0))
        if not limit.increment_from and limit.increment > 1:
            maximum = maximum // limit.increment
        written: dict[str, Any] = {
            "counter": counter,
            "window": window_name(limit.window_us),
            "max": int(plain(maximum)),
            "scope": "server",
            "align": "calendar",
        }
        if limit.increment_from:
            written["increment_from"] = _escaped(limit.increment_from)
        return written | {"on_deny": limit.on_deny}

    def _note_hidden(self) -> None:
        if self.policy.hide:
            self.notes.append(
                "A hidden tool is unknown to the agent here; Intercept told it that the tool is "
                "hidden"
            )


def _escaped(path: str) -> str:
    """Write a path so that brackets, stars and backslashes belong to names."""
    return "".join(f"\\{character}" if character in "\\[]*" else character for character in path)


def _variants(value: Any) -> list[Any]:
    """Return every value that Intercept takes for equal to this one."""
    if isinstance(value, bool):
        return [value, "true" if value else "false"]
    if isinstance(value, str):
        if value in ("true", "false"):
            return [value, value == "true"]
        try:
            exact = Decimal(value)
        except ArithmeticError:
            return [value]
        whole = exact.is_finite() and exact == exact.to_integral_value() and len(value) < 20
        return [value, int(exact)] if whole and str(int(exact)) == value else [value]
    exact_number = number(value)
    if exact_number is None:
        return [value]
    return [value, plain(Decimal(exact_number))]
