"""A console that is opened at a place begins there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.tui.console import Console
from pktui.tui.views.approvals.view import ApprovalsView
from pktui.tui.views.feed.view import FeedView
from tests.tui.house import AGENT, Desk, House

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
