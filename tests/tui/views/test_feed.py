from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input

from pktui.ledger.arguments.canonical import args_hash
from pktui.ledger.records import Caller
from pktui.ledger.results import Answered
from pktui.text import has_hidden
from pktui.tui.views.feed.bar import FeedBar
from pktui.tui.views.feed.rate import Rate, sparkline
from pktui.tui.views.feed.view import FeedView
from pktui.tui.views.feed.window import CAPACITY
from pktui.tui.widgets.document import DocumentView
from tests.tui.house import AGENT, HOSTILE, LARGE, SMALL, Desk, House, desk

if TYPE_CHECKING:
    from pktui.settings import Paths

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


def call(
    house: House, number: int, *, effect: str = "allow", outcome: str = "ok", **more: Any
) -> str:
    """Write a call from outside, ended unless `outcome` is empty."""
    call_id = f"call-{number}"
    arguments: Mapping[str, Any] = more.pop("arguments", {"n": number})
    event: dict[str, Any] = {
        "caller": AGENT,
        "server": "memory",
        "tool": "search_knowledge",
        "rule": "/tools/search_knowledge",
        **more,
    }
    house.now_us += 1_000_000
    house.other.events.append(
        "decision", call_id=call_id, effect=effect, arguments=arguments,
        args_hash=args_hash(arguments), **event,
    )  # fmt: skip
    if outcome:
        house.other.events.append(
            "outcome", call_id=call_id, outcome=outcome, duration_us=12_345, **event
        )
    return call_id


def calls(house: House, first: int, last: int, **more: Any) -> None:
    with house.other.transaction():
        for number in range(first, last):
            call(house, number, **more)


def view_of(at: Desk) -> FeedView:
    return at.app.query_one(FeedView)


def bar(at: Desk) -> str:
    line = at.app.query_one(FeedBar)
    return "".join(part.text for part in (*line.left(), *line.right()))


async def test_the_rate_falls_though_nothing_is_written(house: House) -> None:
    calls(house, 0, 12)
    async with desk(house, "feed") as at:
        assert "12/min" in bar(at)
        house.now_us += 180_000_000
        at.app.tick()
        await at.settle()
        assert "12/min  0/min" in bar(at)


@BOTH
async def test_a_call_is_shown_as_it_happens(house: House, size: tuple[int, int]) -> None:
    async with desk(house, "feed", size) as at:
        assert "No calls yet" in at.screen_text()
        call(house, 1, arguments={"query": "jwt ttl"})
        await at.beat()
        text = at.screen_text()
        for part in (
            "✓",
            "claude-code",
            "memory.search_k",
            'query="jw',
        ):
            assert part in text
        assert ("12 ms" in text) == (size == LARGE)
        assert "● live" in text


async def test_arguments_stand_whole_beside_a_reason_where_both_have_room(house: House) -> None:
    async with desk(house, "feed", LARGE) as at:
        call(house, 1, effect="deny", outcome="", reason="No.", arguments={"path": "a" * 30})
        await at.beat()
        row = next(line for line in at.screen_text().splitlines() if "✗ denied" in line)
        assert "a" * 30 in row
        assert "No." in row


@pytest.mark.parametrize(
    ("effect", "outcome", "word", "why"),
    [
        ("allow", "", "● running", ""),
        ("allow", "tool_error", "↯ failed", "the tool answered with an error"),
        ("deny", "", "✗ denied", "No database tools."),
        ("approve", "", "▲ asked", "No database tools."),
        ("approve", "denied", "✗ denied", "a person said no"),
        ("approve", "expired", "○ expired", "nobody decided in time"),
        ("approve", "ok", "✓ approved", ""),
        ("hide", "", "◌ hidden", "No database tools."),
    ],
)
async def test_what_became_of_a_call_has_a_sign_a_word_and_a_reason(
    house: House, effect: str, outcome: str, word: str, why: str
) -> None:
    call(house, 1, effect=effect, outcome=outcome, reason="No database tools.")
    async with desk(house, "feed") as at:
        assert word in at.screen_text()
        assert why in at.screen_text()


async def test_a_running_call_settles_in_place(house: House) -> None:
    call_id = call(house, 1, outcome="")
    async with desk(house, "feed") as at:
        assert "running" in at.screen_text()
        house.other.events.append("outcome", call_id=call_id, outcome="ok", duration_us=7_000)
        await at.beat()
        assert "running" not in at.screen_text()
        assert "7 ms" in at.screen_text()


@BOTH
async def test_looking_back_pauses_and_nothing_moves(house: House, size: tuple[int, int]) -> None:
    calls(house, 0, 60)
    async with desk(house, "feed", size) as at:
        await at.press("k", "k", "k")
        before = [line for line in at.screen_text().splitlines() if "n=" in line]
        calls(house, 60, 97)
        await at.beat()
        after = [line for line in at.screen_text().splitlines() if "n=" in line]
        assert before == after
        assert "paused · 37 new · G to resume" in bar(at)
        await at.press("G")
        assert "● live" in bar(at)
        current = view_of(at).rows.current
        assert current is not None
        assert current.key == "call-96"


async def test_following_keeps_the_newest_call_in_sight(house: House) -> None:
    calls(house, 0, 60)
    async with desk(house, "feed") as at:
        calls(house, 60, 90)
        await at.beat()
        assert "n=89" in at.screen_text()
        assert "● live" in bar(at)


async def test_walking_down_through_new_calls_follows_at_the_end(house: House) -> None:
    calls(house, 0, 20)
    async with desk(house, "feed") as at:
        await at.press("k")
        calls(house, 20, 23)
        await at.beat()
        assert "3 new" in bar(at)
        await at.press("j")
        assert "● live" in bar(at)
        await at.press("j", "j", "j")
        assert "n=22" in at.screen_text()


async def test_older_calls_come_as_the_reader_walks_back(house: House) -> None:
    calls(house, 0, 700)
    async with desk(house, "feed") as at:
        for _ in range(12):
            await at.press("g")
        assert view_of(at).window.at_start
        assert "n=0 " in at.screen_text()
        assert len(view_of(at).window.rows) <= CAPACITY


async def test_a_burst_larger_than_the_window_is_jumped_over(house: House) -> None:
    calls(house, 0, 10)
    async with desk(house, "feed") as at:
        calls(house, 10, CAPACITY + 200)
        await at.beat()
        assert f"n={CAPACITY + 199}" in at.screen_text()


async def test_a_filter_is_shown_as_chips_and_filters(house: House) -> None:
    calls(house, 0, 5)
    call(house, 9, effect="deny", outcome="", reason="No.", caller=Caller("opencode"))
    async with desk(house, "feed") as at:
        await at.press("slash", *"effect:denied agent:open", "enter")
        await at.until(lambda: len(view_of(at).window.rows) == 1)
        assert "effect:denied" in bar(at)
        assert "agent:open" in bar(at)
        assert "opencode" in at.screen_text()
        await at.press("escape")
        await at.until(lambda: len(view_of(at).window.rows) == 6)
        assert "━ all calls ━" in at.screen_text()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("since:yesterday", "yesterday is no time"),
        ("effect:maybe", "no effect maybe"),
    ],
)
async def test_a_word_that_cannot_be_used_is_named_with_the_reason(
    house: House, text: str, why: str
) -> None:
    calls(house, 0, 3)
    async with desk(house, "feed") as at:
        await at.press("slash")
        at.app.query_one("#feed-filter", Input).value = text
        await at.settle()
        assert why in bar(at)


@BOTH
async def test_a_filter_that_leaves_nothing_says_what_was_meant_and_the_way_back(
    house: House, size: tuple[int, int]
) -> None:
    calls(house, 0, 3)
    async with desk(house, "feed", size) as at:
        await at.press("slash", *"effekt:denied", "enter")
        await at.until(lambda: "No call matches “effekt:denied”." in at.screen_text())
        text = " ".join(at.screen_text().split())
        assert "“effekt:” is looked for as text. Did you mean effect:?" in text
        assert "esc shows all calls again" in text
        assert "esc back" in text
        await at.press("escape")
        await at.until(lambda: "n=2" in at.screen_text())
        assert "No call matches" not in at.screen_text()


async def test_letters_in_the_filter_are_letters(house: House) -> None:
    calls(house, 0, 3)
    asked = house.ask()
    async with desk(house, "feed") as at:
        await at.press("slash", *"a1p q")
        assert at.app.query_one("#feed-filter", Input).value == "a1p q"
        assert at.app.front == "feed"
        assert house.status(asked) == "pending"


@BOTH
async def test_enter_shows_a_call_whole(house: House, size: tuple[int, int]) -> None:
    asked = house.ask(arguments={"title": "JWT"})
    house.other.approvals.decide(
        asked.id, False, by="console", args_hash=asked.args_hash, words="not now"
    )
    call(
        house, 1, effect="approve", outcome="denied", approval_id=asked.id,
        arguments={"content": "one\ntwo"}, reason="Kept for good.",
    )  # fmt: skip
    async with desk(house, "feed", size) as at:
        await at.press("enter")
        text = at.screen_text()
        for part in ("memory.search_knowledge", "Kept for good.", "/tools/search_knowledge"):
            assert part in text
        for part in ("laptop", "8f31c2", "/home/me/shop", asked.id, "not now", "│ two"):
            assert part in text
        await at.press("escape")
        assert not at.app.query_one("#feed-detail").display


@BOTH
async def test_an_open_call_shows_its_result_once_it_has_one(
    house: House, size: tuple[int, int]
) -> None:
    call_id = call(house, 1, outcome="", tool="t", arguments={})
    async with desk(house, "feed", size) as at:
        await at.press("enter")
        assert "result" not in at.screen_text()
        house.other.events.append("outcome", call_id=call_id, outcome="ok", duration_us=1)
        result = b'{"content":[{"type":"text","text":"three entries"}]}'
        house.other.results.add([Answered(call_id, "memory", "t", "ok", result)])
        await at.beat()
        document = at.app.query_one(DocumentView)
        document.scroll_end(animate=False)
        await at.settle()
        assert "three entries" in at.screen_text()


async def test_y_copies_the_result_of_the_open_call_else_the_arguments(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_id = call(house, 1, tool="t", arguments={"n": 7})
    result = b'{"content":[{"type":"text","text":"three entries"}]}'
    house.other.results.add([Answered(call_id, "memory", "t", "ok", result)])
    call(house, 2, tool="u", arguments={"n": 8})
    async with desk(house, "feed") as at:
        copied: list[str] = []
        monkeypatch.setattr(at.app, "copy", copied.append)
        await at.press("y", "enter", "y", "k", "y", "escape", "y")
        assert copied == ['{"n":8}', '{"n":8}', "three entries", '{"n":7}']


async def test_an_open_call_stays_while_others_arrive(house: House) -> None:
    calls(house, 0, 5)
    async with desk(house, "feed") as at:
        await at.press("enter")
        shown = at.app.query_one(DocumentView).key
        calls(house, 5, 9)
        await at.beat()
        assert at.app.query_one(DocumentView).key == shown
        assert "paused" in bar(at)


@BOTH
async def test_hostile_text_is_shown_as_text(house: House, size: tuple[int, int]) -> None:
    hostile = HOSTILE.replace("\ud800", "")
    call(
        house, 1, effect="deny", outcome="", server=hostile, tool=hostile, reason=hostile,
        rule=hostile, caller=Caller(hostile, hostile, hostile, hostile),
        arguments={hostile: hostile, "long": "y" * 1_000_000},
    )  # fmt: skip
    async with desk(house, "feed", size) as at:
        shown = at.screen_text()
        await at.press("enter")
        shown += at.screen_text()
        await at.press("slash")
        at.app.query_one("#feed-filter", Input).value = f"agent:{hostile}"
        await at.settle()
        shown += at.screen_text()
        assert "[bold red]" in shown
        assert "\x1b" not in shown
        assert not has_hidden(shown.replace("\n", ""))


async def test_this_project_only(house: House) -> None:
    calls(house, 0, 2)
    calls(house, 2, 5, caller=Caller("codex", "", "1", "/elsewhere"))
    async with desk(house, "feed") as at:
        assert len(view_of(at).window.rows) == 5
        await at.press("ctrl+g")
        await at.until(lambda: len(view_of(at).window.rows) == 2)


def test_the_sparkline_is_as_high_as_the_busiest_minute() -> None:
    assert sparkline((0, 1, 4, 8), "unicode") == " ▁▄▇"
    assert sparkline((0, 0), "unicode") == "  "
    assert sparkline((1, 8), "ascii") == "_#"


def test_the_rate_reads_a_minute_at_a_time() -> None:
    asked: list[int] = []

    def read(minutes: int) -> tuple[int, ...]:
        asked.append(minutes)
        return tuple(range(minutes))

    rate = Rate(read)
    rate.counts(100 * 60_000_000)
    rate.counts(100 * 60_000_000 + 5)
    rate.counts(100 * 60_000_000 + 2_000_000)
    assert len(rate.counts(102 * 60_000_000)) == 30
    assert asked[0] == 30
    assert len(asked) == 3
    assert max(asked[1:]) <= 4


def test_the_rate_goes_on_where_the_clock_was_set_back() -> None:
    read: list[int] = []

    def count(minutes: int) -> tuple[int, ...]:
        read.append(minutes)
        return (len(read),) * minutes

    rate = Rate(count)
    assert rate.counts(100 * 60_000_000)[-1] == 1
    assert rate.counts(95 * 60_000_000)[-1] == 2
    assert rate.counts(10 * 60_000_000) == (3,) * 30
    assert read == [30, 2, 30]


async def test_figures_are_counted_though_their_time_falls_into_another_reading(
    house: House,
) -> None:
    async with desk(house, "feed", LARGE) as at:
        call(house, 1)
        at.app.beat()
        at.app.beat()
        await at.settle()
        assert "2 Feed ● 1/min" in at.screen_text()


async def test_the_same_call_in_a_row_is_one_row_with_its_number(house: House) -> None:
    with house.other.transaction():
        for number in range(14):
            call(house, number, arguments={"path": "a"}, tool="read_file")
        call(house, 14, arguments={"path": "b"}, tool="read_file")
    async with desk(house, "feed", LARGE) as at:
        text = at.screen_text()
        assert "memory.read_file x14" in text
        assert view_of(at).rows.source.total == 2


async def test_one_question_is_one_row_and_loses_its_amber_with_the_answer(house: House) -> None:
    asked = house.ask("write_file", {"path": "a"})
    with house.other.transaction():
        for number in range(9):
            call(
                house,
                number,
                tool="write_file",
                effect="approve",
                outcome="waiting",
                approval_id=asked.id,
            )
            call(house, number + 100)
    async with desk(house, "feed", LARGE) as at:
        assert "asked x9" in at.screen_text()
        assert at.screen_text().count("▲ asked") == 1
        house.now_us = asked.created_us + 537_000_000
        house.other.approvals.decide(asked.id, True, by="console", args_hash=asked.args_hash)
        await at.beat()
        assert "asked x9 · allowed by you after 8:57" in at.screen_text()
        assert "▲ asked" not in at.screen_text()


async def test_an_open_call_shows_how_long_it_waited_and_its_definition(house: House) -> None:
    asked = house.ask("write_file", {"path": "a"})
    house.other.catalogue.saw("memory", [{"name": "write_file", "description": "Writes it."}])
    call(house, 1, tool="write_file", effect="approve", outcome="waiting", approval_id=asked.id)
    house.now_us = asked.created_us + 62_000_000
    house.other.approvals.decide(
        asked.id, True, by="console", args_hash=asked.args_hash, changed={"path": "b"}
    )
    async with desk(house, "feed", LARGE) as at:
        await at.press("enter")
        text = at.screen_text()
        for part in ("waited 1:02", 'path="b"', "definition", "Writes it."):
            assert part in text


async def test_the_sparkline_follows_the_filter(house: House) -> None:
    calls(house, 1, 5)
    call(house, 9, tool="other")
    async with desk(house, "feed", LARGE) as at:
        assert "30 min" in bar(at)
        assert "5/min" in bar(at)
        view_of(at).search("tool:other")
        await at.until(lambda: " 1/min" in bar(at))


async def test_a_click_on_a_chip_drops_it(house: House) -> None:
    calls(house, 0, 6)
    async with desk(house, "feed") as at:
        await at.press("slash", *"tool", "colon", *"x", "space", *"words", "enter")
        assert bar(at).count("tool:x") == 1
        await at.pilot.click(FeedBar, offset=(3, 0))
        await at.settle()
        assert "tool:x" not in bar(at)
        assert "words" in bar(at)
