from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from pktui.tui.glyphs import UNICODE
from pktui.tui.theme import THEMES
from pktui.tui.widgets.top_bar import Counts, TopBar


class BarApp(App[None]):
    def compose(self) -> ComposeResult:
        yield TopBar(UNICODE, id="top")

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name
        bar = self.query_one(TopBar)
        bar.counts = Counts(sessions=100_000, calls_per_minute=1_200, policies=12, pending=12)


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (120, " pktui   0 Now   1 Sessions 100,000   2 Feed ● 1200/min   3 Policies 12"),
        (80, "  0 Now  1 Sessions  2 Feed  3 Policies  4 Approvals ▲12  5 Insight "),
        (60, " pktui   0  1 Sessions  2  3  4 ▲12  5 "),
        (40, "  0  1 Sessions  2  3  4 ▲12  5 "),
    ],
)
async def test_what_waits_is_named_however_narrow_the_terminal(width: int, line: str) -> None:
    app = BarApp()
    async with app.run_test(size=(width, 3)) as pilot:
        await pilot.pause()
        shown = app.query_one(TopBar).render_line(0).text
    assert shown.startswith(line)
    assert "4 Approvals ▲12" in shown or "4 ▲12" in shown
    assert shown.endswith("all projects " if width == 120 else "all ")
