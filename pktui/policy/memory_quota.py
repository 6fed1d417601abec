"""Counters in memory, for replay, explanations and tests: the rules that the ledger follows too.

A sliding window admits at most `max` in any stretch of its length: a charge taken at `t` counts
until just before `t + window`. A calendar window counts from the last multiple of its length
since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pktui.policy.evaluate import Charge, Usage


@dataclass(frozen=True, slots=True)
class _Taken:
    at_us: int
    amount: Decimal
    call_id: str


class MemoryQuota:
    """Counts in memory by a given clock (microseconds since the epoch); not for threads."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._taken: dict[tuple[str, str, str, int, str], list[_Taken]] = {}

    def usage(self, charge: Charge) -> Usage:
        """Return what is used now, and when the charge would fit if it does not."""
        now = self._clock()
        taken = self._within(charge, now)
        used = sum((item.amount for item in taken), Decimal(0))
        return Usage(charge, used, _retry_at(charge, taken, used, now))

    def reserve(self, charges: Sequence[Charge], call_id: str) -> Charge | None:
        """Take all charges or none; returns the first that does not fit."""
        for charge in charges:
            if self.usage(charge).used + charge.amount > charge.max:
                return charge
        now = self._clock()
        for charge in charges:
            self._taken.setdefault(charge.key, []).append(_Taken(now, charge.amount, call_id))
        return None

    def release(self, call_id: str) -> None:
        """Give back what a call took."""
        for key, taken in self._taken.items():
            self._taken[key] = [item for item in taken if item.call_id != call_id]

    def _within(self, charge: Charge, now: int) -> list[_Taken]:
        """Return what counts in the window now, and forget what is past."""
        taken = self._taken.get(charge.key)
        if not taken:
            return []
        start = window_start(charge, now)
        kept = [item for item in taken if item.at_us >= start]
        self._taken[charge.key] = kept
        return kept


def window_start(charge: Charge, now_us: int) -> int:
    """Return the earliest moment that still counts at `now_us`."""
    if charge.align == "calendar":
        return now_us - now_us % charge.window_us
    return now_us - charge.window_us + 1


def _retry_at(charge: Charge, taken: Sequence[_Taken], used: Decimal, now: int) -> int:
    """Return when the charge fits; 0 where it fits now, or never will."""
    excess = used + charge.amount - charge.max
    if excess <= 0 or charge.amount > charge.max:
        return 0
    if charge.align == "calendar":
        return window_start(charge, now) + charge.window_us
    for item in sorted(taken, key=lambda item: item.at_us):
        excess -= item.amount
        if excess <= 0:
            return item.at_us + charge.window_us
    return 0
