"""What may be spent in a day, and whether it is: `[budget]` of the settings over the day's sums."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pktui.prices import Prices, Used
    from pktui.settings import BudgetSettings, DayBudget

    class Sum(Used, Protocol):
        """Tokens of one agent and project."""

        @property
        def agent(self) -> str:
            """The agent."""

        @property
        def project(self) -> str:
            """The project's directory."""


@dataclass(frozen=True, slots=True)
class Spent:
    """One budget and what is used of it; `unit` is `tokens` or a currency, `whose` names it."""

    whose: str
    limit: Decimal
    used: Decimal
    unit: str

    @property
    def over(self) -> bool:
        """Tell whether it is used up."""
        return self.used >= self.limit

    @property
    def words(self) -> str:
        """Say it in a sentence."""
        whose = f" of {self.whose}" if self.whose else ""
        return f"The day's budget{whose} is spent: {self.figures}."

    @property
    def figures(self) -> str:
        """Say how much of it is used, like `1,200 of 5,000 tokens`."""
        digits = self._digits
        return f"{self.used:,.{digits}f} of {self.limit:,.{digits}f} {self.unit}"

    @property
    def _digits(self) -> int:
        return 0 if self.unit == "tokens" else 2


def spent(
    budget: BudgetSettings, sums: Sequence[Sum], prices: Prices, *, agent: str, project: str
) -> tuple[Spent, ...]:
    """Return the budgets that calls of an agent in a project draw on; `sums` are one day's."""
    found = _of("", budget, sums, prices)
    if agent in budget.agents:
        own = [one for one in sums if one.agent == agent]
        found += _of(agent, budget.agents[agent], own, prices)
    for directory, limits in budget.projects.items():
        if _is_in(project, directory):
            own = [one for one in sums if _is_in(one.project, directory)]
            found += _of(directory, limits, own, prices)
    return tuple(found)


def _of(
    whose: str, limits: BudgetSettings | DayBudget, sums: Sequence[Sum], prices: Prices
) -> list[Spent]:
    found = []
    if limits.tokens_per_day is not None:
        tokens = sum(one.tokens_in + one.tokens_out for one in sums)
        found.append(Spent(whose, Decimal(limits.tokens_per_day), Decimal(tokens), "tokens"))
    if limits.money_per_day is not None:
        money = sum((prices.cost(one) or Decimal(0) for one in sums), Decimal(0))
        limit = Decimal(str(limits.money_per_day))
        found.append(Spent(whose, limit, money, prices.currency))
    return found


def _is_in(path: str, directory: str) -> bool:
    within = os.path.expanduser(directory).rstrip("/")  # noqa: PTH111  Path raises on ~nobody
    return path == within or path.startswith(f"{within}/")
