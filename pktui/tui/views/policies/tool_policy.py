"""What the policy says of one tool, in a pane beside its call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.insight.overview import PolicyOverview
from pktui.memory.tools.definitions import definitions
from pktui.text import one_line
from pktui.tui.background import in_thread
from pktui.tui.document import Line
from pktui.tui.moments import SECOND
from pktui.tui.turns import Turns
from pktui.tui.views.policies.draw import WORDS, problem_lines, tool_lines
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.panes import Pane

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pktui.errors import PktuiError
    from pktui.insight.overview import Page, Shown
    from pktui.tui.services import Services

# Cells of a view from which there is room for this pane.
ROOMY = 160


class ToolPolicy(Pane):
    """Reads the policy of the tool that was shown last, one reading at a time."""

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__("policy", id=id)
        self._reader = PolicyOverview(
            *(services.paths, services.settings, services.ledger, services.clock, definitions),
            services.starts,
            selects=services.selects,
        )
        self._turns = Turns(self._read)
        self._clock = services.clock
        self._tool = ("", "")
        self._read_us = 0

    def compose(self) -> ComposeResult:
        """Lay out the rule."""
        yield DocumentView()

    def show(self, server: str, tool: str) -> None:
        """Show the policy of a tool; the same one again is read once a second at most."""
        now = self._clock()
        if (server, tool) == self._tool and now - self._read_us < SECOND:
            return
        self._tool, self._read_us = (server, tool), now
        self.title = f"policy of {one_line(tool, 80)}" if tool else "policy"
        if tool:
            self._turns.ask()
        else:
            self.query_one(DocumentView).show("", ())

    def _read(self) -> None:
        server, _ = self._tool
        in_thread(self, lambda: self._reader.shown(server), self._take, self._failed, group="tool")

    def _take(self, shown: Shown) -> None:
        server, name = self._tool
        page = shown.page if shown.page is not None and shown.page.server == server else None
        known = any(one.name == server for one in shown.servers)
        if page is not None or not known:  # else it is the page of a tool before this one
            self.query_one(DocumentView).show(f"{server}.{name}", _lines(page, name))
        self._turns.done()

    def _failed(self, error: PktuiError) -> None:
        self.query_one(DocumentView).show("failed", (Line(one_line(str(error), 300), "removed"),))
        self._turns.done()


def _lines(page: Page | None, name: str) -> tuple[Line, ...]:
    if page is None:
        return (Line("There is no policy of its server, and no tool of it was seen.", "note"),)
    if page.origin == "broken":
        return problem_lines(page)
    tool = next((one for one in page.tools if one.name == name), None)
    if tool is not None:
        return tool_lines(page, tool)
    return (Line(f"not listed; any other tool: {WORDS[page.default]}", "note"),)
