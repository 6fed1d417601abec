"""A console that is opened at a place begins there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.tui.console import Console
from pktui.tui.views.approvals.view import ApprovalsView
from pktui.tui.views.feed.view import FeedView
from pktui.tui.views.sessions.view import SessionsView
from tests.support.memory import MemoryInProcess
from tests.tui.house import AGENT, Desk, House, _kept_notices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


async def test_it_begins_at_an_approval(house: House) -> None:
    asked = [house.ask(f"tool{number}") for number in range(3)]
    app = Console(house.services(), view="approvals", at=asked[2].id)
    async with app.run_test(size=(120, 36)) as pilot:
        await Desk(house, app, pilot, []).settle()
        current = app.query_one(ApprovalsView).rows.current
        assert current is not None
        assert current.id == asked[2].id


async def test_it_begins_with_a_filter(house: House) -> None:
    for tool in ("read", "drop"):
        house.other.events.append(
            "decision", caller=AGENT, call_id=tool, server="files", tool=tool, effect="allow"
        )
    app = Console(house.services(), view="feed", words="tool:drop")
    async with app.run_test(size=(120, 36)) as pilot:
        hands = Desk(house, app, pilot, [])
        await hands.settle()
        assert app.query_one(FeedView).box.value == "tool:drop"
        assert "files.read" not in hands.screen_text()


@pytest.mark.parametrize("size", [(120, 36), (60, 20)])
async def test_it_begins_at_a_session_that_is_far_down(house: House, size: tuple[int, int]) -> None:
    memory = MemoryInProcess()
    for number in range(80):
        memory.add(f"session {number}", ("user", f"words of {number}"))
    house.memory = memory
    app = Console(house.services(), view="sessions", at="3")
    async with app.run_test(size=size) as pilot:
        hands = Desk(house, app, pilot, [])
        await hands.settle()
        session = app.query_one(SessionsView).session
        assert session is not None
        assert session.id == 3
        assert "words of 2" in hands.screen_text()


async def test_a_session_that_is_gone_is_said(house: House) -> None:
    memory = MemoryInProcess()
    memory.add("the only one", ("user", "hello"))
    house.memory = memory
    app = Console(house.services(), view="sessions", at="99")
    said = _kept_notices(app)
    async with app.run_test(size=(120, 36)) as pilot:
        hands = Desk(house, app, pilot, said)
        await hands.settle()
        assert "the only one" in hands.screen_text()
        assert "99" in hands.notices()
