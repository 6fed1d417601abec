"""What a policy document becomes when it is loaded: rules ready to be asked, nothing to look up.

Both dialects compile to these. They are frozen; one loaded policy serves any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import msgspec

from pktui.policy.argument_check import Shape
from pktui.policy.call_place import Place
from pktui.policy.look import Look
from pktui.policy.values import Arguments, Truth

Dialect = Literal["native", "intercept"]
Scope = Literal["grant", "session", "server"]
Listed = Literal["callable", "all"]
Align = Literal["sliding", "calendar"]


class Action(StrEnum):
    """What a policy says about a tool."""

    ALLOW = "allow"
    DENY = "deny"
    APPROVE = "approve"


class LimitRule(msgspec.Struct, frozen=True):
    """A quota: at most `max` calls (or units of `increment_from`) in a window.

    `window_us` is in microseconds; `max` is -1 where not even a call of 0 units fits.
    """

    rule: str
    counter: str
    window_us: int
    max: Decimal
    scope: Scope
    align: Align
    increment: Decimal = Decimal(1)
    increment_from: str = ""
    # Looks `increment_from` up in the arguments; None where every call counts `increment`.
    amount_of: Callable[[Arguments], Any] | None = None
    on_deny: str = ""
    # Whom it counts for, whatever the server is called; empty: for the server.
    counted_for: str = ""
    # `on_deny` is the whole answer: nothing is added to it.
    exact_words: bool = False


class Condition(msgspec.Struct, frozen=True):
    """One test of the arguments, as written and as compiled.

    `test` answers None where it can't tell; `doubt` then says why, in a sentence.
    """

    path: str
    op: str
    value: Any
    test: Callable[[Arguments, Place], Truth]
    doubt: Callable[[Arguments, Place], str] | None = None


class Reading(msgspec.Struct, frozen=True):
    """One test of a counter's value (Intercept's `state.` paths); it never counts."""

    counter: str
    window_us: int
    test: Callable[[Decimal], bool]


class Check(msgspec.Struct, frozen=True):
    """A predicate: its conditions and readings are ANDed.

    `denies_when` True denies a call that fulfils it (`deny_if`), False one that does not
    (`require`). For `approve_if` it is True: a call that fulfils it is asked about; for `allow_if`
    False. Where it can't be told whether a call fulfils it, it holds if `denies_when`, else not.
    """

    rule: str
    reason: str
    conditions: tuple[Condition, ...]
    denies_when: bool
    readings: tuple[Reading, ...] = ()
    # The author's own words, told also where the predicate can't be judged.
    words: str = ""


class ToolRule(msgspec.Struct, frozen=True):
    """Everything that is asked about one tool.

    In order: action, the arguments' shape, checks, limits, approvals, allowances (`allow_if`).
    """

    rule: str
    action: Action
    reason: str
    checks: tuple[Check, ...] = ()
    approvals: tuple[Check, ...] = ()
    limits: tuple[LimitRule, ...] = ()
    listed: bool = True
    # The author's own reason; `reason` is never empty where a sentence is needed.
    words: str = ""
    allowances: tuple[Check, ...] = ()
    # What the arguments that the rules look at must be; None where nothing is asked of them.
    shape: Shape | None = None
    # How many people have to allow a call that is asked about.
    approvers: int = 1
    # What shows a person, beside a call that asks, what it would change.
    look: Look | None = None
    # Those of several layers that ask a person, each with its own allowances; empty: one layer.
    asking: tuple[ToolRule, ...] = ()
