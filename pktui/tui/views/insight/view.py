"""The Insight view: calls over days, what asking cost, tools by hour, the slowest, denials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on

from pktui.insight.activity import Activity, Insight
from pktui.insight.spending import purse_of
from pktui.tui.actions import bindings
from pktui.tui.focus import focus_now
from pktui.tui.turns import Turns
from pktui.tui.views.base import View
from pktui.tui.views.insight.draw import Figures, Row, rows_of
from pktui.tui.views.policies.rule import newest_ask
from pktui.tui.views.policies.sentence import Rules
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run
from pktui.tui.widgets.titled_rows import TitledRows

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.errors import PktuiError
    from pktui.tui.services import Services

# How soon figures of days are read again where something was written, and where nothing was.
READ_US, REST_US = 10_000_000, 60_000_000
SPANS = (7, 1, 30)


class InsightView(View):
    """Everything in one list; what stands for a tool can be opened."""

    AWAITS = "the record of calls"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("insight")]

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self._activity: Activity | None = None
        self._rules = Rules(self)
        self._problem = ""
        """What is wrong with the prices, until it was told."""
        self._turns = Turns(self._read)
        self._days = SPANS[0]
        self._insight: Insight | None = None
        self._read_us, self._wait_us = 0, REST_US
        self._figures: Figures | None = None

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield TitledRows[Row](
            ListSource(), self._draw, opens=lambda row: bool(row.tool),
            glyphs=self.console.glyphs, id="insight-rows",
        )  # fmt: skip

    def on_mount(self) -> None:
        """Read."""
        self._turns.ask()

    @property
    def rows(self) -> TitledRows[Row]:
        """The list."""
        return self.query_one(TitledRows)

    def focus_default(self) -> None:
        """Focus the list."""
        focus_now(self.rows)

    def offers(self, command: str) -> bool:
        """Offer nothing to do with a tool where there is none."""
        return command not in {"follow", "rule"} or self.rows.opens_something

    def _draw(self, row: Row, pen: Pen) -> Sequence[Sequence[Run]]:
        assert self._figures is not None
        return self._figures.draw(row, pen)

    def shown(self) -> None:
        """Read again: the view came to the front."""
        self._turns.ask()

    def ledger_moved(self) -> None:
        """Read again after a while: what is read is more than what came."""
        self._wait_us = READ_US

    def tick(self, now_us: int) -> None:
        """Read again, now and then."""
        if abs(now_us - self._read_us) >= self._wait_us:
            self._turns.ask()

    def _read(self) -> None:
        self._read_us, self._wait_us = self.services.clock(), REST_US
        work = partial(self._add_up, self._days)
        self.in_thread(
            work, self._take, self._show_failure, group="insight", saying="adding up the figures"
        )

    def _add_up(self, days: int) -> Insight:
        """Return the figures. Blocks."""
        services = self.services
        if self._activity is None:
            purse, self._problem = purse_of(services.paths, services.settings)
            self._activity = Activity(services.ledger, services.clock, purse)
        services.refresh_usage()
        return self._activity.read(days)

    def _show_failure(self, error: PktuiError) -> None:
        self._wait_us = READ_US
        self._turns.done()
        self.failed(error)

    def _take(self, insight: Insight) -> None:
        self.worked()
        if self._problem:
            self.console.say(self._problem, severity="warning")
            self._problem = ""
        first, again = self._insight is None, insight != self._insight
        self._insight = insight
        if again:
            self._figures = Figures(insight, self.services.settings.console.glyphs)
            rows = rows_of(insight)
            opened = next((at for at, row in enumerate(rows) if row.tool), 0)
            cursor = opened if first else min(self.rows.cursor, len(rows) - 1)
            self.rows.show(ListSource(rows), cursor=cursor, reveal=False)
        self._turns.done()

    # Keys

    @on(Rows.Chosen)
    async def _open(self, message: Rows.Chosen) -> None:
        """Go to the tool in Policies."""
        message.stop()
        if isinstance(message.item, Row) and message.item.tool:
            await self.console.open_view("policies", message.item.server, message.item.tool)

    async def action_follow(self) -> None:
        """Show the calls of the tool under the cursor."""
        row = self.rows.current
        if row is None or not row.tool:
            self.console.say("no tool is under the cursor")
            return
        await self.console.search_in("feed", f'tool:"{row.server}.{row.tool}"')

    def action_rule(self) -> None:
        """Make a rule for the tool under the cursor, from the newest call of it asked about."""
        row = self.rows.current
        if row is None or not row.tool:
            self.console.say("no tool is under the cursor")
            return
        work = partial(newest_ask, self.services, row.server, row.tool)
        self.in_thread(
            work, self._rules.make, self.console.say_error, group="rule",
            saying="looking for an asked call",
        )  # fmt: skip

    def action_span(self) -> None:
        """Show the last day, week or month."""
        self._days = SPANS[(SPANS.index(self._days) + 1) % len(SPANS)]
        self._turns.ask()
