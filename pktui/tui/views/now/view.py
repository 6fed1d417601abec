"""The Now view: what needs the person, what every agent does, how the last hour was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.containers import Vertical

from pktui.agents.clients import Places
from pktui.agents.discovery import around_pktui
from pktui.insight.now import Agent, Need, Now, NowReader
from pktui.insight.spending import purse_of
from pktui.tui.actions import bindings
from pktui.tui.focus import focus_now
from pktui.tui.stopping import Stopping
from pktui.tui.turns import Turns
from pktui.tui.views.base import View
from pktui.tui.views.now.draw import Board, Row, agent_name, hour_lines, key_of, rows_of
from pktui.tui.views.now.first_run import FirstRun
from pktui.tui.widgets.lines import Lines
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run
from pktui.tui.widgets.titled_rows import TitledRows

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.errors import PktuiError
    from pktui.tui.services import Services

# How often all is read though nothing was written, and how long agents' configs are not again.
READ_US = 30_000_000
CONFIGS_US = 30_000_000


class NowView(View):
    """Rows are agents, not calls."""

    AWAITS = "the record of calls"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("now")]

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self._reader: NowReader | None = None
        self._turns = Turns(self._read)
        self._now: Now | None = None
        self._board: Board | None = None
        self._read_us = 0
        # What agents' configs reach around pktui, and when they were read.
        self._around: tuple[str, ...] = ()
        self._looked_us = -CONFIGS_US

    def compose(self) -> ComposeResult:
        """Lay out the list over the last hour."""
        with Vertical(id="now-board"):
            yield FirstRun(self.services, id="now-first")
            yield TitledRows[Row](
                ListSource(), self._draw, opens=lambda row: bool(key_of(row)),
                in_time=self._in_time, glyphs=self.console.glyphs, id="now-rows",
            )  # fmt: skip
            yield Lines(id="now-hour")

    def on_mount(self) -> None:
        """Read."""
        self.query_one(FirstRun).display = False
        self._turns.ask()

    @property
    def rows(self) -> TitledRows[Row]:
        """The list."""
        return self.query_one(TitledRows)

    def focus_default(self) -> None:
        """Focus the list, or the agents found where none called yet."""
        first = self.query_one(FirstRun)
        focus_now(first.rows if first.display else self.rows)

    def _draw(self, row: Row, pen: Pen) -> Sequence[Sequence[Run]]:
        assert self._board is not None
        return self._board.draw(row, pen, self.services.clock())

    def _in_time(self, row: Row) -> object:
        return self._board.in_time(row, self.services.clock()) if self._board else ""

    # What moved

    def shown(self) -> None:
        """Read again: the view came to the front."""
        self._turns.ask()

    def ledger_moved(self) -> None:
        """Read again."""
        self._turns.ask()

    def tick(self, now_us: int) -> None:
        """Let the spans run; what only time changes is read again now and then."""
        self.rows.pass_time(now_us)
        if abs(now_us - self._read_us) >= READ_US:
            self._turns.ask()

    def _read(self) -> None:
        self._read_us = self.services.clock()
        saying = "" if self._now else "reading what happens now"
        self.in_thread(self._look, self._take, self._show_failure, group="now", saying=saying)

    def _look(self) -> Now:
        """Return what happens now. Blocks."""
        services = self.services
        if self._reader is None:
            purse, _problem = purse_of(services.paths, services.settings)  # Insight tells of it
            self._reader = NowReader(services.ledger, services.clock, purse)
        now = services.clock()
        if abs(now - self._looked_us) >= CONFIGS_US:
            self._looked_us, self._around = now, around_pktui(Places.here())
        services.refresh_usage()
        return self._reader.read(self._around)

    def _show_failure(self, error: PktuiError) -> None:
        self._turns.done()
        self.failed(error)

    def _take(self, now: Now) -> None:
        self.worked()
        before, self._now = self._now, now
        if before is None or now != before:
            self._show(now)
        self._turns.done()

    def _show(self, now: Now) -> None:
        glyphs = self.console.glyphs
        bars = self.services.settings.console.glyphs
        self._board = Board(now, bars)
        rows, current = rows_of(now), self.rows.current
        keys = [key_of(row) for row in rows]
        same = key_of(current) if current is not None else ""
        cursor = keys.index(same) if same and same in keys else next(
            (at for at, key in enumerate(keys) if key), 0
        )  # fmt: skip
        self.rows.show(ListSource(rows), cursor=cursor, reveal=bool(same))
        self.query_one(Lines).show(hour_lines(now, bars, glyphs))
        nothing = not (now.needs or now.agents)
        first = self.query_one(FirstRun)
        if nothing and not first.display:
            first.look()
        first.display = nothing
        self.rows.display = self.query_one(Lines).display = not nothing
        self._fit()
        if self.console.in_front == self.id and not self.app.screen.is_modal:
            self.focus_default()

    def on_resize(self, _event: events.Resize) -> None:
        """Let the last hour stand right below the agents."""
        self._fit()

    def _fit(self) -> None:
        below = self.query_one(Lines)
        room = max(3, self.size.height - len(below.lines) - 1)
        self.rows.styles.height = max(1, min(self.rows.source.total, room))

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to follow an agent only where agents are listed."""
        listed = self.is_mounted and self.rows.display
        return action not in ("follow", "stop_agent") or listed

    def offers(self, command: str) -> bool:
        """Offer nothing to do with an agent where there is none."""
        return command not in {"follow", "stop_agent"} or self.rows.opens_something

    @on(Rows.Chosen)
    async def _open(self, message: Rows.Chosen) -> None:
        """Open the approval, or the agent's session."""
        message.stop()
        if isinstance(message.item, Need):
            await self.console.open_view("approvals", message.item.approval.id)
        elif isinstance(message.item, Agent):
            await self.console.open_view("sessions", message.item.agent, message.item.project)

    def action_stop_agent(self) -> None:
        """Stop the agent under the cursor, or let it go on; it is asked once."""
        row = self.rows.current
        if not isinstance(row, Agent):
            self.console.say("no agent is under the cursor; ^k stops all of them")
        else:
            name, stopping = agent_name(row.agent), Stopping(self.app, self.console)
            stopping.stop_or_release(row.place, name, stopped=row.stopped)

    def action_copy(self) -> None:
        """Copy the command that is shown where no agent was found."""
        first = self.query_one(FirstRun)
        if first.display and first.line:
            self.console.copy(first.line)
        else:
            super().action_copy()

    async def action_follow(self) -> None:
        """Show the calls of the agent under the cursor as they happen."""
        row = self.rows.current
        if isinstance(row, Need):
            await self.console.search_in("feed", _filter(row.approval.agent, row.approval.project))
        elif isinstance(row, Agent):
            await self.console.search_in("feed", _filter(row.agent, row.project))
        else:
            self.console.say("no agent is under the cursor")


def _filter(agent: str, project: str) -> str:
    """Return the feed's filter for an agent where it works."""
    parts = [f"{key}:{_quoted(text)}" for key, text in (("agent", agent), ("project", project))
             if text]  # fmt: skip
    return " ".join(parts)


def _quoted(text: str) -> str:
    return f'"{text}"' if any(mark in text for mark in ' ()"') else text
