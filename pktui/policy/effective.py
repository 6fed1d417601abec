"""What a policy comes to for one tool, in a person's words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from pktui.policy.globs import Glob, is_glob
from pktui.policy.rules import Action
from pktui.policy.text.problems import quote
from pktui.policy.wording import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.policy.document.policy import Policy
    from pktui.policy.rules import Check, LimitRule, ToolRule

EffectiveAction = Literal["allow", "deny", "approve", "hide"]
_STRICT: Final = ("hide", "deny", "approve", "allow")
_DOES: Final = {"hide": "hides", "deny": "denies", "approve": "asks about", "allow": "allows"}


@dataclass(frozen=True, slots=True)
class EffectiveRule:
    """The one state of a tool: `because` is a sentence, `rule` the JSON pointer that decides.

    `conditions` says, one sentence each, when arguments change the answer. `layer` is the managed
    file whose policy decides, empty where the person's own does.
    """

    action: EffectiveAction
    because: str
    rule: str
    limits: tuple[LimitRule, ...]
    conditions: tuple[str, ...] = ()
    layer: str = ""


def effective(policy: Policy, tool: str, *, changed: bool = False) -> EffectiveRule:
    """Return what would happen to the tool's next call; for a glob of the policy what that says.

    `changed`: its server defines the tool otherwise than it was accepted. Without it this is what
    the policy says by itself.
    """
    found = _of_layers(policy, tool) if policy.over else _by_policy(policy, tool)
    if not changed or found.action not in ("allow", "approve"):
        return found
    because = "its definition changed since it was accepted"
    if found.action == "approve":
        because = f"{because}, and {found.because}"
    return replace(found, action="approve", because=because, rule="(definition changed)")


def ceiling_of(policy: Policy, tool: str) -> EffectiveRule | None:
    """Return what the managed policies alone make of a tool, None where there are none."""
    managed = [_managed(one, tool) for one in policy.over]
    return _strictest(managed) if managed else None


def refusal(ceiling: EffectiveRule, tool: str, action: EffectiveAction) -> str:
    """Say why an action for a tool would loosen what is managed; empty where it would not."""
    if _STRICT.index(action) <= _STRICT.index(ceiling.action):
        return ""
    does = _DOES[ceiling.action]
    return f"{ceiling.because}; it {does} {quote(tool)}, and nothing set here loosens that"


def _of_layers(policy: Policy, tool: str) -> EffectiveRule:
    own = _by_policy(policy.own, tool)
    layers = [*(_managed(one, tool) for one in policy.over), own]
    found = _strictest(layers)
    return replace(
        own if found.action == "allow" else found,
        limits=tuple(limit for one in layers for limit in one.limits),
        conditions=tuple(said for one in layers for said in one.conditions),
    )


def _managed(policy: Policy, tool: str) -> EffectiveRule:
    """Return what one managed policy makes of a tool."""
    found = _by_policy(policy, tool)
    file = policy.source.name if policy.source else ""
    return replace(
        found,
        because=f"managed policy {file}: {found.because}",
        conditions=tuple(f"{said} (managed)" for said in found.conditions),
        layer=file,
    )


def _strictest(layers: Sequence[EffectiveRule]) -> EffectiveRule:
    return min(layers, key=lambda one: _STRICT.index(one.action))


def _by_policy(policy: Policy, tool: str) -> EffectiveRule:
    if policy.hides(tool):
        return EffectiveRule("hide", f"it is hidden by {_hider(policy, tool)}", "(hidden)", ())
    own = policy.tools.get(tool) if is_glob(tool) else None
    rule = own or policy.rule_for(tool)
    always = _always(rule)
    if always is not None:
        action, check = always
        told = "denies" if action == "deny" else "asks about"
        because = f"a rule without conditions {told} every call"
        return EffectiveRule(action, because, check.rule, rule.limits, _conditions(rule))
    return EffectiveRule(
        rule.action.value, _because(policy, tool, rule), rule.rule, rule.limits, _conditions(rule)
    )


def _always(rule: ToolRule) -> tuple[EffectiveAction, Check] | None:
    """Return the predicate that decides every call, more strictly than `action`."""
    if rule.action is Action.DENY:
        return None
    for check in rule.checks:
        if check.denies_when and not check.conditions and not check.readings:
            return "deny", check
    if rule.action is Action.ALLOW:
        for check in rule.approvals:
            if not check.conditions:
                return "approve", check
    return None


def _conditions(rule: ToolRule) -> tuple[str, ...]:
    """Say, in order, when arguments change the answer."""
    denials = (
        f"{'not' if check.denies_when else 'only'} when {_say(check)}" for check in rule.checks
    )
    questions = (f"asks when {_say(check)}" for check in rule.approvals)
    exceptions = (f"runs unasked when {_say(check)}" for check in rule.allowances)
    people = [f"{rule.approvers} people have to allow what is asked"] if rule.approvers > 1 else []
    shown = [f"shows what it would change with {rule.look}"] if rule.look is not None else []
    return (*denials, *questions, *exceptions, *people, *shown)


def _hider(policy: Policy, tool: str) -> str:
    if policy.selection.leaves_out(tool):
        return "the server's entry in servers.json, which leaves it out"
    if tool in policy.hide:
        return "its name"
    for name in policy.hide:
        if is_glob(name) and Glob.of(name).matches(tool):
            return f"the glob {quote(name)}"
    return '"*"'


def _because(policy: Policy, tool: str, rule: ToolRule) -> str:
    if not rule.listed:
        return rule.words or f"the policy does not list it, and its default is {policy.default}"
    name = next((name for name, known in policy.tools.items() if known is rule), tool)
    told = "the policy lists it" if name == tool else f"the glob {quote(name)} matches it"
    return f"{told}: {rule.words}" if rule.words else told


def _say(check: Check) -> str:
    parts = [describe(check.conditions)] if check.conditions else []
    parts += [f"the counter {quote(reading.counter)} allows it" for reading in check.readings]
    return " and ".join(parts) or "it is called"


__all__ = ["EffectiveAction", "EffectiveRule", "effective"]
