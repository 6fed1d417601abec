"""Tokens and money: what agents' answers took, by day, and what is left of the day's budgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from pktui.budget import Spent, spent
from pktui.prices import Prices
from pktui.settings import BudgetSettings

if TYPE_CHECKING:
    from decimal import Decimal

    from pktui.ledger.usage import UsageSum


@dataclass(frozen=True, slots=True)
class Spending:
    """The tokens of one agent, project and model on one local day; `money` None: no price known."""

    day: str
    agent: str
    project: str
    model: str
    tokens_in: int
    tokens_out: int
    cached: int
    money: Decimal | None = None


class Purse(msgspec.Struct, frozen=True):
    """Prices and budgets, as the person has set them."""

    prices: Prices = Prices()
    budget: BudgetSettings = BudgetSettings()

    def spending(self, sums: Iterable[UsageSum], since_us: int) -> tuple[Spending, ...]:
        """Return what was used since the day of that time, the newest day first."""
        first = local_day(since_us)
        found = [
            Spending(
                *(one.day, one.agent, one.project, one.model),
                *(one.tokens_in, one.tokens_out, one.cached, self.prices.cost(one)),
            )
            for one in sums
            if one.day >= first
        ]
        found.sort(key=lambda one: (one.agent, one.project, one.model))
        return tuple(sorted(found, key=lambda one: one.day, reverse=True))

    def budgets(self, sums: Iterable[UsageSum], now_us: int) -> tuple[Spent, ...]:
        """Return every budget that is set and what is used of it today."""
        today = [one for one in sums if one.day == local_day(now_us)]
        whose = [("", ""), *((agent, "") for agent in self.budget.agents)]
        whose += [("", directory) for directory in self.budget.projects]
        found = [
            one
            for agent, project in whose
            for one in spent(self.budget, today, self.prices, agent=agent, project=project)
        ]
        return tuple(dict.fromkeys(found))


def local_day(at_us: int) -> str:
    """Return the day of a time as the person's clock has it: `2026-11-30`."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).astimezone().date().isoformat()
