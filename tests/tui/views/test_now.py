from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pktui.insight.now import Agent, Hour, Need, Now, NowReader, Odd
from pktui.insight.spending import local_day
from pktui.ledger.usage import UsageSum
from pktui.settings import BudgetSettings, Settings
from pktui.text import has_hidden
from pktui.tui.views.feed.view import FeedView
from pktui.tui.views.now.view import NowView
from tests.tui.house import AGENT, HOSTILE, LARGE, SMALL, Desk, House, desk

if TYPE_CHECKING:
    from pktui.settings import Paths

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
SECOND = 1_000_000
QUIET = Hour((0,) * 12, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


def agent(house: House, name: str = "claude-code", **more: Any) -> Agent:
    now = house.now_us
    given: dict[str, Any] = {
        "project": "/home/me/storefront", "sessions": ("s1",), "servers": ("files",),
        "state": "running", "doing": "files.run_tests", "since_us": now - 12 * SECOND,
        "calls": 41, "denied": 2, "asked": 1, "first_us": now - 240 * SECOND, "last_us": now,
        "spark": (1, 2, 5, 7, 5, 3, 2, 1, 0, 0, 1, 2),
    }  # fmt: skip
    return Agent(name, **{**given, **more})


def now(house: House, *agents: Agent, needs: tuple[Need, ...] = (), **more: Any) -> Now:
    given: dict[str, Any] = {"hour": QUIET, "odd": (), "stopped_by": ""}
    return Now(house.now_us, needs, agents, **{**given, **more})


def seen(monkeypatch: pytest.MonkeyPatch, now: Now) -> None:
    monkeypatch.setattr(NowReader, "read", lambda _self, around=(): now)


def view(at: Desk) -> NowView:
    found = at.app.view_in_front()
    assert isinstance(found, NowView)
    return found


@BOTH
async def test_agents_and_what_needs_the_person_stand_above_the_last_hour(
    house: House, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    waits = house.ask("pay", {"amount": 12_000}, server="billing")
    house.now_us += 8 * SECOND
    hour = Hour((1, 2, 3, 5, 7, 5, 3, 2, 1, 1, 2, 4), 212, 5, 19, 17, 31 * SECOND, 1)
    odd = Odd("changed", "files.read_file changed", house.now_us - 180 * SECOND)
    whole = now(
        house, agent(house), agent(house, "cursor", state="gone", denied=0, calls=3),
        needs=(Need(waits, 8 * SECOND),), hour=hour, odd=(odd,),
    )  # fmt: skip
    seen(monkeypatch, whole)
    async with desk(house, "now", size) as at:
        screen = at.screen_text()
        rows = screen.splitlines()
        assert "NEEDS YOU" in rows[2]
        assert "AGENTS" in rows[5]
        assert "billing.pay" in rows[3]
        assert "waits 0:08" in rows[3]
        assert "running files.run_tests 12 s" in rows[6]
        assert "41 calls" in rows[6]
        assert "2 denied" in rows[6]
        assert "gone 12 s ago" in rows[7]
        assert "212 calls" in screen
        assert "19 asked (17 allowed," in screen
        assert "files.read_file changed 3 min ago" in screen


async def test_the_cursor_passes_over_titles_and_enter_opens_the_approval(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = house.ask("pay", server="billing")
    seen(monkeypatch, now(house, agent(house), needs=(Need(waits, SECOND),)))
    async with desk(house, "now") as at:
        assert view(at).rows.cursor == 1
        await at.press("j")
        assert view(at).rows.cursor == 4
        await at.press("j")
        assert view(at).rows.cursor == 4
        await at.press("k", "k", "k")
        assert view(at).rows.cursor == 1
        await at.press("enter")
        assert at.app.front == "approvals"
        assert house.status(waits) == "pending"


async def test_f_follows_the_agent_in_the_feed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(monkeypatch, now(house, agent(house, project="/home/me/my shop")))
    async with desk(house, "now") as at:
        await at.press("f")
        feed = at.app.view_in_front()
        assert isinstance(feed, FeedView)
        assert feed.box.value == 'agent:claude-code project:"/home/me/my shop"'


async def test_it_says_that_nothing_waits_and_that_nothing_ever_called(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.tui.views.now.first_run.find_agents", lambda *_: ())
    seen(monkeypatch, now(house, agent(house, state="idle", doing="")))
    async with desk(house, "now") as at:
        assert "nothing waits for you" in at.screen_text()
        seen(monkeypatch, now(house))
        view(at).shown()
        await at.settle()
        assert "No coding agent was found on this machine." in at.screen_text()
        await at.press("j", "enter", "f")
        assert at.app.front == "now"


async def test_a_budget_that_is_spent_is_said(house: House) -> None:
    house.settings = Settings(budget=BudgetSettings(tokens_per_day=1_000))
    used = UsageSum(local_day(house.now_us), "codex", "/home/me/shop", "big-1", 900, 300, 0)
    house.other.usage.write((used,), house.now_us)
    house.other.events.append(
        "decision", caller=AGENT, call_id="c", server="files", tool="read", effect="allow"
    )
    async with desk(house, "now") as at:
        assert "BUDGET" in at.screen_text()
        assert "The day's budget is spent: 1,200 of 1,000 tokens." in at.screen_text()


@BOTH
async def test_hostile_names_are_text(
    house: House, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    waits = house.ask(HOSTILE, {HOSTILE.replace("\ud800", ""): 1})
    odd = Odd("burst", HOSTILE)
    whole = now(
        house, agent(house, HOSTILE, project=f"/x/{HOSTILE}", doing=HOSTILE),
        needs=(Need(waits, SECOND),), odd=(odd,),
    )  # fmt: skip
    seen(monkeypatch, whole)
    async with desk(house, "now", size) as at:
        assert not has_hidden(at.screen_text().replace("\n", ""))


async def test_an_agent_is_stopped_on_its_row_alone_and_goes_on_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = agent(house)
    seen(monkeypatch, now(house, one, agent(house, "codex")))
    async with desk(house, "now", LARGE) as at:
        await at.press("K")
        assert "Stop claude-code?" in at.screen_text()
        await at.press("enter")
        assert house.other.approvals.stopped_agents() == frozenset()
        await at.press("K")
        await at.answer("right", "enter")
        assert house.other.approvals.stopped_agents() == {one.place}
        assert not house.other.approvals.stopped()
        seen(monkeypatch, now(house, replace(one, stopped=True)))
        view(at).ledger_moved()
        await at.settle()
        await at.press("K")
        await at.answer("right", "enter")
        assert house.other.approvals.stopped_agents() == frozenset()


async def test_a_stopped_agent_is_said_and_every_view_stops_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(monkeypatch, now(house, agent(house, stopped=True)))
    async with desk(house, "now", LARGE) as at:
        assert "stopped: each of its calls is refused" in at.screen_text()
        await at.press("2", "ctrl+k")
        assert "Stop everything?" in at.screen_text()
        await at.answer("right", "enter")
        assert house.other.approvals.stopped()


async def test_a_config_that_goes_around_pktui_is_odd(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = "Codex reaches files around pktui: pktui adopt"
    monkeypatch.setattr("pktui.tui.views.now.view.around_pktui", lambda _places: (around,))
    house.ask()
    async with desk(house, "now", LARGE) as at:
        assert around in at.screen_text()


async def test_only_rows_that_can_be_chosen_get_a_letter(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(monkeypatch, now(house, agent(house), agent(house, "cursor")))
    async with desk(house, "now") as at:
        await at.press("ctrl+o")
        lettered = [row for row in at.screen_text().splitlines()[2:10] if row[:1].isalpha()]
        assert [row[0] for row in lettered] == ["a", "s"]
        assert "claude-code" in lettered[0]
        assert "cursor" in lettered[1]
