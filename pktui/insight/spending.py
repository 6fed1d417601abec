"""Tokens and money: what agents' answers took, by day, and what is left of the day's budgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from pktui.budget import Spent, spent
from pktui.errors import SettingsError
from pktui.prices import Prices, load_prices
from pktui.settings import BudgetSettings

if TYPE_CHECKING:
    from pktui.ledger.usage import UsageSum
    from pktui.settings import Paths, Settings


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


def purse_of(paths: Paths, settings: Settings) -> tuple[Purse, str]:
    """Return prices and budgets as they are set; with what is wrong where prices can't be read."""
    try:
        return Purse(load_prices(paths), settings.budget), ""
    except SettingsError as error:
        return Purse(budget=settings.budget), str(error)


def by_model(spending: Iterable[Spending]) -> tuple[Spending, ...]:
    """Return the sums of each agent, project and model over all days, those with most tokens first.

    Their `day` is the last one. Money is that of the days whose price is known.
    """
    sums: dict[tuple[str, str, str], Spending] = {}
    for one in spending:
        key = one.agent, one.project, one.model
        known = sums.get(key)
        if known is None:
            sums[key] = one
            continue
        both = [money for money in (known.money, one.money) if money is not None]
        sums[key] = replace(
            known,
            day=max(known.day, one.day),
            tokens_in=known.tokens_in + one.tokens_in,
            tokens_out=known.tokens_out + one.tokens_out,
            cached=known.cached + one.cached,
            money=sum(both, Decimal(0)) if both else None,
        )
    return tuple(sorted(sums.values(), key=lambda one: -(one.tokens_in + one.tokens_out)))


def local_day(at_us: int) -> str:
    """Return the day of a time as the person's clock has it: `2026-11-30`."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).astimezone().date().isoformat()
