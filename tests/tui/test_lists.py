"""What lists over the views do: themes, help, the menu of a row, jump labels, notices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pktui.tui.screens.action_list import ActionList
from pktui.tui.screens.jump import LETTERS, Jump, labels
from pktui.tui.screens.notice_log import Notices
from pktui.tui.screens.theme_list import ThemeList
from pktui.tui.views.policies.view import PoliciesView
from pktui.tui.widgets.rows import GUTTER
from tests.tui.house import HOSTILE, Desk, House, desk

if TYPE_CHECKING:
    from pktui.settings import Paths


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    yield house
    house.close()


async def open_themes(at: Desk) -> None:
    await at.press("ctrl+p", *"colours", "enter")
    assert isinstance(at.app.screen, ThemeList)


async def test_a_theme_is_on_the_screen_before_it_is_chosen_and_gone_at_escape(
    house: House,
) -> None:
    async with desk(house, "policies") as at:
        await open_themes(at)
        await at.press("j")
        assert at.app.theme == "pktui-light"
        await at.press("escape")
        assert at.app.theme == "pktui-dark"
        assert not house.paths.settings_file.exists()


async def test_a_chosen_theme_is_kept_in_the_settings_beside_their_comments(house: House) -> None:
    house.paths.settings_file.write_text("# mine\n[console]\nbell = false  # quiet\n")
    async with desk(house, "policies") as at:
        await open_themes(at)
        await at.press("j", "enter")
        await at.until(lambda: "pktui-light, kept in" in at.notices())
        assert at.app.theme == "pktui-light"
    text = house.paths.settings_file.read_text()
    assert text == '# mine\n[console]\nbell = false  # quiet\ntheme = "pktui-light"\n'


async def test_settings_that_cannot_be_edited_stay_and_are_named(house: House) -> None:
    house.paths.settings_file.write_text("[console\n")
    async with desk(house, "policies") as at:
        await open_themes(at)
        await at.press("enter")
        await at.until(lambda: "settings.toml cannot be edited" in at.notices())
    assert house.paths.settings_file.read_text() == "[console\n"


async def test_help_tells_what_signs_and_filters_mean(house: House) -> None:
    async with desk(house, "feed") as at:
        await at.press("question_mark", *"for", "space", *"a", "space", *"person")
        assert "needs you: a call waits for a person" in at.screen_text()
        await at.press("enter")
        assert isinstance(at.app.screen, ActionList)
        await at.press(*["backspace"] * 12, *"minus")
        assert '-"a phrase"  -tool:x' in at.screen_text()


async def test_a_right_click_lists_what_can_be_done_with_the_row(house: House) -> None:
    async with desk(house, "policies") as at:
        tools = at.app.query_one(PoliciesView).tools
        await at.pilot.click(tools, offset=(6, 2), button=3)
        await at.settle()
        assert tools.cursor == 2
        text = at.screen_text()
        assert "This row" in text
        assert "Draft how often this tool may be called" in text
        assert "Watch every call as it happens" not in text


async def test_a_right_click_never_allows_a_call(house: House) -> None:
    asked = house.ask()
    async with desk(house, "approvals") as at:
        await at.pilot.click("#approvals-list", offset=(6, 0), button=3)
        await at.settle()
        assert isinstance(at.app.screen, ActionList)
        assert "Let this one call run" not in at.screen_text()
        await at.press("escape")
        assert house.status(asked) == "pending"


async def test_a_letter_leads_to_a_row_in_another_pane(house: House) -> None:
    async with desk(house, "policies") as at:
        tools = at.app.query_one(PoliciesView).tools
        await at.press("ctrl+o")
        assert isinstance(at.app.screen, Jump)
        servers = at.app.query_one(PoliciesView).servers
        row = at.screen_text().splitlines()[servers.region.y + 1]
        assert row[: GUTTER - 1] == LETTERS[1]
        await at.press(LETTERS[1])
        assert servers.has_focus
        assert servers.cursor == 1
        await at.press("ctrl+o", "escape")
        assert servers.has_focus
        assert not tools.has_focus


def test_labels_are_as_short_as_their_number_allows_and_none_begins_another() -> None:
    assert labels(3) == ["a", "s", "d"]
    many = labels(60)
    assert len(set(many)) == 60
    assert {len(label) for label in many} == {2}


async def test_notices_of_the_past_and_the_log_are_read_again(house: House) -> None:
    house.paths.logs_dir.mkdir(parents=True)
    (house.paths.logs_dir / "console.log").write_text("first line\nthe console crashed\n")
    async with desk(house, "policies") as at:
        at.app.say(f"first {HOSTILE}", severity="error")
        at.app.say("second")
        await at.press("exclamation_mark")
        assert isinstance(at.app.screen, Notices)
        await at.until(lambda: "the console crashed" in at.screen_text())
        text = at.screen_text()
        assert text.index("second") < text.index("first [bold red]x")
        await at.press("escape")
        assert not isinstance(at.app.screen, Notices)
