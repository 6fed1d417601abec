from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from pktui.insight.activity import Activity
from pktui.insight.now import NowReader
from pktui.insight.spending import Purse, local_day
from pktui.ledger.usage import UsageSum
from pktui.prices import Price, Prices
from pktui.settings import BudgetSettings, DayBudget

if TYPE_CHECKING:
    from pktui.ledger import Ledger
    from tests.ledger.conftest import Clock

DAY_US = 86_400_000_000
PRICES = Prices(models={"big*": Price(Decimal(3), Decimal(15), Decimal("0.3"))})


@pytest.fixture
def told(ledger: Ledger, clock: Clock) -> Ledger:
    """A ledger that was told of tokens: two agents today, one of them eight days ago as well."""
    today, before = local_day(clock.now), local_day(clock.now - 8 * DAY_US)
    sums = (
        UsageSum(before, "codex", "/p", "big-1", 5, 5, 5),
        UsageSum(today, "codex", "/p", "unknown", 1_000, 100, 0),
        UsageSum(today, "claude-code", "/shop", "big-1", 1_000_000, 100_000, 2_000_000),
    )
    ledger.usage.write(sums, clock.now)
    return ledger


def test_tokens_are_told_with_money_where_the_price_is_known(told: Ledger, clock: Clock) -> None:
    found = Activity(told, clock, Purse(PRICES)).read(days=7).spending
    assert [(one.agent, one.money) for one in found] == [
        ("claude-code", Decimal("5.1")),
        ("codex", None),
    ]
    longer = Activity(told, clock, Purse(PRICES)).read(days=10).spending
    assert [one.day for one in longer] == sorted((one.day for one in longer), reverse=True)
    assert len(longer) == 3


def test_every_budget_that_is_set_is_told_once(told: Ledger, clock: Clock) -> None:
    budget = BudgetSettings(
        tokens_per_day=2_000_000,
        agents={"codex": DayBudget(tokens_per_day=1_000)},
        projects={"/shop": DayBudget(money_per_day=5.0)},
    )
    found = NowReader(told, clock, Purse(PRICES, budget)).read()
    assert [(one.whose, one.over) for one in found.budgets] == [
        ("", False),
        ("codex", True),
        ("/shop", True),
    ]
    assert [one.agent for one in found.today] == ["claude-code", "codex"]


def test_without_prices_and_budgets_tokens_are_told(told: Ledger, clock: Clock) -> None:
    found = NowReader(told, clock).read()
    assert found.budgets == ()
    assert [one.money for one in found.today] == [None, None]
