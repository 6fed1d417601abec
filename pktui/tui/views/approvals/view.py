"""The Approvals view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.tui.views.base import View
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult


class ApprovalsView(View):
    """The Approvals view."""

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield Rows[str](ListSource(), _draw, glyphs=self.console.glyphs)

    def focus_default(self) -> None:
        """Focus the list."""
        self.query_one(Rows).focus()


def _draw(item: str, pen: Pen) -> list[list[Run]]:
    return [[(item, pen.ink.text)]]
