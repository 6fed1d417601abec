"""The short way: a call that its rule allows, of a tool that is as it was pinned.

What a policy and a definition say of a tool is looked up once; a call is then asked the same as
`pktui.policy.evaluate` asks, in the same order, but for what it says of a refusal. Whatever is not
certainly allowed goes the long way, which finds the words. Tests decide calls in both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pktui.gateway.enforcement.places import place_of
from pktui.ledger.records import Caller
from pktui.policy.argument_check import Definition
from pktui.policy.evaluate import MAX_TOOL_NAME, Call, Charge, Effect, Verdict, charge_for
from pktui.policy.rules import Action, ToolRule
from pktui.policy.values import Undecidable

if TYPE_CHECKING:
    from pktui.gateway.enforcement.decision import ToolCall
    from pktui.gateway.enforcement.pins import Pins
    from pktui.policy.call_place import Place
    from pktui.policy.denied_paths import DeniedPaths
    from pktui.policy.document.policy import Policy
    from pktui.policy.rules import Check
    from pktui.policy.values import Arguments, Truth

_ALLOW: Final = Effect.ALLOW
_MOST: Final = 1024


class Allowed(msgspec.Struct):
    """What an allowed call is asked; `charges` are what it takes, by who calls."""

    rule: ToolRule
    definition: Definition
    verdict: Verdict
    # Whether every call of one caller takes the same, which is kept then.
    fixed: bool
    charges: dict[Caller, tuple[Charge, ...]] = msgspec.field(default_factory=dict)


class ShortWay:
    """Knows of each tool of one server whether its calls may go the short way."""

    def __init__(self, server: str, pins: Pins) -> None:
        self._server = server
        self._pins = pins
        self._policy: Policy | None = None
        self._tools: dict[str, Allowed | None] = {}
        self._forgotten = 0

    def forget(self) -> None:
        """Look everything up again: a definition may have changed."""
        self._forgotten += 1
        self._tools.clear()

    def find(
        self, call: ToolCall, policy: Policy | None
    ) -> tuple[Verdict, tuple[Charge, ...]] | None:
        """Return the verdict and what the call takes; None where the long way is to decide it."""
        if policy is not self._policy:
            self.forget()
            self._policy = policy
        tool = call.tool
        allowed = self._tools.get(tool)
        if allowed is None and tool not in self._tools:
            allowed = self._look_up(tool, policy)
        if allowed is None or policy is None or call.missing or call.continues:
            return None
        rule, denied = allowed.rule, policy.denied
        try:
            asked = rule.shape is not None or denied is not None or rule.checks
            if asked and not self._fits(call, denied, allowed):
                return None
            charges = allowed.charges.get(call.caller) if rule.limits else ()
            if charges is None:
                charges = self._charges(call, allowed)
        except Undecidable:
            return None
        return (allowed.verdict, charges) if charges is not None else None

    def _fits(self, call: ToolCall, denied: DeniedPaths | None, allowed: Allowed) -> bool:
        """Tell whether the call passes every check."""
        rule, arguments = allowed.rule, call.arguments
        if rule.shape is not None and rule.shape.misfit(arguments, allowed.definition):
            return False
        place = place_of(call.caller.project)
        if denied is not None and denied.reason(arguments, allowed.definition, place):
            return False
        return all(passes(check, arguments, place) for check in rule.checks)

    def _charges(self, call: ToolCall, allowed: Allowed) -> tuple[Charge, ...] | None:
        """Return what the call takes; None where that cannot be told."""
        caller = call.caller
        subject = Call(self._server, call.tool, call.arguments, caller.identity, caller.session)
        found: list[Charge] = []
        for limit in allowed.rule.limits:
            charge = charge_for(limit, subject)
            if charge is None:
                return None
            found.append(charge)
        charges = tuple(found)
        if allowed.fixed:
            if len(allowed.charges) >= _MOST:
                allowed.charges.clear()
            allowed.charges[caller] = charges
        return charges

    def _look_up(self, tool: str, policy: Policy | None) -> Allowed | None:
        forgotten = self._forgotten
        allowed = self._allowed(tool, policy) if policy is not None else None
        if forgotten == self._forgotten:
            if len(self._tools) >= _MOST:
                self._tools.clear()
            self._tools[tool] = allowed
        return allowed

    def _allowed(self, tool: str, policy: Policy) -> Allowed | None:
        """Return what calls of a tool are asked that may be allowed without a question."""
        if len(tool) > MAX_TOOL_NAME or policy.hides(tool) or self._pins.changed(tool):
            return None
        rule = policy.rule_for(tool)
        if rule.action is not Action.ALLOW or rule.approvals or rule.approvers > 1:
            return None
        if any(check.readings for check in rule.checks):
            return None
        definition = self._pins.definition(tool)
        fixed = all(limit.amount_of is None for limit in rule.limits)
        return Allowed(rule, definition, Verdict(_ALLOW, rule.rule, rule.reason), fixed)


def passes(check: Check, arguments: Arguments, place: Place) -> bool:
    """Tell whether a call certainly passes a check that reads no counter."""
    holds: Truth = True
    for condition in check.conditions:
        truth = condition.test(arguments, place)
        if not truth:
            holds = truth
            if truth is False:
                break
    return holds is not None and holds is not check.denies_when
