"""The one decision: may this call happen? Pure; counters are only looked at.

The order: no policy, hidden, not listed, denied, types and names of the arguments, `require`,
`deny_if`, limits, approval. A deny beats an approval beats an allow, also where the tool's
definition changed: that makes an allow an approval, and never makes a deny anything else. Where it
can't be told whether a predicate holds, the answer is the safer one, and the reason says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from pktui.policy.argument_check import UNKNOWN, Definition
from pktui.policy.call_place import NOWHERE, Place
from pktui.policy.denied_paths import RULE, DeniedPaths
from pktui.policy.document.policy import Action, Policy
from pktui.policy.layers import is_managed
from pktui.policy.limits import plain, read_amount
from pktui.policy.look import Look
from pktui.policy.text.problems import quote
from pktui.policy.values import Arguments, Undecidable
from pktui.policy.wording import describe_limit, say_time, sentence

if TYPE_CHECKING:
    from pktui.policy.rules import Check, LimitRule, Reading, ToolRule
    from pktui.policy.values import Truth

# Characters; no rule can name a longer one, so a longer one is denied.
MAX_TOOL_NAME = 256


class Effect(StrEnum):
    """What happens to the call."""

    ALLOW = "allow"
    DENY = "deny"
    APPROVE = "approve"
    HIDE = "hide"


_ALLOW: Final = Effect.ALLOW
_DENIED: Final = Action.DENY
# What each call is compared with: a member that is taken from its enum is searched for each time.
#
# A search takes as long as ten comparisons.
_APPROVED: Final = Action.APPROVE


class Call(msgspec.Struct, frozen=True):
    """A tool call to decide; `grant` is the client identity that scope "grant" counts by.

    `definition` is the tool as it was pinned, `place` where the call is made.
    """

    server: str
    tool: str
    arguments: Arguments
    grant: str
    session: str
    definition: Definition = UNKNOWN
    place: Place = NOWHERE
    # Which budget is used up, in a sentence; empty: none is.
    spent: str = ""
    # Whether several people can answer: only a team's ledger tells one from another.
    several: bool = True


class Charge(msgspec.Struct, frozen=True):
    """What a call would take from one counter.

    Charges with equal server, counter, holder, window and alignment draw on one quota.
    `amount` is rounded up to millionths; `window_us` is in microseconds.
    """

    counter: str
    holder: str
    server: str
    window_us: int
    align: Literal["sliding", "calendar"]
    max: Decimal
    amount: Decimal
    rule: str
    on_deny: str

    @property
    def key(self) -> tuple[str, str, str, int, str]:
        """What tells one quota from another."""
        return (self.server, self.counter, self.holder, self.window_us, self.align)


class Usage(msgspec.Struct, frozen=True):
    """What is used of a charge's quota; `retry_at_us` is when it would fit (0: it fits now)."""

    charge: Charge
    used: Decimal
    retry_at_us: int

    @property
    def remaining(self) -> Decimal:
        """Units left before this call."""
        return max(self.charge.max - self.used, Decimal(0))


class Quota(Protocol):
    """Where the counters are: looked at here, reserved by the gateway afterwards."""

    def usage(self, charge: Charge) -> Usage:
        """Return what is used in the charge's window now, without counting."""


class Step(msgspec.Struct, frozen=True):
    """One thing that was asked on the way to a verdict."""

    name: str
    detail: str


class Verdict(msgspec.Struct, frozen=True):
    """The decision with its rule and a plain reason.

    `charges` are to be reserved, all or none, before the call goes out. `once` tells that only
    this one call may be approved, never the tool for longer. `over_limit`: a quota refused.
    `standing` tells whether a standing approval may answer the question (`once` or not), and
    `approvers` how many people have to. `look` shows them what the call would change.
    """

    effect: Effect
    rule: str
    reason: str
    charges: tuple[Charge, ...] = ()
    usages: tuple[Usage, ...] = ()
    retry_at_us: int = 0
    once: bool = False
    over_limit: bool = False
    steps: tuple[Step, ...] = ()
    standing: bool = False
    approvers: int = 1
    look: Look | None = None


def evaluate(
    policy: Policy | None,
    call: Call,
    quota: Quota,
    *,
    definition_changed: bool = False,
    trace: bool = False,
) -> Verdict:
    """Decide a call. `trace` fills `Verdict.steps` with everything that was asked."""
    steps: list[Step] | None = [] if trace else None
    try:
        verdict = _decide(policy, call, quota, definition_changed, steps)
    except Undecidable as error:
        verdict = Verdict(Effect.DENY, "(undecidable)", str(error))
    return verdict if steps is None else msgspec.structs.replace(verdict, steps=tuple(steps))


def _decide(
    policy: Policy | None, call: Call, quota: Quota, changed: bool, steps: list[Step] | None
) -> Verdict:
    tool = call.tool
    if policy is None:
        return Verdict(Effect.DENY, "(no policy)", "There is no policy for this server.")
    if len(tool) > MAX_TOOL_NAME:
        return Verdict(Effect.DENY, "(bad name)", "This tool's name is too long for any rule.")
    hidden = policy.hides(tool)
    if steps is not None:
        steps.append(Step("(hidden)", "yes" if hidden else "no"))
    if hidden:
        effect = Effect.HIDE if policy.dialect == "native" else Effect.DENY
        by = "its server's entry" if policy.selection.leaves_out(tool) else "policy"
        return Verdict(effect, "(hidden)", f"Tool {quote(tool, MAX_TOOL_NAME)} is hidden by {by}")
    rule = policy.rule_for(tool)
    if steps is not None:
        steps.append(Step(rule.rule or "(rules)", f"action {rule.action}"))
    if rule.action is _DENIED:
        return Verdict(Effect.DENY, rule.rule, rule.reason or _not_permitted(tool))
    if rule.approvers > 1 and not call.several:
        return Verdict(Effect.DENY, rule.rule, _too_few(rule.approvers))
    denial = (
        _misfit(rule, call, steps)
        or (_on_denied_path(policy.denied, call, steps) if policy.denied is not None else None)
        or _denial(rule, call, quota, steps)
    )
    return denial or _within_limits(rule, call, quota, changed, steps)


def _misfit(rule: ToolRule, call: Call, steps: list[Step] | None) -> Verdict | None:
    """Deny arguments of another type than declared, or with names in another case."""
    if rule.shape is None:
        return None
    found = rule.shape.misfit(call.arguments, call.definition)
    if steps is not None and (found or call.definition.hash):
        steps.append(Step("(arguments)", found.reason if found else "of the declared types"))
    return Verdict(Effect.DENY, found.rule, found.reason) if found else None


def _on_denied_path(denied: DeniedPaths, call: Call, steps: list[Step] | None) -> Verdict | None:
    """Deny a call that names a path which no tool may reach."""
    reason = denied.reason(call.arguments, call.definition, call.place)
    if steps is not None:
        steps.append(Step(RULE, reason or "no argument names one"))
    return Verdict(Effect.DENY, RULE, reason) if reason else None


def _denial(rule: ToolRule, call: Call, quota: Quota, steps: list[Step] | None) -> Verdict | None:
    for check in rule.checks:
        holds = _holds(check, call, quota, steps)
        passes = not check.denies_when
        if holds is not passes:
            return Verdict(Effect.DENY, check.rule, _reason(check, holds, call))
    return None


def _within_limits(
    rule: ToolRule, call: Call, quota: Quota, changed: bool, steps: list[Step] | None
) -> Verdict:
    usages: list[Usage] = []
    for limit in rule.limits:
        charge = charge_for(limit, call)
        if charge is None:
            return _uncountable(limit)
        usage = quota.usage(charge)
        if steps is not None:
            steps.append(Step(limit.rule, f"{plain(usage.used)} of {plain(limit.max)} used"))
        if usage.used + charge.amount > limit.max:
            return _over(limit, usage, usages)
        usages.append(usage)
    effect, name, reason, managed = _approval(rule, call, changed, steps)
    if effect is _ALLOW and not usages:
        return _allowed(name, reason)
    return Verdict(
        effect,
        name,
        reason,
        charges=tuple([usage.charge for usage in usages]),
        usages=tuple(usages),
        once=effect is not _ALLOW
        and (changed or managed or rule.approvers > 1 or is_grave(call.tool)),
        standing=effect is not _ALLOW
        and not (changed or managed or rule.approvers > 1 or call.spent),
        approvers=rule.approvers,
        look=rule.look if effect is not _ALLOW else None,
    )


@lru_cache(maxsize=1024)
def _allowed(rule: str, reason: str) -> Verdict:
    """Return the commonest verdict, made once for each rule."""
    return Verdict(Effect.ALLOW, rule, reason)


@lru_cache(maxsize=1024)
def is_grave(tool: str) -> bool:
    """Return whether a tool's name says that it destroys or moves money."""
    from pktui.policy.risk import classify

    return classify({"name": tool}).severity == "critical"


def _approval(
    rule: ToolRule, call: Call, changed: bool, steps: list[Step] | None
) -> tuple[Effect, str, str, bool]:
    """Return whether a person must be asked, by which rule first, and every reason why.

    Last, whether a managed policy asks: no standing approval answers that.
    """
    if not (changed or call.spent or rule.approvals or rule.action is _APPROVED):
        return _ALLOW, rule.rule, rule.reason, False
    reasons = _facts(call, changed, steps)
    for check in rule.approvals:
        holds = _holds(check, call, None, steps)
        if holds is not False:
            reasons.append((check.rule, _reason(check, holds, call)))
    answer = rule.rule, rule.reason
    if rule.action is _APPROVED:
        for asking in rule.asking or (rule,):
            allowed = _allowance(asking, call, steps)
            if allowed is None:
                reasons.append((asking.rule, asking.reason))
            else:
                answer = allowed.rule, allowed.reason
    if not reasons:
        return _ALLOW, *answer, False
    managed = any(is_managed(named) for named, _ in reasons)
    return Effect.APPROVE, reasons[0][0], _joined([reason for _, reason in reasons]), managed


def _facts(call: Call, changed: bool, steps: list[Step] | None) -> list[tuple[str, str]]:
    """Return why a person is asked whatever the rules say."""
    facts = []
    if changed:
        why = f"The definition of tool {quote(call.tool)} changed since it was accepted."
        facts.append(("(definition changed)", why, "the tool is not the one that was pinned"))
    if call.spent:
        facts.append(("(budget)", call.spent, call.spent))
    if steps is not None:
        steps += [Step(rule, told) for rule, _, told in facts]
    return [(rule, why) for rule, why, _ in facts]


def _allowance(rule: ToolRule, call: Call, steps: list[Step] | None) -> Check | None:
    """Return the `allow_if` that certainly holds, None where none does."""
    for check in rule.allowances:
        if _holds(check, call, None, steps):
            return check
    return None


def _joined(reasons: list[str]) -> str:
    """Write reasons one after the other; what one says at its end is not said again."""
    told = ""
    for reason in reasons:
        if not told.endswith(reason):
            told = f"{sentence(told)} {reason}" if told else reason
    return told


def _holds(check: Check, call: Call, quota: Quota | None, steps: list[Step] | None) -> Truth:
    """Return whether a call fulfils a predicate; None where that can't be told."""
    arguments, place = call.arguments, call.place
    truth: Truth = True
    for condition in check.conditions:
        holds = condition.test(arguments, place)
        if not holds:
            truth = holds
            if holds is False:
                break
    if truth and check.readings:
        truth = quota is not None and all(
            reading.test(_read(reading, call, quota)) for reading in check.readings
        )
    if steps is not None:
        steps.append(Step(check.rule, _TOLD[truth] if truth is not None else _doubt(check, call)))
    return truth


_TOLD: Final = {True: "fulfilled", False: "not fulfilled"}


def _reason(check: Check, holds: Truth, call: Call) -> str:
    """Return the predicate's reason, or why it can't be judged and what its author says of it."""
    doubt = _doubt(check, call) if holds is None else ""
    return f"{doubt} {check.words}".rstrip() if doubt else check.reason


def _doubt(check: Check, call: Call) -> str:
    for condition in check.conditions:
        if condition.doubt and condition.test(call.arguments, call.place) is None:
            return condition.doubt(call.arguments, call.place)
    return ""


def _read(reading: Reading, call: Call, quota: Quota) -> Decimal:
    nothing = Decimal(0)
    charge = Charge(
        reading.counter, "server:", call.server, reading.window_us, "calendar",
        nothing, nothing, "", "",
    )  # fmt: skip
    return quota.usage(charge).used


def charge_for(limit: LimitRule, call: Call) -> Charge | None:
    """Return what the call would take from a limit; None where its amount cannot be counted."""
    amount = limit.increment
    if limit.amount_of is not None:
        asked = read_amount(limit.amount_of(call.arguments))
        if asked is None:
            return None
        amount = asked
    if limit.scope == "grant":
        holder = f"grant:{call.grant}"
    else:
        holder = f"session:{call.session}" if limit.scope == "session" else "server:"
    return Charge(
        limit.counter, holder, limit.counted_for or call.server, limit.window_us, limit.align,
        limit.max, amount, limit.rule, limit.on_deny,
    )  # fmt: skip


def _uncountable(limit: LimitRule) -> Verdict:
    """Deny a call whose amount cannot be read (Intercept has one sentence for it)."""
    if limit.exact_words:
        return Verdict(Effect.DENY, "", "Internal policy error")
    what = f"{limit.increment_from} must be a number of 0 or more: the limit"
    return Verdict(
        Effect.DENY, limit.rule, f"{what} {quote(limit.counter)} counts it against its quota."
    )


def _over(limit: LimitRule, usage: Usage, before: Sequence[Usage]) -> Verdict:
    """Deny a call that does not fit its quota now, or ever."""
    fits_later = usage.charge.amount <= limit.max
    retry_at_us = usage.retry_at_us if fits_later else 0
    return Verdict(
        Effect.DENY,
        limit.rule,
        limit.on_deny if limit.exact_words else say_over(limit, usage.charge.amount, retry_at_us),
        usages=(*before, usage),
        retry_at_us=retry_at_us,
        over_limit=True,
    )


def say_over(limit: LimitRule, amount: Decimal, retry_at_us: int) -> str:
    """Say that a quota is used up and when to try again."""
    told = describe_limit(limit)
    if amount > limit.max:
        asked = "no call fits" if limit.amount_of is None else f"{plain(amount)} never fits"
        return sentence(limit.on_deny or f"Over the limit of {told}: {asked}")
    opening = sentence(limit.on_deny or f"The limit of {told} is used up")
    return f"{opening} Try again after {say_time(retry_at_us)}." if retry_at_us else opening


def _too_few(approvers: int) -> str:
    return (
        f"{approvers} people have to allow this tool's calls, and only a team's ledger"
        " (ledger.uri in settings.toml) tells one from another."
    )


def _not_permitted(tool: str) -> str:
    return f"Tool {quote(tool, MAX_TOOL_NAME)} is not permitted by policy"
