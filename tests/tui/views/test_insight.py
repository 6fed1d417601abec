from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pktui.insight.spending import local_day
from pktui.ledger.arguments.canonical import args_hash
from pktui.ledger.records import Caller
from pktui.ledger.usage import UsageSum
from pktui.memory import records as memory
from pktui.settings import BudgetSettings, Settings
from pktui.text import has_hidden
from pktui.tui.moments import HOUR, MINUTE
from pktui.tui.views.feed.view import FeedView
from pktui.tui.views.insight.draw import squeezed
from pktui.tui.views.insight.view import InsightView
from pktui.tui.views.policies.sentence import SentenceScreen
from pktui.tui.views.policies.view import PoliciesView
from tests.support.memory import MemoryInProcess
from tests.tui.house import AGENT, HOSTILE, LARGE, SMALL, Desk, House, desk

if TYPE_CHECKING:
    from pktui.settings import Paths

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


def call(house: House, number: int, tool: str, effect: str = "allow", took: int = 12_000) -> None:
    arguments = {"n": number}
    names: dict[str, Any] = {
        "caller": AGENT,
        "server": "files",
        "tool": tool,
        "rule": f"/tools/{tool}",
    }
    house.other.events.append(
        "decision", call_id=f"c{number}", effect=effect, arguments=arguments,
        args_hash=args_hash(arguments), **names,
    )  # fmt: skip
    if effect == "allow":
        house.other.events.append(
            "outcome", call_id=f"c{number}", outcome="ok", duration_us=took, **names
        )


def lived(house: House) -> None:
    """Let two days of calls happen, one of them asked about."""
    house.other.catalogue.saw("files", [{"name": "write_file"}, {"name": "read_file"}])
    for hour in range(40):
        house.now_us += HOUR
        for at in range(1 + hour % 3):
            call(house, hour * 10 + at, "read_file", took=9_000 + 100 * at)
    call(house, 900, "run_shell", "deny")
    asked = house.ask("write_file", server="files")
    house.now_us += 2 * MINUTE
    house.other.approvals.decide(asked.id, True, by="me", args_hash=asked.args_hash)


def view(at: Desk) -> InsightView:
    found = at.app.view_in_front()
    assert isinstance(found, InsightView)
    return found


@BOTH
async def test_figures_of_days_are_shown_and_asking_is_billed(
    house: House, size: tuple[int, int]
) -> None:
    lived(house)
    async with desk(house, "insight", size) as at:
        screen = at.screen_text()
        assert "CALLS AN HOUR" in screen
        assert "80 in 7 days" in screen
        assert "2 min waited in 7 days" in screen
        assert "files.write_file  asked 1x" in screen
        assert "median 2:00" in screen
        await at.press("G")
        assert "files /tools/run_shell  1x" in at.screen_text()
        await at.press("t")
        await at.press("g")
        assert "in 24 hours" in at.screen_text()


async def test_enter_opens_the_tool_and_f_its_calls(house: House) -> None:
    lived(house)
    async with desk(house, "insight") as at:
        await at.press("f")
        feed = at.app.view_in_front()
        assert isinstance(feed, FeedView)
        assert feed.box.value == 'tool:"files.write_file"'
        await at.press("5")
        await at.press("enter")
        policies = at.app.view_in_front()
        assert isinstance(policies, PoliciesView)
        assert policies.page is not None
        assert policies.page.server == "files"


async def test_without_any_call_every_part_says_none(house: House) -> None:
    async with desk(house, "insight") as at:
        assert at.screen_text().count("none") == 4
        await at.press("j", "enter", "f", "G")
        assert at.app.front == "insight"


async def test_hostile_names_are_text(house: House) -> None:
    name = HOSTILE.replace("\ud800", "")
    for number in range(3):
        house.other.events.append(
            "decision", caller=Caller(name), call_id=f"h{number}", server="files", tool=name,
            rule=name, effect="deny",
        )  # fmt: skip
    async with desk(house, "insight") as at:
        assert not has_hidden(at.screen_text().replace("\n", ""))
        assert view(at).rows.source.total > 8


def test_counts_are_spread_or_added_up() -> None:
    assert squeezed((1, 2), 5) == (1, 1, 2, 2)
    assert squeezed((1, 2, 3, 4), 2) == (3, 7)
    assert squeezed((), 5) == ()


async def test_tokens_and_money_are_told_once_they_are_known(house: House) -> None:
    day, hostile = local_day(house.now_us), HOSTILE.replace("\ud800", "")
    sums = [
        UsageSum(day, "claude-code", "/home/me/shop", "big-1", 1_200_000, 8_000, 5),
        UsageSum(day, "codex", hostile, hostile, 10, 1, 0),
    ]
    house.other.usage.write(tuple(sums), house.now_us)
    house.paths.config_dir.mkdir(parents=True, exist_ok=True)
    (house.paths.config_dir / "prices.toml").write_text('[models."big-*"]\nin = 3.0\nout = 15.0\n')
    async with desk(house, "insight", (160, 60)) as at:
        text = at.screen_text()
        assert "TOKENS AND MONEY" in text
        assert "in 1,200,000" in text
        assert "3.72" in text
        assert "no price" in text
        assert not has_hidden(text)


async def test_tokens_of_an_agent_that_has_gone_are_told_while_somebody_looks(house: House) -> None:
    house.paths.usage_file.touch()
    day = local_day(house.now_us)
    house.memory = told = MemoryInProcess()
    told.used = [memory.UsageSum(day, "codex", "/shop", "big-1", 1_234_567, 8, 5)]
    async with desk(house, "insight", (160, 60)) as at:
        assert "in 1,234,567" in at.screen_text()
        told.used[0] = msgspec.structs.replace(told.used[0], tokens_in=2_345_678)
        house.now_us += 30_000_000
        await at.press("4", "5")
        assert "in 2,345,678" in at.screen_text()
        told.down = True
        house.now_us += 30_000_000
        await at.press("4", "5")
        assert "in 2,345,678" in at.screen_text()


async def test_prices_that_cannot_be_read_are_said(house: House) -> None:
    house.paths.config_dir.mkdir(parents=True, exist_ok=True)
    (house.paths.config_dir / "prices.toml").write_text("[models")
    async with desk(house, "insight") as at:
        assert "prices.toml" in at.notices()


@BOTH
async def test_the_days_budgets_are_drawn_with_what_is_used_of_them(
    house: House, size: tuple[int, int]
) -> None:
    house.settings = Settings(budget=BudgetSettings(tokens_per_day=5_000))
    used = UsageSum(local_day(house.now_us), "codex", "/home/me/shop", "big-1", 900, 300, 0)
    house.other.usage.write((used,), house.now_us)
    async with desk(house, "insight", size) as at:
        await at.press("G")
        text = at.screen_text()
        assert "THE DAY'S BUDGETS" in text
        assert "1,200 of 5,000 tokens" in text
        assert "█████░" in text


async def test_p_makes_a_rule_from_what_asking_cost(house: House) -> None:
    asked = house.ask("write_file", {"path": "a"}, server="files")
    house.other.events.append(
        "decision", caller=AGENT, call_id="c", server="files", tool="write_file",
        effect="approve", approval_id=asked.id, arguments={"path": "a"},
    )  # fmt: skip
    house.now_us += 2 * MINUTE
    house.other.approvals.decide(asked.id, True, by="me", args_hash=asked.args_hash)
    house.paths.policy_file("files").write_text(
        '{"version": "1", "default": "approve", "tools": {}}'
    )
    async with desk(house, "insight", LARGE) as at:
        await at.press("p")
        await at.until(lambda: isinstance(at.app.screen, SentenceScreen))
        assert "Allow files.write_file when" in at.screen_text()
