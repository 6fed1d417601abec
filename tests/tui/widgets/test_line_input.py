from __future__ import annotations

import pytest
from textual import events
from textual.app import App, ComposeResult

from pktui.text import has_hidden
from pktui.tui.widgets.line_input import LineInput
from tests.tui.house import HOSTILE


class BoxApp(App[None]):
    def compose(self) -> ComposeResult:
        yield LineInput("before after")


@pytest.mark.parametrize(
    ("pasted", "value"),
    [
        ("words", "before words after"),
        ("\ntwo\r\nlines\n", "before two lines after"),
        ("a\tb\x1b[31mc\x07", "before a b[31mc after"),
        ("\u202egnp\u200b", "before gnp after"),
        ("[bold]x[/]", "before [bold]x[/] after"),
        ("", "before  after"),
        ("\n", "before  after"),
    ],
)
async def test_what_is_pasted_is_one_visible_line_at_the_cursor(pasted: str, value: str) -> None:
    app = BoxApp()
    async with app.run_test() as pilot:
        box = app.query_one(LineInput)
        box.value = "before  after"
        box.cursor_position = len("before ")
        box.post_message(events.Paste(pasted))
        await pilot.pause()
        assert box.value == value


async def test_what_is_pasted_replaces_what_is_selected() -> None:
    app = BoxApp()
    async with app.run_test() as pilot:
        box = app.query_one(LineInput)
        box.select_all()
        box.post_message(events.Paste(HOSTILE))
        await pilot.pause()
        assert "before" not in box.value
        assert box.value.startswith("[bold red]x[/]")
        assert not has_hidden(box.value)
