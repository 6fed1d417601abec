from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from pktui.insight.activity import Activity
from pktui.insight.now import NowReader
from pktui.insight.spending import Purse, by_model, local_day, purse_of
from pktui.ledger.usage import UsageSum
from pktui.prices import Price, Prices
from pktui.settings import BudgetSettings, DayBudget, Settings

if TYPE_CHECKING:
    from pktui.ledger import Ledger
    from pktui.settings import Paths
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


def test_days_of_a_model_add_up(told: Ledger, clock: Clock) -> None:
    found = by_model(Activity(told, clock, Purse(PRICES)).read(days=10).spending)
    assert [(one.agent, one.model, one.tokens_in) for one in found] == [
        ("claude-code", "big-1", 1_000_000),
        ("codex", "unknown", 1_000),
        ("codex", "big-1", 5),
    ]
    twice = by_model([found[0], found[0]])
    assert (twice[0].tokens_in, twice[0].money) == (2_000_000, Decimal("10.2"))


def test_prices_that_cannot_be_read_are_said_and_tokens_counted(paths: Paths) -> None:
    budget = BudgetSettings(tokens_per_day=5)
    assert purse_of(paths, Settings(budget=budget)) == (Purse(budget=budget), "")
    paths.config_dir.mkdir(parents=True, exist_ok=True)
    (paths.config_dir / "prices.toml").write_text("currency = 5")
    purse, problem = purse_of(paths, Settings(budget=budget))
    assert purse == Purse(budget=budget)
    assert "prices.toml" in problem
