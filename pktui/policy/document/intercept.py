"""Reads the policies of Intercept (PolicyLayer's open engine) into the same rules.

Its decisions are kept: what is not listed is allowed unless the default says deny; a rule's
conditions must hold or the call is denied by the rule's name; `"*"` rules follow a tool's own;
counters belong to a tool or to all tools (`_global`), in calendar windows, shared by all
clients. Where Intercept ignores a mistake (an unknown key, a negative step) it is told here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

from pktui.policy.document.intercept_operators import compile_test
from pktui.policy.document.native import MAX_NAME, Document
from pktui.policy.limits import MAX_UNITS, WINDOWS
from pktui.policy.operators import OPERATORS
from pktui.policy.rules import Action, Check, Condition, LimitRule, Reading, ToolRule
from pktui.policy.text.problems import QUOTED, BadOperand, Faults, Steps, quote
from pktui.policy.values import MISSING, Arguments, number
from pktui.suggest import did_you_mean

TOP_KEYS = ("version", "description", "default", "hide", "tools")
RULE_KEYS = ("name", "action", "rate_limit", "conditions", "on_deny", "state")
CONDITION_KEYS = ("path", "op", "value")
STATE_KEYS = ("counter", "window", "increment", "increment_from")
STATE_WINDOWS = ("minute", "hour", "day")
EVERY_TOOL = "*"
EVERY_SCOPE = "_global"

# A tool's name or `_global`, and the counter's name.
_Counter = tuple[str, str]


def could_be_intercept(value: Any) -> bool:
    """Return whether a document without tool rules may as well be one of Intercept's.

    It is taken for one where it says nothing that the two read differently, or leaves its
    default out, which only Intercept allows.
    """
    return (
        isinstance(value, dict)
        and not value.get("tools")
        and not value.keys() - set(TOP_KEYS)
        and value.get("default") in (None, "", "allow", "deny")
        and not (value.get("default") and value.get("hide"))
    )


def read_intercept(value: Any, faults: Faults) -> Document:
    """Return the document; where `faults` holds anything afterwards it must not be used."""
    return _Reader(faults).document(value)


@dataclass(frozen=True, slots=True)
class _Rule:
    checks: tuple[Check, ...] = ()
    limits: tuple[LimitRule, ...] = ()


class _Reader:
    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.windows: dict[_Counter, int] = {}

    def document(self, value: Any) -> Document:
        table = self._object(value, (), TOP_KEYS)
        version = self._text(table, (), "version")
        if version != "1":
            self.faults.add(("version",), f'version must be "1", got {quote(version)}', "Write 1")
        default = self._text(table, (), "default") or "allow"
        if default not in ("allow", "deny"):
            what = f'default must be "allow" or "deny", got {quote(default)}'
            self.faults.add(("default",), what, "Write allow or deny")
        tools = self._object(table.get("tools"), ("tools",), None)
        for name, entry in tools.items():
            self._declare(name, entry)
        rules = {name: self._tool(name, entry) for name, entry in tools.items()}
        return self._assemble(table, default, rules)

    def _assemble(self, table: dict[str, Any], default: str, rules: dict[str, _Rule]) -> Document:
        everyone = rules.get(EVERY_TOOL, _Rule())
        compiled = {
            name: _tool_rule(rule if name == EVERY_TOOL else _joined(rule, everyone))
            for name, rule in rules.items()
        }
        allowed = default != "deny"
        return Document(
            description=self._text(table, (), "description"),
            default=Action.ALLOW if allowed else Action.DENY,
            hide=self._hide(table),
            tools=compiled,
            all_limits=(),
            dialect="intercept",
            unlisted=_tool_rule(everyone, listed=False) if allowed else _default_deny(),
        )

    # Small readers. A scalar of another kind is read as its text, as Intercept's YAML does.

    def _object(self, value: Any, at: Steps, known: tuple[str, ...] | None) -> dict[str, Any]:
        if value is None and at:
            return {}
        if not isinstance(value, dict):
            self.faults.add(at, "this is not a mapping", "Write key: value")
            return {}
        if known is not None:
            self.faults.unknown_keys(at, value, known)
        return value

    def _list(self, table: dict[str, Any], at: Steps, key: str) -> list[Any]:
        value = table.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.faults.add((*at, key), f"{key} is not a list", "Write a list")
            return []
        return value

    def _text(self, table: dict[str, Any], at: Steps, key: str) -> str:
        return self._as_text(table.get(key), (*at, key))

    def _as_text(self, value: Any, at: Steps) -> str:
        if isinstance(value, (dict, list)):
            self.faults.add(at, f"{at[-1]} is not text", "Write one word or a quoted text")
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)

    def _hide(self, table: dict[str, Any]) -> tuple[str, ...]:
        names: list[str] = []
        for index, item in enumerate(self._list(table, (), "hide")):
            name = self._as_text(item, ("hide", index))
            if not name.strip():
                self.faults.add(("hide", index), "entry must not be empty", "Name a tool")
            elif name in names:
                what = f"duplicate entry {quote(name)}"
                self.faults.add(("hide", index), what, "Remove one of them")
            names.append(name)
        return tuple(names)

    def _declare(self, tool: str, entry: Any) -> None:
        """Note the window of every counter a tool's rules keep, and each that two of them do."""
        rules = entry.get("rules") if isinstance(entry, dict) else None
        seen: dict[str, int] = {}
        for index, rule in enumerate(rules if isinstance(rules, list) else ()):
            counter, window = _kept(rule)
            if not counter:
                continue
            self.windows.setdefault((_scope(tool), counter), window)
            if counter in seen:
                first = f"(also used by rules[{seen[counter]}])"
                self.faults.add(
                    ("tools", tool, "rules", index),
                    f"duplicate state counter {quote(counter)} {first}",
                    "Give each rule of a tool its own counter",
                )
            seen.setdefault(counter, index)

    def _tool(self, tool: str, value: Any) -> _Rule:
        at: Steps = ("tools", tool)
        if len(tool) > MAX_NAME:
            what = f"this name has {len(tool)} characters"
            self.faults.add(at, what, f"Use at most {MAX_NAME} characters", on_key=True)
        table = self._object(value, at, ("rules",))
        read = [
            self._rule(tool, item, (*at, "rules", index))
            for index, item in enumerate(self._list(table, at, "rules"))
        ]
        limits = tuple(limit for rule in read for limit in rule.limits)
        return _Rule(tuple(check for rule in read for check in rule.checks), limits)

    def _rule(self, tool: str, value: Any, at: Steps) -> _Rule:
        table = self._object(value, at, RULE_KEYS)
        name = self._text(table, at, "name")
        if not name:
            self.faults.add((*at, "name"), "rule must have a name", "Add a name")
        action = self._text(table, at, "action") or "evaluate"
        if action not in ("evaluate", "deny"):
            what = f'action must be "evaluate" or "deny", got {quote(action)}'
            self.faults.add((*at, "action"), what, "Write evaluate or deny")
        on_deny = self._text(table, at, "on_deny")
        if table.get("rate_limit") not in (None, ""):
            return self._rate_limit(tool, name, table, at)
        if action == "deny":
            if table.get("conditions"):
                what = "deny rules must not have conditions"
                self.faults.add((*at, "conditions"), what, "Remove them, or the action")
            if table.get("state") is not None:
                self._state(tool, name, on_deny, table, (*at, "state"))
            return _Rule((Check(name, on_deny or _denied_by(name), (), denies_when=True),))
        if not table.get("conditions") and action == "evaluate":
            what = "evaluate rules must have at least one condition"
            self.faults.add(at, what, "Add a condition, or action: deny")
        return self._evaluated(tool, name, on_deny, table, at)

    def _evaluated(
        self, tool: str, name: str, on_deny: str, table: dict[str, Any], at: Steps
    ) -> _Rule:
        tests: list[Condition] = []
        readings: list[Reading] = []
        for index, item in enumerate(self._list(table, at, "conditions")):
            found = self._condition(item, (*at, "conditions", index))
            if isinstance(found, Condition):
                tests.append(found)
            elif found is not None:
                readings.append(found)
        check = Check(name, on_deny or _denied_by(name), tuple(tests), False, tuple(readings))
        if table.get("state") is None:
            return _Rule((check,))
        limit = self._state(tool, name, on_deny, table, (*at, "state"))
        return _Rule((check,), (limit,) if limit else ())

    def _condition(self, value: Any, at: Steps) -> Condition | Reading | None:
        table = self._object(value, at, CONDITION_KEYS)
        path = self._text(table, at, "path")
        op = self._text(table, at, "op")
        if not path.startswith(("args.", "state.")):
            what = f'path must start with "args." or "state.", got {quote(path)}'
            self.faults.add((*at, "path"), what, "Start it with args. or state.")
            path = ""
        if op not in OPERATORS:
            cure = did_you_mean(op, OPERATORS, QUOTED)
            self.faults.add((*at, "op"), f"unknown operator {quote(op)}", cure)
            return None
        operand = table.get("value")
        try:
            test = compile_test(op, operand)
        except BadOperand as error:
            self.faults.add((*at, "value"), str(error), error.cure)
            return None
        if path.startswith("state."):
            return self._reading(path, test, at)
        find = _lookup(path)
        return Condition(path, op, operand, lambda arguments, _place: test(find(arguments)))

    def _reading(self, path: str, test: Any, at: Steps) -> Reading | None:
        scope, counter = _counter_of(path)
        window = self.windows.get((scope, counter))
        if window is None:
            cure = (
                f"Add state: {{counter: {counter or 'name'}, window: day}} to a rule of that tool"
            )
            self.faults.add((*at, "path"), _unkept(path), cure)
            return None
        return Reading(f"{scope}.{counter}", window, test)

    def _state(
        self, tool: str, name: str, on_deny: str, table: dict[str, Any], at: Steps
    ) -> LimitRule | None:
        state = self._object(table.get("state"), at, STATE_KEYS)
        if not isinstance(table.get("state"), dict):
            return None
        counter = self._text(state, at, "counter")
        if not counter:
            self.faults.add((*at, "counter"), "counter must not be empty", "Name it")
        window = self._text(state, at, "window")
        if window not in STATE_WINDOWS:
            what = f'window must be "minute", "hour", or "day", got {quote(window)}'
            self.faults.add((*at, "window"), what, "Write minute, hour or day")
        increment = self._increment(state, at)
        source = self._text(state, at, "increment_from")
        if source and not source.startswith("args."):
            what = f'increment_from must start with "args.", got {quote(source)}'
            self.faults.add((*at, "increment_from"), what, "Start it with args.")
        scope = _scope(tool)
        maximum = _bound(table.get("conditions"), scope, counter)
        if maximum is None:
            return None
        return _limit(
            name, f"{scope}.{counter}", WINDOWS.get(window, 1), maximum,
            on_deny or f"Rate limit exceeded for {name}",
            increment=increment, increment_from=source,
            amount_of=_lookup(source) if source else None,
        )  # fmt: skip

    def _increment(self, state: dict[str, Any], at: Steps) -> Decimal:
        value = state.get("increment")
        if value is None or (type(value) is int and 0 <= value <= MAX_UNITS):
            return Decimal(value or 1)
        what = "increment is not a whole number of 0 or more"
        self.faults.add((*at, "increment"), what, "Write a whole number, like 1")
        return Decimal(1)

    def _rate_limit(self, tool: str, name: str, table: dict[str, Any], at: Steps) -> _Rule:
        here: Steps = (*at, "rate_limit")
        if table.get("conditions") or table.get("state") is not None:
            what = "rate_limit cannot be combined with conditions or state"
            self.faults.add(here, what, "Write separate rules")
        if table.get("action") == "deny":
            what = 'rate_limit cannot be used with action "deny"'
            self.faults.add(here, what, "Remove one of them")
        text = self._text(table, at, "rate_limit")
        if not text:
            return _Rule()
        count, slash, window = text.partition("/")
        maximum = int(count) if count.isascii() and count.isdigit() and len(count) <= 13 else 0
        if not slash:
            what = f'rate_limit must be in the format "N/window", got {quote(text)}'
            self.faults.add(here, what, 'Write it like "5/hour"')
        elif not 0 < maximum <= MAX_UNITS:
            what = f"rate_limit count must be a positive integer, got {quote(count)}"
            self.faults.add(here, what, 'Write it like "5/hour"')
        elif window not in STATE_WINDOWS:
            what = f'rate_limit window must be "minute", "hour", or "day", got {quote(window)}'
            self.faults.add(here, what, 'Write it like "5/hour"')
        told = f"Rate limit of {maximum} per {window} reached. Try again later."
        on_deny = self._text(table, at, "on_deny") or told
        counter = f"{_scope(tool)}._rate_{window}"
        length = WINDOWS.get(window, 1)
        if window in STATE_WINDOWS and _counter_of(f"state.{counter}") not in self.windows:
            cure = "Only a tool without a dot in its name can have one; use pktui's own form"
            self.faults.add(here, _unkept(f"state.{counter}"), cure)
        return _Rule((), (_limit(name, counter, length, Decimal(maximum), on_deny),))


def _kept(rule: Any) -> tuple[str, int]:
    """Return the counter a rule keeps and its window, empty where it keeps none."""
    if not isinstance(rule, dict):
        return "", 0
    state, rate = rule.get("state"), rule.get("rate_limit")
    if isinstance(state, dict) and isinstance(state.get("counter"), str):
        return state["counter"], WINDOWS.get(str(state.get("window")), WINDOWS["day"])
    window = str(rate or "").partition("/")[2]
    return (f"_rate_{window}", WINDOWS[window]) if window in STATE_WINDOWS else ("", 0)


def _counter_of(path: str) -> _Counter:
    """Return the counter a `state.` path names: what follows the first dot behind the tool."""
    tool, _, counter = path.removeprefix("state.").partition(".")
    return _scope(tool), counter


def _unkept(path: str) -> str:
    return f"condition references {path} but no matching state block found"


def _lookup(path: str) -> Callable[[Arguments], Any]:
    """Return a function that follows a path through objects; Intercept indexes no lists."""
    steps = path.removeprefix("args.").split(".")

    def follow(arguments: Arguments) -> Any:
        value: Any = arguments
        for step in steps:
            value = value.get(step, MISSING) if isinstance(value, Mapping) else MISSING
        return value

    return follow


def _bound(conditions: Any, scope: str, counter: str) -> Decimal | None:
    """Return the most units that a rule's first bound on its own counter admits."""
    for item in conditions if isinstance(conditions, list) else ():
        if not isinstance(item, dict) or item.get("op") not in ("lt", "lte"):
            continue
        path, exact = str(item.get("path")), number(item.get("value"))
        if path.startswith("state.") and _counter_of(path) == (scope, counter):
            if exact is None:
                continue
            whole = Decimal(exact).to_integral_value(ROUND_DOWN)
            return min(whole - 1 if item["op"] == "lt" else whole, MAX_UNITS)
    return None


def _limit(
    name: str, counter: str, window: int, maximum: Decimal, on_deny: str, **more: Any
) -> LimitRule:
    return LimitRule(
        name, counter, window, maximum, "server", "calendar",
        on_deny=on_deny, exact_words=True, **more,
    )  # fmt: skip


def _joined(own: _Rule, everyone: _Rule) -> _Rule:
    return _Rule((*own.checks, *everyone.checks), (*own.limits, *everyone.limits))


def _tool_rule(rule: _Rule, *, listed: bool = True) -> ToolRule:
    return ToolRule("", Action.ALLOW, "", rule.checks, (), rule.limits, listed)


def _default_deny() -> ToolRule:
    return ToolRule("(default deny)", Action.DENY, "", listed=False)


def _denied_by(name: str) -> str:
    return f"Denied by rule {quote(name, len(name))}"


def _scope(tool: str) -> str:
    return EVERY_SCOPE if tool == EVERY_TOOL else tool
