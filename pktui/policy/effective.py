"""What a policy comes to for one tool, in a person's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pktui.policy.globs import Glob, is_glob
from pktui.policy.problems import quote
from pktui.policy.wording import describe

if TYPE_CHECKING:
    from pktui.policy.document import Policy
    from pktui.policy.rules import Check, LimitRule, ToolRule

EffectiveAction = Literal["allow", "deny", "approve", "hide"]


@dataclass(frozen=True, slots=True)
class EffectiveRule:
    """The one state of a tool: `because` is a sentence, `rule` the JSON pointer that decides.

    `conditions` says, one sentence each, when arguments change the answer.
    """

    action: EffectiveAction
    because: str
    rule: str
    limits: tuple[LimitRule, ...]
    conditions: tuple[str, ...] = ()


def effective(policy: Policy, tool: str) -> EffectiveRule:
    """Return what the policy comes to for a tool."""
    if policy.hides(tool):
        return EffectiveRule("hide", f"it is hidden by {_hider(policy, tool)}", "(hidden)", ())
    rule = policy.rule_for(tool)
    return EffectiveRule(
        action=rule.action.value,
        because=_because(policy, tool, rule),
        rule=rule.rule,
        limits=rule.limits,
        conditions=tuple(map(_say, (*rule.checks, *rule.approvals))),
    )


def _hider(policy: Policy, tool: str) -> str:
    if tool in policy.hide:
        return "its name"
    for name in policy.hide:
        if is_glob(name) and Glob.of(name).matches(tool):
            return f"the glob {quote(name)}"
    return '"*"'


def _because(policy: Policy, tool: str, rule: ToolRule) -> str:
    if not rule.listed:
        return f"the policy does not list it, and its default is {policy.default}"
    name = next((name for name, known in policy.tools.items() if known is rule), tool)
    told = "the policy lists it" if name == tool else f"the glob {quote(name)} matches it"
    return f"{told}: {rule.words}" if rule.words else told


def _say(check: Check) -> str:
    """Say when a check changes the answer."""
    told = describe(check.conditions) or "the call is made"
    section = check.rule.split("/")[3] if check.rule.count("/") > 2 else "rules"
    opening = {"require": "only when", "deny_if": "not when", "approve_if": "asks when"}
    return f"{opening.get(section, 'only when')} {told}"


__all__ = ["EffectiveAction", "EffectiveRule", "effective"]
