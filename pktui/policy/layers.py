"""Layers: managed policies over a person's own, as one rule a tool.

Deny beats approve beats allow, every condition of every layer is asked, every limit of every layer
is charged. Rules of a managed policy are named by its file: `managed/github.json#/tools/x`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.policy.argument_check import Shape
from pktui.policy.rules import Action, ToolRule

if TYPE_CHECKING:
    from pktui.policy.rules import Check, LimitRule

MANAGED: Final = "managed/"
_STRICT: Final = {Action.DENY: 0, Action.APPROVE: 1, Action.ALLOW: 2}


def is_managed(rule: str) -> bool:
    """Return whether the name of a rule is one of a managed policy."""
    return rule.startswith(MANAGED)


def managed_file(rule: str) -> str:
    """Return the managed file that a rule is one of, empty of a person's own policy."""
    return rule.removeprefix(MANAGED).partition("#")[0] if is_managed(rule) else ""


def together(rules: Sequence[ToolRule]) -> ToolRule:
    """Return the rule that lets a call pass where every one of these does; the own one is last.

    It has the name of the strictest; of several as strict as each other, of the first, but where
    all allow, of the own.
    """
    strictest = min(rules, key=lambda rule: _STRICT[rule.action])
    if strictest.action is Action.ALLOW:
        strictest = rules[-1]
    shaped = [path for rule in rules if rule.shape is not None for path in used_paths(rule)]
    return msgspec.structs.replace(
        strictest,
        checks=tuple(check for rule in rules for check in rule.checks),
        approvals=tuple(check for rule in rules for check in rule.approvals),
        limits=tuple(limit for rule in rules for limit in rule.limits),
        allowances=(),
        shape=Shape(dict.fromkeys(shaped)) if shaped else None,
        approvers=max(rule.approvers for rule in rules),
        look=next((rule.look for rule in rules if rule.look is not None), None),
        asking=tuple(rule for rule in rules if rule.action is Action.APPROVE),
    )


def used_paths(rule: ToolRule) -> tuple[str, ...]:
    """Return every path that a tool's rule looks at, as written."""
    checks = (*rule.checks, *rule.approvals, *rule.allowances)
    paths = [condition.path for check in checks for condition in check.conditions]
    paths += [limit.increment_from for limit in rule.limits if limit.increment_from]
    paths += rule.look.paths if rule.look is not None else ()
    return tuple(dict.fromkeys(paths))


def managed_rule(rule: ToolRule, file: str) -> ToolRule:
    """Return a rule as one of the managed file of that name; its limits count for the file.

    Whatever a server is called, a limit of one file is one quota.
    """
    at = f"{MANAGED}{file}#"

    def named(checks: tuple[Check, ...]) -> tuple[Check, ...]:
        return tuple(msgspec.structs.replace(one, rule=at + one.rule) for one in checks)

    def counted(limit: LimitRule) -> LimitRule:
        return msgspec.structs.replace(limit, rule=at + limit.rule, counted_for=MANAGED + file)

    return msgspec.structs.replace(
        rule,
        rule=at + rule.rule,
        checks=named(rule.checks),
        approvals=named(rule.approvals),
        allowances=named(rule.allowances),
        limits=tuple(map(counted, rule.limits)),
    )
