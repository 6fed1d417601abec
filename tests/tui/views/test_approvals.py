from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from textual.widgets import Input

from pktui.ledger.arguments.canonical import args_hash
from pktui.ledger.records import Approval, Caller
from pktui.settings import ConsoleSettings, Paths, Settings
from pktui.text import has_hidden
from pktui.tui.actions import offered_in
from pktui.tui.glyphs import UNICODE
from pktui.tui.screens.ask import AskScreen
from pktui.tui.tray import Tray
from pktui.tui.views.approvals.detail import Detail
from pktui.tui.views.approvals.guard_bar import GuardBar
from pktui.tui.views.approvals.view import ApprovalsView
from tests.support.tampering import tamper
from tests.tui.house import HOSTILE, LARGE, SMALL, Desk, House, desk

INTO = UNICODE.into
LONG = {"title": "long", "content": "\n".join(f"line {n}" for n in range(80))}
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


class Clock:
    """Seconds that move when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


def view_of(at: Desk) -> ApprovalsView:
    return at.app.query_one(ApprovalsView)


async def still(at: Desk) -> Clock:
    """Give the guard a clock of the test's own, and start it anew."""
    detail = at.app.query_one(Detail)
    clock = Clock()
    detail.clock = clock
    detail.rest()
    detail.wake()
    await at.settle()
    return clock


def keys_line(at: Desk) -> str:
    bar = at.app.query_one(GuardBar)
    return "".join(part.text for part in (*bar.left(), *bar.right()))


@BOTH
async def test_the_queue_says_who_asks_for_what(house: House, size: tuple[int, int]) -> None:
    house.ask()
    house.ask("shell", {"command": "make"}, server="build", caller=Caller("opencode"))
    async with desk(house, "approvals", size) as at:
        text = at.screen_text()
        assert "2 waiting" in text
        assert "memory.store_knowledge" in text
        assert "build.shell" in text
        assert "opencode" in text
        assert "10:00" in text
        assert at.app.title == "(2) pktui"


@BOTH
async def test_the_detail_shows_all_arguments_and_why(house: House, size: tuple[int, int]) -> None:
    house.ask(arguments={"title": "JWT", "content": "one\ntwo"})
    async with desk(house, "approvals", size) as at:
        if size == SMALL:
            await at.press("enter")
        text = at.screen_text()
        for part in ("claude-code", "/home/me/shop", "laptop", "8f31c2", "Kept for every"):
            assert part in text
        for part in ("/tools/store_knowledge", '"JWT"', "│ one", "│ two", "in 10:00"):
            assert part in text


@BOTH
async def test_an_approval_is_allowed_once_after_a_moment(
    house: House, size: tuple[int, int]
) -> None:
    asked = house.ask()
    async with desk(house, "approvals", size) as at:
        await at.press("enter")
        clock = await still(at)
        clock.now += 0.5
        await at.press("a")
        assert house.status(asked) == "allowed"
        assert "allowed by you" in at.screen_text()
        found = house.other.approvals.get(asked.id)
        assert found is not None
        assert found.decided_by == "console"


async def test_another_call_is_decided_while_an_answer_is_on_its_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = house.ask(), house.ask("end_session")
    reached, go = threading.Event(), threading.Event()
    decide = house.ledger.approvals.decide

    def slowly(approval_id: str, *args: Any, **kwargs: Any) -> Approval:
        if approval_id == first.id:
            reached.set()
            assert go.wait(120)
        return decide(approval_id, *args, **kwargs)

    monkeypatch.setattr(house.ledger.approvals, "decide", slowly)
    async with desk(house, "approvals") as at:
        view = view_of(at)
        view.go_to(first.id)
        await at.settle()
        clock = await still(at)
        clock.now += 1
        at.type("d")
        await at.until(reached.is_set)
        at.type("a")
        await at.until(lambda: "your answer to this call is on its way" in at.notices())
        view.go_to(second.id)
        await at.until(lambda: view.detail.approval is not None
                       and view.detail.approval.id == second.id)  # fmt: skip
        while house.status(second) != "denied":
            clock.now += 1  # the quiet time runs from when it was painted
            at.type("d")
            await at.pilot.pause(0.05)
        assert house.status(first) == "pending"
        go.set()
        await at.until(lambda: house.status(first) == "denied")


@pytest.mark.parametrize("key", ["a", "d", "r"])
async def test_a_key_before_400_ms_is_ignored(house: House, key: str) -> None:
    asked = house.ask()
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 0.39
        await at.press(key)
        assert house.status(asked) == "pending"
        assert not isinstance(at.app.screen, AskScreen)
        assert "a moment" in keys_line(at)


async def test_a_key_right_after_a_screen_over_the_view_is_ignored(house: House) -> None:
    asked = house.ask()
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("question_mark")
        assert at.app.screen.is_modal
        await at.press("escape", "a")
        assert not at.app.screen.is_modal
        assert house.status(asked) == "pending"
        assert "a moment" in keys_line(at)


async def test_enter_never_allows(house: House) -> None:
    asked = house.ask()
    async with desk(house, "approvals") as at:
        clock = await still(at)
        for _ in range(6):
            clock.now += 1
            await at.press("enter")
        assert house.status(asked) == "pending"


async def test_a_held_key_decides_one_approval_only(house: House) -> None:
    first, second = house.ask(), house.ask(arguments={"title": "other"})
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 0.5
        await at.press("a")
        for _ in range(40):
            clock.now += 0.03
            await at.key("a")
        assert house.status(first) == "allowed"
        assert house.status(second) == "pending"


@BOTH
async def test_allow_is_refused_before_the_last_line_was_shown(
    house: House, size: tuple[int, int]
) -> None:
    asked = house.ask(arguments=LONG)
    async with desk(house, "approvals", size) as at:
        await at.press("enter")
        clock = await still(at)
        clock.now += 1
        await at.press("a")
        assert house.status(asked) == "pending"
        assert "read to its last line first" in at.screen_text()
        assert "more rows" in at.screen_text()
        await at.press("G")
        assert "line 79" in at.screen_text()
        await at.press("a")
        assert house.status(asked) == "allowed"


@BOTH
async def test_who_asks_and_what_became_of_it_take_one_line(
    house: House, size: tuple[int, int]
) -> None:
    house.ask(caller=Caller("claude-code", "", "7cac3bf54161e3fb39f19f184bba6b42", "/home/me/shop"))
    async with desk(house, "approvals", size) as at:
        await at.press("enter")
        clock = await still(at)
        assert "/home/me/shop · connection 7cac3bf5…" in at.screen_text()
        clock.now += 1
        await at.press("a")
        assert "allowed: nothing left to decide" in keys_line(at)


async def test_space_pages_through_the_arguments_from_the_queue(house: House) -> None:
    asked = house.ask(arguments=LONG)
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        assert "more rows" in keys_line(at)
        for _ in range(6):
            await at.press("space")
        assert "more row" not in keys_line(at)
        await at.press("a")
        assert house.status(asked) == "allowed"


async def test_on_a_small_screen_nothing_is_allowed_unopened(house: House) -> None:
    asked = house.ask()
    async with desk(house, "approvals", SMALL) as at:
        clock = await still(at)
        clock.now += 1
        await at.press("a")
        assert house.status(asked) == "pending"
        assert "enter opens it" in keys_line(at)


async def test_each_approval_opened_on_a_small_screen_shows_its_own_arguments(house: House) -> None:
    house.ask(arguments={"title": "first"})
    second = house.ask(arguments={"title": "second"})
    async with desk(house, "approvals", SMALL) as at:
        await at.press("enter")
        assert '"first"' in at.screen_text()
        await at.press("escape", "j")
        clock = await still(at)
        clock.now += 1
        await at.press("a")
        assert house.status(second) == "pending"
        await at.press("enter")
        assert '"second"' in at.screen_text()
        assert '"first"' not in at.screen_text()


async def test_a_denial_needs_no_scrolling(house: House) -> None:
    asked = house.ask(arguments=LONG)
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("d")
        assert house.status(asked) == "denied"


@BOTH
async def test_words_of_a_denial_reach_the_record(house: House, size: tuple[int, int]) -> None:
    asked = house.ask()
    async with desk(house, "approvals", size) as at:
        clock = await still(at)
        clock.now += 1
        await at.press("r")
        assert isinstance(at.app.screen, AskScreen)
        await at.press(*"not a d", "enter")
        found = house.other.approvals.get(asked.id)
        assert found is not None
        assert (found.status, found.words) == ("denied", "not a d")


async def test_leaving_the_words_decides_nothing(house: House) -> None:
    asked = house.ask()
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("r", "a", "escape")
        assert house.status(asked) == "pending"
        await at.press("a")
        assert house.status(asked) == "pending"


async def test_nothing_typed_carries_over_to_the_next(house: House) -> None:
    house.ask()
    second = house.ask(arguments={"title": "other"})
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("r", *"because", "enter")
        await at.press("enter", "a", "d")
        assert house.status(second) == "pending"
        clock.now += 1
        await at.press("r")
        assert at.app.screen.query_one(Input).value == ""


async def test_typing_while_an_approval_arrives_leaves_both_alone(house: House) -> None:
    first = house.ask()
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("r", *"dad")
        late = house.ask(arguments={"title": "late"})
        await at.beat()
        await at.press(*"a and d")
        assert at.app.screen.query_one(Input).value == "dada and d"
        assert at.app.focused is at.app.screen.query_one(Input)
        assert (house.status(first), house.status(late)) == ("pending", "pending")


async def test_an_approval_that_arrives_never_takes_the_focus_or_the_cursor(house: House) -> None:
    first = house.ask()
    async with desk(house, "approvals") as at:
        focused = at.app.focused
        house.ask(arguments={"title": "late"})
        await at.beat()
        assert at.app.focused is focused
        assert view_of(at).rows.current == view_of(at).detail.approval
        assert view_of(at).detail.guard.approval_id == first.id
        assert "2 waiting" in at.screen_text()


async def test_a_decision_elsewhere_is_shown_and_stays_under_the_cursor(house: House) -> None:
    first = house.ask()
    second = house.ask(arguments={"title": "other"})
    async with desk(house, "approvals") as at:
        clock = await still(at)
        house.other.approvals.decide(
            first.id, False, by="pktui approvals", args_hash=first.args_hash, words="too early"
        )
        await at.beat()
        text = at.screen_text()
        assert "denied" in text
        assert "pktui approvals" in text
        assert "too early" in text
        clock.now += 1
        await at.press("a", "d")
        assert (house.status(first), house.status(second)) == ("denied", "pending")


async def test_a_decision_elsewhere_at_the_same_moment_is_told(house: House) -> None:
    asked = house.ask()
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        house.other.approvals.decide(asked.id, False, by="someone", args_hash=asked.args_hash)
        await at.press("a")
        assert house.status(asked) == "denied"
        assert "already denied by someone" in at.notices()


async def test_an_expired_approval_cannot_be_allowed(house: House) -> None:
    asked = house.ask(expires_us=house.now_us + 5_000_000)
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 10
        house.now_us += 6_000_000
        view_of(at).tick(house.now_us)
        await at.settle()
        assert "expired" in at.screen_text()
        await at.press("a", "d")
        assert house.status(asked) == "expired"


async def test_the_countdown_counts(house: House) -> None:
    house.ask()
    async with desk(house, "approvals") as at:
        house.now_us += 61_000_000
        view_of(at).tick(house.now_us)
        await at.settle()
        assert "in 8:59" in at.screen_text()


async def test_read_only_shows_all_and_decides_nothing(house: House) -> None:
    house.read_only = True
    asked = house.ask()
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("a", "d", "r")
        assert house.status(asked) == "pending"
        assert "read-only" in keys_line(at)
        assert '"JWT"' in at.screen_text()


async def test_raw_shows_the_json_as_it_came(house: House) -> None:
    house.ask(arguments={"title": "JWT", "n": 1})
    async with desk(house, "approvals") as at:
        await at.press("v")
        assert '{"title":"JWT","n":1}' in at.screen_text()
        await at.press("v")
        assert '{"title":"JWT","n":1}' not in at.screen_text()


async def test_an_edit_is_shown_as_old_and_new(house: House) -> None:
    house.ask("edit", {"path": "a.py", "old_string": "x = 1", "new_string": "x = 2"}, server="fs")
    async with desk(house, "approvals") as at:
        text = at.screen_text()
        assert "- x = 1" in text
        assert "+ x = 2" in text


async def test_another_view_and_back_starts_the_moment_again(house: House) -> None:
    asked = house.ask()
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("2")
        await at.press("a")
        await at.press("a")
        assert house.status(asked) == "pending"


async def test_the_palette_does_not_offer_to_allow(house: House) -> None:
    house.ask()
    async with desk(house, "approvals") as at:
        offered = {action.id for action in offered_in(at.app.front)}
        assert "approvals.allow" not in offered
        assert "approvals.deny" in offered


async def test_an_empty_queue_says_what_comes_here(house: House) -> None:
    async with desk(house, "approvals") as at:
        assert "Nothing waits for you" in at.screen_text()
        await at.press("a", "d", "r", "enter", "v", "space", "escape")


@BOTH
@pytest.mark.parametrize(
    "arguments",
    [
        {"x": HOSTILE, HOSTILE.replace("\ud800", ""): [HOSTILE]},
        {"old_string": HOSTILE, "new_string": "\r\n".join([HOSTILE] * 3)},
        {"x": "y" * 1_000_000},
        {"x": "\u200b" * 20_000},
    ],
    ids=["values", "edit", "megabyte", "zero-width"],
)
async def test_hostile_text_is_shown_as_text(
    house: House, size: tuple[int, int], arguments: dict[str, Any]
) -> None:
    hostile = HOSTILE.replace("\ud800", "")
    house.ask(
        hostile, arguments, server=hostile, rule=hostile, reason=hostile,
        caller=Caller(hostile, hostile, hostile, hostile),
    )  # fmt: skip
    async with desk(house, "approvals", size) as at:
        shown = at.screen_text()
        await at.press("enter")
        shown += at.screen_text()
        await at.press("v")
        shown += at.screen_text()
        await at.press("G", "escape", "1")
        shown += at.screen_text()
        assert "[bold red]" in shown
        assert "\x1b" not in shown
        assert not has_hidden(shown.replace("\n", ""))


@pytest.mark.parametrize("size", [(60, 15), (40, 10)], ids=["60x15", "40x10"])
async def test_a_call_is_read_and_allowed_in_a_tiny_terminal(
    house: House, size: tuple[int, int]
) -> None:
    asked, other = house.ask(arguments=LONG), house.ask("end_session", {"id": 3})
    async with desk(house, "feed", size) as at:
        assert "▲2" in at.screen_text()
        assert "2 waiting: store_k" in at.screen_text()
        await at.press("4", "enter")
        clock = await still(at)
        clock.now += 1
        assert "memory.store_knowledge" in at.screen_text()
        assert 'title    "long"' in at.screen_text()
        await at.press("a")
        assert "read to its last line first" in at.screen_text()
        assert house.status(asked) == "pending"
        await at.press("G")
        assert "line 79" in at.screen_text()
        assert "a allow" in at.screen_text()
        assert "d deny" in at.screen_text()
        await at.press("a")
        assert house.status(asked) == "allowed"
        clock.now += 1
        await at.press("d")
        assert house.status(other) == "denied"


async def test_the_ascii_set_draws_no_other_borders(paths: Paths) -> None:
    house = House(paths, Settings(console=ConsoleSettings(glyphs="ascii")))
    house.ask()
    async with desk(house, "approvals") as at:
        for keys in (("4",), ("2",), ("3",), ("4", "ctrl+k"), ("escape", "question_mark")):
            await at.press(*keys)
            assert not set("╭╮╰╯─") & set(at.screen_text()), keys
    house.close()


async def test_who_comes_to_the_queue_comes_to_what_waits(house: House) -> None:
    done = house.ask()
    house.other.approvals.decide(done.id, False, by="x", args_hash=done.args_hash)
    async with desk(house, "approvals") as at:
        assert f"── {done.id}" in at.screen_text()
        await at.press("2")
        asked = house.ask("shell", {}, server="build")
        await at.press("4")
        assert f"── {asked.id}" in at.screen_text()
        await at.press("j")
        assert f"── {done.id}" in at.screen_text()


class TestTray:
    async def test_it_names_who_waits_for_what_and_how_long(self, house: House) -> None:
        house.ask(expires_us=house.now_us + 42_000_000)
        house.ask("shell", {}, server="build", caller=Caller("opencode"))
        async with desk(house, "sessions") as at:
            text = at.screen_text()
            assert f"▲ 2 waiting: claude-code {INTO} memory.store_knowledge 0:42" in text
            assert f"opencode {INTO} build.shell 10:00" in text
            assert "4 open" in text

    async def test_it_offers_to_open_the_queue_only_elsewhere(self, house: House) -> None:
        house.ask()
        async with desk(house, "sessions") as at:
            assert "4 open" in at.screen_text()
            await at.press("4")
            assert "4 open" not in at.screen_text()
            await at.press("2")
            assert "4 open" in at.screen_text()

    async def test_it_is_not_there_while_nothing_waits(self, house: House) -> None:
        async with desk(house, "sessions") as at:
            assert not at.app.query_one(Tray).display

    async def test_it_opens_the_queue_and_decides_nothing(self, house: House) -> None:
        asked = house.ask()
        async with desk(house, "approvals") as at:
            await still(at)
            await at.press("2")
            await at.press("4", "a", "a")
            assert at.app.front == "approvals"
            assert house.status(asked) == "pending"

    @pytest.mark.parametrize("bell", [True, False])
    async def test_the_bell_rings_once_for_each_new_one(
        self, house: House, monkeypatch: pytest.MonkeyPatch, bell: bool
    ) -> None:
        rung: list[int] = []
        house.settings = Settings(console=ConsoleSettings(bell=bell))
        house.ask()
        async with desk(house, "sessions") as at:
            monkeypatch.setattr(at.app, "bell", lambda: rung.append(1))
            await at.beat()
            house.ask(arguments={"n": 1})
            await at.beat()
            await at.beat()
            house.ask(arguments={"n": 2})
            await at.beat()
            assert len(rung) == (2 if bell else 0)

    async def test_it_never_takes_the_focus(self, house: House) -> None:
        async with desk(house, "sessions") as at:
            before = at.app.focused
            house.ask()
            await at.beat()
            assert at.app.query_one(Tray).display
            assert at.app.focused is before


async def test_a_decision_is_for_the_arguments_that_were_shown(house: House) -> None:
    asked = house.ask(arguments={"path": "harmless"})
    changed = "UPDATE approvals SET args_hash = ? WHERE id = ?"
    tamper(house.paths.ledger_file, changed, args_hash({"path": "/"}), asked.id)
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("a")
        assert house.status(asked) == "pending"
        assert "not for the arguments that were shown" in at.notices()


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 12345678901234567890, "f": 1.0, "g": 1e-7, "s": "\ud800 é \u2028", "": None},
        {"deep": [[[[{"a": [True, False]}]]]], "big": 2**70},
    ],
)
async def test_every_value_keeps_its_hash_from_question_to_answer(
    house: House, arguments: dict[str, Any]
) -> None:
    asked = house.ask(arguments=arguments)
    async with desk(house, "approvals") as at:
        clock = await still(at)
        clock.now += 1
        await at.press("a")
        assert house.status(asked) == "allowed"


async def test_a_long_reason_leaves_until_when_in_sight(house: House) -> None:
    house.ask(reason=f"{HOSTILE} {'because ' * 60}".encode("utf-8", "replace").decode())
    async with desk(house, "approvals", SMALL) as at:
        await at.press("enter")
        text = at.screen_text()
        assert "expires   in 10:00" in text
        assert "title" in text
