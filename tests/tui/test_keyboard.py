"""Keys that come faster than what they ask for: each goes to what the ones before it opened."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from textual import events
from textual.keys import KEY_TO_UNICODE_NAME
from textual.widgets import Input

from pktui.tui.actions import BY_ID, OVERLAPS
from pktui.tui.screens.ask import AskScreen
from pktui.tui.screens.confirm import ConfirmScreen
from pktui.tui.views.approvals.detail import Detail
from pktui.tui.views.approvals.guard_bar import GuardBar
from pktui.tui.views.approvals.view import ApprovalsView
from tests.tui.house import LARGE, SMALL, Desk, House, desk
from tests.tui.views.sessions.room import sessions

if TYPE_CHECKING:
    from pktui.settings import Paths

VIEWS = {"1": "sessions", "2": "feed", "3": "policies", "4": "approvals"}
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    policy = {"version": "1", "default": "allow", "tools": {"write": {"action": "approve"}}}
    house.paths.policy_file("files").write_text(json.dumps(policy))
    house.other.catalogue.saw("files", [{"name": "write"}, {"name": "read"}])
    yield house
    house.close()


def type_at_once(at: Desk, *keys: str) -> None:
    """Post keys as a terminal does that read them in one go; the event loop has not run yet."""
    for key in keys:
        name = KEY_TO_UNICODE_NAME.get(key, key.replace("_", " "))
        try:
            character: str | None = key if len(key) == 1 else unicodedata.lookup(name)
        except KeyError:
            character = {"enter": "\r", "slash": "/"}.get(key)
        at.app.post_message(events.Key(key, "/" if key == "slash" else character))


async def in_front_of_a_write(at: Desk, house: House, view: str) -> None:
    """Have a write wait, read to its end and past its quiet time, then go to a view."""
    house.ask("write", server="files")
    await at.beat()
    await at.press("4", "enter", "escape")
    detail = at.app.query_one(Detail)
    await at.until(lambda: detail.guard.waiting(detail.clock()) == 0)
    if view != "4":
        await at.press(view)


@BOTH
@pytest.mark.parametrize("view", VIEWS)
async def test_a_burst_stands_in_the_box_and_decides_nothing(
    house: House, size: tuple[int, int], view: str
) -> None:
    before = house.paths.policy_file("files").read_bytes()
    async with desk(house, "sessions", size) as at:
        await in_front_of_a_write(at, house, view)
        for other, name in VIEWS.items():
            type_at_once(at, other, "slash", *"adread")
            await at.settle()
            assert at.app.front == name
            box = at.app.focused
            assert isinstance(box, Input), (other, at.screen_text())
            assert box.value == "adread"
            await at.press("escape", "escape")
        assert [one.status for one in house.other.approvals.pending()] == ["pending"]
        assert house.paths.policy_file("files").read_bytes() == before
        assert len(at.app.screen_stack) == 1


async def test_a_view_that_is_still_to_be_made_gets_the_keys_meant_for_it(house: House) -> None:
    house.ask("write", server="files")
    async with desk(house, "sessions") as at:
        type_at_once(at, "4", "a", "3", "2", "slash", *"auth", "enter", "4", "a", "d")
        await at.settle()
        assert at.app.front == "approvals"
        assert at.app.query_one("#feed-filter", Input).value == "auth"
        assert [one.status for one in house.other.approvals.pending()] == ["pending"]


async def test_what_is_typed_after_e_is_the_summary_and_enter_typed_ahead_ends_nothing(
    paths: Paths,
) -> None:
    async with sessions(paths) as room:
        type_at_once(room.desk, "e", *"done", "enter")
        await room.desk.settle()
        screen = room.app.screen
        assert isinstance(screen, AskScreen)
        assert screen.query_one(Input).value == "done"
        assert "before this was on the screen" in room.text()
        await room.press("enter")
        assert len(room.app.screen_stack) == 1
        assert "undone" not in room.desk.notices()


async def test_words_after_r_reach_the_agent_in_order(house: House) -> None:
    async with desk(house, "approvals") as at:
        await in_front_of_a_write(at, house, "4")
        type_at_once(at, "r", *"use", "space", *"ada")
        await at.settle()
        assert at.app.screen.query_one(Input).value == "use ada"
        await at.press("enter")
        [asked] = house.other.approvals.recent(1)
        assert (asked.status, asked.words) == ("denied", "use ada")


@pytest.mark.parametrize("ahead", [("right", "enter"), ("enter",), ("escape",), ("l", "enter")])
async def test_a_question_is_not_answered_by_what_was_typed_before_it(
    house: House, ahead: tuple[str, ...]
) -> None:
    async with desk(house, "approvals") as at:
        type_at_once(at, "ctrl+k", *ahead)
        await at.settle()
        assert isinstance(at.app.screen, ConfirmScreen)
        assert not house.other.approvals.stopped()
        await at.answer("escape")
        assert len(at.app.screen_stack) == 1


async def test_letters_after_the_help_or_the_palette_run_nothing(house: House) -> None:
    async with desk(house, "approvals") as at:
        await in_front_of_a_write(at, house, "4")
        type_at_once(at, "question_mark", *"adK")
        await at.settle()
        await at.press("escape")
        type_at_once(at, "ctrl+p", *"adK")
        await at.settle()
        assert at.app.screen.query_one(Input).value == "adK"
        await at.press("escape")
        assert [one.status for one in house.other.approvals.pending()] == ["pending"]


async def test_a_paste_is_text_in_a_box_and_nothing_elsewhere(house: House) -> None:
    async with desk(house, "approvals") as at:
        await in_front_of_a_write(at, house, "4")
        at.app.post_message(events.Paste("a\nd\nK"))
        await at.settle()
        assert [one.status for one in house.other.approvals.pending()] == ["pending"]
        type_at_once(at, "slash")
        at.app.post_message(events.Paste("a\nd"))
        type_at_once(at, "x")
        await at.settle()
        assert at.app.query_one("#approvals-filter", Input).value == "a dx"


@pytest.mark.parametrize("text", ["a", "d"])
async def test_text_pasted_as_keys_decides_nothing(house: House, text: str) -> None:
    async with desk(house, "approvals") as at:
        await in_front_of_a_write(at, house, "4")
        type_at_once(at, text, *"zz")
        await at.settle()
        type_at_once(at, *"zz", text)
        await at.settle()
        assert len(at.app.screen_stack) == 1
        assert [one.status for one in house.other.approvals.pending()] == ["pending"]
        assert "press it alone" in at.notices()
        await at.press("d")
        assert house.other.approvals.pending() == ()


async def test_actions_of_a_view_that_is_not_in_front_are_refused(house: House) -> None:
    async with desk(house, "approvals") as at:
        await in_front_of_a_write(at, house, "1")
        behind = at.app.query_one(ApprovalsView)
        for name in ("allow", "deny", "wider", "deny_saying", "stop"):
            await behind.run_action(name)
            await at.app.run_action(name, default_namespace=behind)
            await at.app.query_one(GuardBar).run_action(f"view_action('{name}')")
        at.app.simulate_key("d")
        await at.settle()
        assert len(at.app.screen_stack) == 1
        assert [one.status for one in house.other.approvals.pending()] == ["pending"]


async def test_a_click_on_what_has_gone_does_nothing(house: House) -> None:
    async with desk(house, "approvals") as at:
        await in_front_of_a_write(at, house, "4")
        bar = at.app.query_one(GuardBar).region
        place = (bar.x + 30, bar.y)
        at.app.post_message(events.Key("1", "1"))
        for kind in (events.MouseDown, events.MouseUp):
            at.app.post_message(kind(None, *place, 0, 0, 1, False, False, False, *place))
        await at.settle()
        assert at.app.front == "sessions"
        assert [one.status for one in house.other.approvals.pending()] == ["pending"]


async def test_a_key_that_does_nothing_here_says_so(paths: Paths) -> None:
    async with sessions(paths) as room:
        await room.press("u")
        assert "u undo: there is nothing to undo" in room.desk.notices()
        room.app._said_missing_at = 0
        await room.press("n")
        assert "n next hit: there are no hits; / searches" in room.desk.notices()
        room.app._said_missing_at = 0
        await room.press("Z")
        assert "no action on Z here; ? lists the keys" in room.desk.notices()


async def test_scopes_that_hold_at_once_are_those_of_the_registry(house: House) -> None:
    async with desk(house, "sessions") as at:
        for key in VIEWS:
            await at.press(key)
            for widget in at.app.screen.focus_chain:
                at.app.screen.set_focus(widget)
                names = {one.binding.id for one in at.app.screen.active_bindings.values()}
                scopes = {BY_ID[name].scope for name in names if name and name in BY_ID}
                boxes = scopes & {"search", "filter"}
                for scope in boxes or scopes:
                    rest = {"app"} if boxes else scopes
                    assert rest <= OVERLAPS[scope] | {"app"}, (key, widget, scope)
