"""A waiting call allowed with other arguments: the form, what differs, and the guard before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pktui.tui.views.approvals.changing import ChangeScreen
from pktui.tui.views.approvals.detail import Detail
from tests.tui.house import HOSTILE, LARGE, SMALL, Desk, House, desk

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.settings import Paths

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
TOOL = {
    "name": "pay",
    "inputSchema": {
        "type": "object",
        "properties": {
            "amount": {"type": "integer", "description": "In cents."},
            "to": {"type": "string"},
            "note": {"type": "string"},
        },
        "required": ["amount", "to"],
    },
}
RULE = {
    "action": "approve",
    "deny_if": [{"conditions": [{"path": "args.amount", "op": "gt", "value": 1000}]}],
}
GIVEN = {"amount": 400, "to": "ada", "note": "rent\nof May"}


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    policy = {"version": "1", "default": "deny", "tools": {"pay": RULE}}
    paths.policy_file("bank").write_text(json.dumps(policy))
    house.other.catalogue.saw("bank", [TOOL])
    yield house
    house.close()


def ask(house: House, **arguments: Any) -> Approval:
    return house.ask("pay", GIVEN | arguments, server="bank")


def allowed_with(house: House, approval: Approval) -> object:
    found = house.other.approvals.get(approval.id)
    assert found is not None
    return json.loads(found.changed) if found.changed else found.status


async def opened(at: Desk) -> ChangeScreen:
    """Press E once it counts."""
    await at.press("enter")
    detail = at.app.query_one(Detail)
    await at.until(lambda: detail.guard.seen_whole and not detail.guard.waiting(detail.clock()))
    await at.key("E")
    await at.until(lambda: isinstance(at.app.screen, ChangeScreen))
    await at.settle()
    screen = at.app.screen
    assert isinstance(screen, ChangeScreen)
    return screen


async def change(at: Desk, text: str) -> None:
    """Type another value for the argument under the cursor."""
    await at.press("e", "ctrl+u", *text, "enter")


async def allow(at: Desk, screen: ChangeScreen) -> None:
    await at.until(lambda: not screen.quiet and screen._guard.seen_whole)
    await at.key("a")
    await at.settle()


@BOTH
async def test_a_call_is_allowed_with_what_was_typed(house: House, size: tuple[int, int]) -> None:
    asked = ask(house)
    async with desk(house, "approvals", size) as at:
        screen = await opened(at)
        text = at.screen_text()
        for part in ("Change bank.pay", "amount *", "a whole number", "400", "nothing is changed"):
            assert part in text
        await change(at, "40")
        text = " ".join(at.screen_text().split())
        assert "- amount 400" in text
        assert "+ amount 40 " in text
        assert "the policy asks, and you answer" in text
        await allow(at, screen)
        assert allowed_with(house, asked) == GIVEN | {"amount": 40}
        assert "as you changed it" in at.notices()


async def test_a_value_that_the_schema_does_not_take_is_refused_where_it_is_typed(
    house: House,
) -> None:
    asked = ask(house)
    async with desk(house, "approvals", LARGE) as at:
        await opened(at)
        await change(at, "much")
        assert "amount must be a whole number" in at.screen_text()
        await at.press("escape", "escape")
        assert allowed_with(house, asked) == "pending"


async def test_what_the_policy_refuses_is_not_allowed(house: House) -> None:
    asked = ask(house)
    async with desk(house, "approvals", LARGE) as at:
        screen = await opened(at)
        await change(at, "4000")
        assert "the policy refuses these arguments" in at.screen_text()
        await allow(at, screen)
        assert "not known yet whether" in at.notices()
        assert allowed_with(house, asked) == "pending"


async def test_without_a_change_nothing_is_allowed_here(house: House) -> None:
    asked = ask(house)
    async with desk(house, "approvals", LARGE) as at:
        screen = await opened(at)
        await allow(at, screen)
        assert "nothing is changed" in at.notices()
        await change(at, "40")
        await at.press("r")
        assert "nothing is changed yet" in at.screen_text()
        await at.press("escape")
        assert allowed_with(house, asked) == "pending"


async def test_text_of_several_lines_is_typed_as_json_has_it(house: House) -> None:
    asked = ask(house)
    async with desk(house, "approvals", LARGE) as at:
        screen = await opened(at)
        await at.press("j", "j", "e")
        assert r'"rent\nof May"' in at.screen_text()
        await at.press("ctrl+u", *'"rent\\nof June"', "enter")
        await allow(at, screen)
        assert allowed_with(house, asked) == GIVEN | {"note": "rent\nof June"}


async def test_an_argument_is_left_out_unless_the_tool_needs_it(house: House) -> None:
    asked = ask(house)
    async with desk(house, "approvals", LARGE) as at:
        screen = await opened(at)
        await at.press("x")
        assert "amount is required" in at.notices()
        await at.press("j", "j", "x")
        assert "left out" in at.screen_text()
        await allow(at, screen)
        assert allowed_with(house, asked) == {"amount": 400, "to": "ada"}


async def test_a_change_counts_only_once_it_could_be_read_to_its_end(house: House) -> None:
    asked = ask(house)
    async with desk(house, "approvals", SMALL) as at:
        screen = await opened(at)
        long = "line\n" * 400
        screen._take(GIVEN | {"note": long})
        await at.settle()
        await at.until(lambda: "read to its last line" in at.screen_text())
        await at.key("a")
        await at.settle()
        assert allowed_with(house, asked) == "pending"
        await at.press("tab", "G")
        await allow(at, screen)
        assert allowed_with(house, asked) == GIVEN | {"note": long}


async def test_enter_and_keys_typed_ahead_allow_nothing(house: House) -> None:
    asked = ask(house)
    async with desk(house, "approvals", LARGE) as at:
        await opened(at)
        await at.burst("e", "ctrl+u", "4", "enter", "a", "a", "enter")
        await at.settle()
        assert allowed_with(house, asked) == "pending"


async def test_hostile_text_is_shown_as_text(house: House) -> None:
    ask(house, note=HOSTILE.replace("\ud800", ""))
    async with desk(house, "approvals", LARGE) as at:
        await opened(at)
        await at.press("j", "j", "e")
        text = at.screen_text()
        assert "\u202e" not in text
        assert "\x1b" not in text


async def test_what_a_person_changed_is_shown_of_a_decided_call(house: House) -> None:
    asked = ask(house)
    house.other.approvals.decide(
        asked.id, True, by="console", args_hash=asked.args_hash, changed={"amount": 1, "to": "ada"}
    )
    async with desk(house, "approvals", LARGE) as at:
        text = at.screen_text()
        assert "allowed with these instead" in text
        assert "400" in text
