"""Reads pktui's own policy grammar, strictly: every key is known or named as a mistake."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from pktui.policy.conditions import CONDITION_OPERATORS, compile_condition
from pktui.policy.globs import is_glob, is_pattern, overlap
from pktui.policy.limits import MAX_UNITS, WINDOWS, read_rate, window_us
from pktui.policy.look import Look, bad_paths, plain
from pktui.policy.paths import EACH, Path, lookup, split_path
from pktui.policy.rules import Action, Check, Condition, Dialect, LimitRule, Listed, ToolRule
from pktui.policy.text.problems import QUOTED, BadOperand, Faults, Steps, dotted, pointer, quote
from pktui.policy.wording import describe
from pktui.suggest import did_you_mean

TOP_KEYS = (
    *("version", "description", "default", "hide", "list", "on_outage", "all_tools", "tools"),
    "$schema",
)
TOOL_KEYS = (
    "action", "reason", "require", "deny_if", "approve_if", "allow_if", "limits", "rate_limit",
    "approvers", "look",
)  # fmt: skip
LIMIT_KEYS = ("counter", "window", "max", "scope", "align", "increment_from", "on_deny")
PREDICATE_KEYS = ("conditions", "on_deny")
CONDITION_KEYS = ("path", "op", "value")
RATE_KEYS = ("max", "window")
LOOK_KEYS = ("tool", "args")
ACTIONS = tuple(action.value for action in Action)
# Other words for `approve`, which other policies use.
ASKING = ("approve", "require_approval", "ask")
LISTS = ("callable", "all")
ON_OUTAGE = ("deny", "allow")
SCOPES = ("grant", "session", "server")
# Predicates that hold where they can't be judged; the others fail there.
HOLD_IN_DOUBT = ("deny_if", "approve_if")
ALIGNS = ("sliding", "calendar")
MAX_NAME = 256
MAX_COUNTER = 300
MAX_APPROVERS = 9

_WINDOW_CURE = 'Write "second", "minute", "hour", "day" or whole seconds'


class Document(msgspec.Struct, frozen=True):
    """A read document, before it becomes a `Policy`."""

    description: str
    default: Action
    hide: tuple[str, ...]
    tools: dict[str, ToolRule]
    all_limits: tuple[LimitRule, ...]
    dialect: Dialect = "native"
    # What happens to other tools, where the default alone does not say it.
    unlisted: ToolRule | None = None
    list: Listed = "all"
    # Whether tools that only read go on while the team's database is away.
    reads_go_on: bool = False


def read_native(value: Any, faults: Faults) -> Document:
    """Return the document; where `faults` holds anything afterwards it must not be used."""
    return _Reader(faults).document(value)


def read_conditions(value: Any, faults: Faults) -> tuple[Condition, ...]:
    """Return conditions that allow something; where `faults` holds anything use none of them."""
    if not isinstance(value, list):
        faults.add((), "the conditions are not a list", "Write [ … ]")
        return ()
    reader = _Reader(faults)
    found = (reader.condition(item, (index,), "allow_if") for index, item in enumerate(value))
    return tuple(condition for condition in found if condition is not None)


class _Reader:
    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def document(self, value: Any) -> Document:
        table = self._object(value, (), TOP_KEYS)
        version = table.get("version", "")
        if version != "1":
            what = f'version must be "1", got {_shown(version)}'
            self.faults.add(("version",), what, 'Write "version": "1"')
        default = self._choice(table, (), "default", ACTIONS, required=True)
        all_tools = self._object(table.get("all_tools", {}), ("all_tools",), ("limits",))
        all_limits = self._limits(all_tools, ("all_tools",), ("all_tools",))
        tools = self._tools(table.get("tools", {}))
        self._charged_twice(tools, all_limits)
        return Document(
            description=self._text(table, (), "description"),
            default=Action(default or "deny"),
            hide=self._hide(table.get("hide", [])),
            list=self._choice(table, (), "list", LISTS) or "callable",  # type: ignore[arg-type]
            tools=tools,
            all_limits=all_limits,
            reads_go_on=self._choice(table, (), "on_outage", ON_OUTAGE) == "allow",
        )

    # Small readers: each notes what is wrong and returns something of the right kind.

    def _object(self, value: Any, at: Steps, known: tuple[str, ...] | None) -> dict[str, Any]:
        if not isinstance(value, dict):
            name = dotted(at) or "the document"
            self.faults.add(at, f"{name} is not an object", "Write { … }")
            return {}
        if known is not None:
            self.faults.unknown_keys(at, value, known)
        return value

    def _list(self, table: dict[str, Any], at: Steps, key: str) -> list[Any]:
        value = table.get(key, [])
        if not isinstance(value, list):
            self.faults.add((*at, key), f"{key} is not a list", "Write [ … ]")
            return []
        return value

    def _text(self, table: dict[str, Any], at: Steps, key: str) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            self.faults.add((*at, key), f"{key} is not text", "Write it in double quotes")
            return ""
        return value

    def _choice(
        self,
        table: dict[str, Any],
        at: Steps,
        key: str,
        known: tuple[str, ...],
        *,
        required: bool = False,
    ) -> str:
        if key not in table:
            if required:
                self.faults.add(
                    (*at, key), f"{key} is missing", f"Add it: one of {', '.join(known)}"
                )
            return ""
        value = table[key]
        if isinstance(value, str) and value in known:
            return value
        cure = did_you_mean(value, known, QUOTED) if isinstance(value, str) else ""
        cure = cure if cure.startswith("Did") else f"Write one of {', '.join(known)}"
        self.faults.add((*at, key), f"{key} is {_shown(value)}", cure)
        return ""

    def _name(self, name: Any, at: Steps, *, on_key: bool = False) -> bool:
        """Note a tool name or glob that could never match a tool."""
        if not isinstance(name, str):
            self.faults.add(at, "a tool's name is not text", "Write it in double quotes")
        elif not name.strip():
            self.faults.add(at, "a tool's name is empty", "Name a tool or a glob", on_key=on_key)
        elif len(name) > MAX_NAME:
            what = f"this name has {len(name)} characters"
            self.faults.add(at, what, f"Use at most {MAX_NAME} characters", on_key=on_key)
        elif is_pattern(name.replace("*", "")):
            cure = "Only * is a wildcard; write the name out or use *"
            self.faults.add(at, f"{quote(name)} holds ?, [ or ]", cure, on_key=on_key)
        else:
            return True
        return False

    def _hide(self, value: Any) -> tuple[str, ...]:
        names: list[str] = []
        for index, name in enumerate(self._list({"hide": value}, (), "hide")):
            if self._name(name, ("hide", index)):
                if name in names:
                    self.faults.add(
                        ("hide", index), f"duplicate entry {quote(name)}", "Remove one of them"
                    )
                names.append(name)
        return tuple(names)

    def _tools(self, value: Any) -> dict[str, ToolRule]:
        rules: dict[str, ToolRule] = {}
        for name, entry in self._object(value, ("tools",), None).items():
            self._name(name, ("tools", name), on_key=True)
            rules[name] = self._tool(name, entry)
        self._ties([name for name, rule in rules.items() if _can_tie(name, rule)])
        return rules

    def _ties(self, globs: list[str]) -> None:
        """Note globs of equal rank that could both claim one tool; those that deny come first."""
        for index, glob in enumerate(globs):
            prefix = glob.partition("*")[0]
            for earlier in globs[:index]:
                if earlier.partition("*")[0] == prefix and overlap(earlier, glob):
                    self.faults.add(
                        ("tools", glob),
                        f"{quote(glob)} and {quote(earlier)} match the same tools with equal rank",
                        "Make the text before * longer in the one that should win",
                        on_key=True,
                    )

    def _tool(self, name: str, value: Any) -> ToolRule:
        at: Steps = ("tools", name)
        table = self._object(value, at, TOOL_KEYS)
        word = self._choice(table, at, "action", (*ACTIONS, *ASKING[1:])) or "allow"
        action = Action.APPROVE if word in ASKING else Action(word)
        reason = self._text(table, at, "reason")
        limits = self._limits(table, at, at)
        if "rate_limit" in table:
            limits = (*limits, *self._rate_limit(name, table["rate_limit"], (*at, "rate_limit")))
        self._same_counter(limits, at)
        if "allow_if" in table and action is not Action.APPROVE:
            what = f"allow_if says nothing where action is {action}"
            self.faults.add((*at, "allow_if"), what, 'Write "action": "approve", or remove it',
                            on_key=True)  # fmt: skip
        approvers = self._approvers(table, at, asks=action is Action.APPROVE)
        return ToolRule(
            rule=pointer(*at),
            approvers=approvers,
            action=action,
            reason=reason or _default_reason(name, action),
            checks=(
                *self._predicates(table, at, "require", reason),
                *self._predicates(table, at, "deny_if", reason),
            ),
            approvals=self._predicates(table, at, "approve_if", reason),
            allowances=self._predicates(table, at, "allow_if", reason),
            limits=limits,
            words=reason,
            look=self._look(table["look"], (*at, "look")) if "look" in table else None,
        )

    def _look(self, value: Any, at: Steps) -> Look:
        table = self._object(value, at, LOOK_KEYS)
        tool = table.get("tool")
        if tool is None and isinstance(value, dict):
            self.faults.add((*at, "tool"), "tool is missing", "Name the tool that shows it")
        elif tool is not None and self._name(tool, (*at, "tool")) and is_glob(tool):
            self.faults.add((*at, "tool"), f"{quote(tool)} is a glob", "Name one tool")
        arguments = self._object(table.get("args", {}), (*at, "args"), None)
        for below, path, cure in bad_paths(arguments):
            what = f"path {quote(path)} is not one that is followed to one value"
            self.faults.add((*at, "args", *below), what, cure)
        return Look(str(tool), plain(arguments))

    def _approvers(self, table: dict[str, Any], at: Steps, *, asks: bool) -> int:
        value = table.get("approvers", 1)
        if type(value) is not int or not 1 <= value <= MAX_APPROVERS:
            what = f"approvers is {_shown(value)}"
            self.faults.add((*at, "approvers"), what, f"Write a number from 1 to {MAX_APPROVERS}")
            return MAX_APPROVERS
        if value > 1 and not (asks or table.get("approve_if")):
            what = "approvers says nothing where no call is asked about"
            cure = 'Write "action": "approve" or an approve_if, or remove it'
            self.faults.add((*at, "approvers"), what, cure, on_key=True)
        return value

    def _predicates(
        self, table: dict[str, Any], at: Steps, key: str, reason: str
    ) -> tuple[Check, ...]:
        return tuple(
            self._predicate(item, (*at, key, index), key, reason)
            for index, item in enumerate(self._list(table, at, key))
        )

    def _predicate(self, value: Any, at: Steps, key: str, reason: str) -> Check:
        table = self._object(value, at, PREDICATE_KEYS)
        conditions = tuple(
            condition
            for index, item in enumerate(self._list(table, at, "conditions"))
            if (condition := self.condition(item, (*at, "conditions", index), key))
        )
        if key == "require" and not conditions:
            self.faults.add(at, "this requires nothing", "Add a condition or remove the entry")
        one = len(conditions) == 1
        last = f"{conditions[0].path}-{conditions[0].op}" if one else at[-1]
        words = self._text(table, at, "on_deny")
        return Check(
            rule=pointer(*at[:-1], last),
            reason=words or _say_check(key, conditions, reason),
            conditions=conditions,
            denies_when=key in HOLD_IN_DOUBT,
            words=words or reason,
        )

    def condition(self, value: Any, at: Steps, key: str) -> Condition | None:
        table = self._object(value, at, CONDITION_KEYS)
        path = self._text(table, at, "path")
        steps = self._path(path, (*at, "path"), given="path" in table)
        op = self._choice(table, at, "op", CONDITION_OPERATORS, required=True)
        if "value" not in table:
            self.faults.add((*at, "value"), "value is missing", "Add what to compare with")
        if not (steps and op and "value" in table):
            return None
        try:
            return compile_condition(
                path, steps, op, table["value"], every=key not in HOLD_IN_DOUBT
            )
        except BadOperand as error:
            self.faults.add((*at, "value"), str(error), error.cure)
            return None

    def _path(self, path: str, at: Steps, *, given: bool = True) -> Path:
        try:
            return split_path(path)
        except ValueError as error:
            what = f"path {quote(path)} is not one that is followed" if given else "path is missing"
            self.faults.add(at, what, str(error))
            return ()

    def _limits(self, table: dict[str, Any], at: Steps, rule: Steps) -> tuple[LimitRule, ...]:
        found = tuple(
            self._limit(item, (*at, "limits", index), rule)
            for index, item in enumerate(self._list(table, at, "limits"))
        )
        if at == ("all_tools",):
            self._same_counter(found, at)
        return found

    def _limit(self, value: Any, at: Steps, rule: Steps) -> LimitRule:
        table = self._object(value, at, LIMIT_KEYS)
        counter = self._text(table, at, "counter")
        if not 0 < len(counter) <= MAX_COUNTER:
            self.faults.add((*at, "counter"), "counter has no usable name", "Name it, like calls")
        source = self._text(table, at, "increment_from")
        steps = self._path(source, (*at, "increment_from")) if "increment_from" in table else ()
        if EACH in steps:
            what = f"increment_from {quote(source)} names several arguments"
            self.faults.add((*at, "increment_from"), what, "Name the one whose number counts")
        return LimitRule(
            rule=pointer(*rule, "limits", counter),
            counter=counter,
            window_us=self._window(table, at),
            max=self._max(table, at, whole=not source),
            scope=self._choice(table, at, "scope", SCOPES) or "grant",  # type: ignore[arg-type]
            align=self._choice(table, at, "align", ALIGNS) or "sliding",  # type: ignore[arg-type]
            increment_from=source,
            amount_of=lookup(steps) if steps else None,
            on_deny=self._text(table, at, "on_deny"),
        )

    def _window(self, table: dict[str, Any], at: Steps) -> int:
        value = table.get("window")
        length = window_us(value)
        if length is None:
            what = f"window is {_shown(value)}" if "window" in table else "window is missing"
            self.faults.add((*at, "window"), what, _WINDOW_CURE)
        return length or WINDOWS["day"]

    def _max(self, table: dict[str, Any], at: Steps, *, whole: bool) -> Decimal:
        value = table.get("max")
        good = type(value) is int or (not whole and type(value) is Decimal)
        if good and value is not None and 0 <= value <= MAX_UNITS:
            return Decimal(value)
        what = "max is not usable" if "max" in table else "max is missing"
        kind = "a whole number" if whole else "a number"
        self.faults.add((*at, "max"), what, f"Write {kind} from 0 to {MAX_UNITS}")
        return Decimal(0)

    def _rate_limit(self, name: str, value: Any, at: Steps) -> tuple[LimitRule, ...]:
        rate: tuple[int, int] | None
        if isinstance(value, str):
            rate = read_rate(value)
            if rate is None:
                self.faults.add(at, f"rate_limit {quote(value)} is not N/window",
                                'Write it like "10/minute"')  # fmt: skip
                return ()
        else:
            table = self._object(value, at, RATE_KEYS)
            rate = (int(self._max(table, at, whole=True)), self._window(table, at))
        return (rate_limit_rule(name, *rate),)

    def _same_counter(self, limits: tuple[LimitRule, ...], at: Steps) -> None:
        seen: set[tuple[str, str, int, str]] = set()
        for limit in limits:
            if (key := _counts(limit)) in seen:
                self.faults.add(
                    (*at, "limits"),
                    f"the counter {quote(limit.counter)} is charged twice by one call",
                    "Give the limits different counters, or remove one",
                )
            seen.add(key)

    def _charged_twice(self, tools: dict[str, ToolRule], shared: tuple[LimitRule, ...]) -> None:
        keys = {_counts(limit) for limit in shared}
        for name, rule in tools.items():
            for limit in rule.limits:
                if _counts(limit) in keys:
                    self.faults.add(
                        ("tools", name),
                        f"the counter {quote(limit.counter)} also counts in all_tools",
                        "Give this limit another counter, or one call would count twice",
                    )


def _can_tie(name: str, rule: ToolRule) -> bool:
    return is_glob(name) and rule.action is not Action.DENY


def rate_limit_rule(name: str, maximum: int, window: int) -> LimitRule:
    """Return the limit that the shorthand `rate_limit` stands for."""
    return LimitRule(
        rule=pointer("tools", name, "limits", f"{name}_rate"),
        counter=f"{name}_rate",
        window_us=window,
        max=Decimal(maximum),
        scope="session",
        align="sliding",
    )


def _counts(limit: LimitRule) -> tuple[str, str, int, str]:
    return (limit.counter, limit.scope, limit.window_us, limit.align)


def _shown(value: Any) -> str:
    """Write a wrong value as its text in quotes, or name its kind."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return f"{quote(str(value).lower())} (a boolean)"
    if isinstance(value, (int, Decimal)):
        return f"{quote(str(value))} (a number)"
    if value is None:
        return "null"
    return "an object" if isinstance(value, dict) else "a list"


def _default_reason(name: str, action: Action) -> str:
    return {
        Action.ALLOW: "The policy allows this tool.",
        Action.DENY: f"Tool {quote(name)} is denied by policy.",
        Action.APPROVE: f"Tool {quote(name)} needs a person's approval.",
    }[action]


def _say_check(key: str, conditions: tuple[Condition, ...], reason: str) -> str:
    opening: dict[str, Callable[[str], str]] = {
        "require": lambda told: f"Only allowed when {told}.",
        "deny_if": lambda told: f"Denied because {told}.",
        "approve_if": lambda told: f"A person must approve this because {told}.",
        "allow_if": lambda told: f"Allowed without asking because {told}.",
    }
    if key == "allow_if":
        reason = ""
    told = describe(conditions) or "the policy says so for every call"
    return f"{opening[key](told)} {reason}".rstrip()
