from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.budget import spent
from pktui.errors import SettingsError
from pktui.ledger.usage import Usage, UsageSum
from pktui.prices import Prices, load_prices
from pktui.settings import BudgetSettings, DayBudget, bundled, load_settings

if TYPE_CHECKING:
    from pktui.settings import Paths

DAY = "2026-11-30"
SUMS = (
    UsageSum(DAY, "codex", "/shop", "gpt-5.1", 1_000_000, 100_000, 5_000_000),
    UsageSum(DAY, "claude-code", "/shop/api", "claude-sonnet-4-5", 2_000_000, 0, 0),
    UsageSum(DAY, "codex", "/shopping", "unheard-of", 7, 3, 0),
)


@pytest.fixture
def prices(paths: Paths) -> Prices:
    paths.config_dir.mkdir(parents=True)
    (paths.config_dir / "prices.toml").write_bytes(bundled("config", "prices.toml").read_bytes())
    return load_prices(paths)


def test_money_is_tokens_times_the_price_of_the_longest_name_that_fits(prices: Prices) -> None:
    assert prices.cost(SUMS[0]) == Decimal("2.875")
    assert prices.cost(SUMS[1]) == Decimal(6)
    assert prices.cost(SUMS[2]) is None


def test_a_price_that_cannot_be_read_is_named(paths: Paths) -> None:
    paths.config_dir.mkdir(parents=True)
    (paths.config_dir / "prices.toml").write_text('[models."x"]\nin = "much"\n')
    with pytest.raises(SettingsError, match=r"prices\.toml"):
        load_prices(paths)


@pytest.mark.parametrize("price", ["nan", "inf", "-5", '"NaN"', "1e999999"])
def test_a_price_that_no_budget_could_be_judged_by_is_refused(price: str, paths: Paths) -> None:
    paths.config_dir.mkdir(parents=True)
    (paths.config_dir / "prices.toml").write_text(f'[models."x"]\nin = {price}\nout = 1\n')
    with pytest.raises(SettingsError, match="from 0 to 1,000,000"):
        load_prices(paths)


@pytest.mark.parametrize(
    "line",
    ["money_per_day = nan", "money_per_day = inf", "money_per_day = -1", "tokens_per_day = -1"],
)
def test_a_budget_that_nothing_could_be_held_to_is_refused(line: str, paths: Paths) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.settings_file.write_text(f'[budget.projects."/shop"]\n{line}\n')
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        load_settings(paths)


@pytest.mark.parametrize(
    ("budget", "agent", "project", "over"),
    [
        (BudgetSettings(), "codex", "/shop", []),
        (BudgetSettings(tokens_per_day=3_100_010), "x", "/y", ["3,100,010 of 3,100,010 tokens"]),
        (BudgetSettings(tokens_per_day=3_100_011), "x", "/y", []),
        (BudgetSettings(money_per_day=8.5), "x", "/y", ["8.88 of 8.50 USD"]),
        (BudgetSettings(agents={"codex": DayBudget(tokens_per_day=10)}), "codex", "/", ["codex"]),
        (BudgetSettings(agents={"codex": DayBudget(tokens_per_day=10)}), "gemini", "/", []),
        (BudgetSettings(projects={"/shop": DayBudget(money_per_day=8)}), "x", "/shop/a", ["/shop"]),
        (BudgetSettings(projects={"/shop/": DayBudget(money_per_day=8)}), "x", "/shop", ["/shop"]),
        (BudgetSettings(projects={"~": DayBudget(tokens_per_day=0)}), "x", "{home}/a", ["~"]),
        (BudgetSettings(projects={"/shop": DayBudget(money_per_day=8)}), "x", "/shopping", []),
        (BudgetSettings(projects={"/shop": DayBudget(tokens_per_day=3_100_001)}), "x", "/shop", []),
    ],
)
def test_what_is_spent(
    budget: BudgetSettings, agent: str, project: str, over: list[str], prices: Prices
) -> None:
    project = project.format(home=Path.home())
    found = spent(budget, SUMS, prices, agent=agent, project=project)
    said = [one.words for one in found if one.over]
    assert len(said) == len(over)
    assert all(part in sentence for part, sentence in zip(over, said, strict=True))


def test_budgets_are_read_from_the_settings(paths: Paths) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.settings_file.write_text(
        "[budget]\ntokens_per_day = 5\n[budget.agents.codex]\nmoney_per_day = 1.5\n"
        '[budget.projects."/shop"]\ntokens_per_day = 2\n'
    )
    budget = load_settings(paths).budget
    assert budget == BudgetSettings(
        5, None, {"codex": DayBudget(None, 1.5)}, {"/shop": DayBudget(2)}
    )
    assert budget.limits
    assert not BudgetSettings().limits


def test_sums_are_kept_until_newer_ones_come(tmp_path: Path) -> None:
    kept, other = Usage(tmp_path), Usage(tmp_path)
    assert (kept.sums(), kept.at_us) == ((), 0)
    kept.write(SUMS, 17)
    assert (other.day(DAY), other.at_us) == (SUMS, 17)
    assert other.day("2026-12-01") == ()
    kept.write(SUMS[:1], 18)
    assert other.sums() == SUMS[:1]
    (tmp_path / "usage.json").write_text("{")
    assert other.sums() == SUMS[:1]
