"""The Approvals view: the queue, the call under the cursor, and the person's answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.containers import Horizontal, Vertical
from textual.message import Message

from pktui.errors import PktuiError
from pktui.tui.actions import bindings
from pktui.tui.screens.ask import AskScreen
from pktui.tui.turns import Turns
from pktui.tui.views.approvals.detail import Detail
from pktui.tui.views.approvals.draw import agent_name, draw_row, tool_name
from pktui.tui.views.approvals.guard_bar import GuardBar, Offer
from pktui.tui.views.approvals.queue import Queue, arrange, shown_hash, state_of
from pktui.tui.views.base import View
from pktui.tui.widgets.empty import Empty
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.ledger.records import Approval
    from pktui.tui.services import Services

SIDE_BY_SIDE = 100
"""Cells; narrower, the detail opens over the queue."""
RECENT = 50
TICK_SECONDS = 1.0

READ_ONLY = "read-only: this console decides nothing"


class ApprovalsView(View):
    """Decides what waits. Every answer is a row flipped in the ledger, once."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("approvals")]

    class _Loaded(Message):
        def __init__(self, queue: Queue) -> None:
            super().__init__()
            self.queue = queue

    class _Failed(Message):
        def __init__(self, error: PktuiError, *, deciding: bool) -> None:
            super().__init__()
            self.error, self.deciding = error, deciding

    class _Decided(Message):
        def __init__(self, approval: Approval) -> None:
            super().__init__()
            self.approval = approval

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self._queue = Queue()
        self._turns = Turns(self._load)
        self._deciding = ""
        self._go_to = ""
        self._open = False
        self._loaded = False
        self._refused = ("", "")
        """The approval whose key was refused last, and why."""

    # Layout

    def compose(self) -> ComposeResult:
        """Lay out the queue beside the detail, the line of keys below both."""
        with Horizontal(id="approvals-panes"):
            with Vertical(id="approvals-queue", classes="pane"):
                yield Empty(
                    "Nothing waits for you.",
                    "Calls that a policy marks with ask come here; the line at the bottom, the "
                    "bell and the title say when.",
                    "pktui policy set memory store_knowledge approve",
                )
                yield Rows(
                    ListSource(), self._draw, row_height=2, glyphs=self.console.glyphs,
                    id="approvals-list",
                )  # fmt: skip
            yield Detail(id="approvals-detail", classes="pane")
        yield GuardBar(id="approvals-guard")

    def on_mount(self) -> None:
        """Load the queue and let the countdowns run."""
        self._arrange()
        self._turns.ask()
        if self.services.background:
            self.set_interval(TICK_SECONDS, self.tick)

    @property
    def rows(self) -> Rows[Approval]:
        """The queue's list."""
        return self.query_one("#approvals-list", Rows)

    @property
    def detail(self) -> Detail:
        """The pane of the call under the cursor."""
        return self.query_one(Detail)

    def focus_default(self) -> None:
        """Focus the queue, or the detail where it covers the queue."""
        (self.detail.document if self._covered else self.rows).focus()

    def _draw(self, approval: Approval, pen: Pen) -> Sequence[Sequence[Run]]:
        return draw_row(approval, pen, self.services.clock())

    @property
    def _wide(self) -> bool:
        return self.size.width >= SIDE_BY_SIDE

    @property
    def _covered(self) -> bool:
        return self._open and not self._wide

    def on_resize(self, _event: events.Resize) -> None:
        """Fit the panes to the width."""
        self._arrange()

    def on_show(self, _event: events.Show) -> None:
        """The view came to the screen: keys count after a moment."""
        self.detail.wake()
        self._offer()

    def on_hide(self, _event: events.Hide) -> None:
        """The view left the screen."""
        self.detail.rest()

    def _arrange(self) -> None:
        has_any = bool(self._queue.items)
        self.query_one(Empty).display = self._loaded and not has_any
        self.rows.display = has_any
        self.query_one("#approvals-queue").display = not self._covered
        self.detail.display = has_any and (self._wide or self._open)
        self.query_one(GuardBar).display = has_any
        self.set_class(self._wide, "-wide")

    # What moved

    def go_to(self, *names: str) -> None:
        """Put the cursor on an approval."""
        self._go_to = names[0]
        self._turns.ask()

    def shown(self) -> None:
        """Load what changed while another view was in front."""
        self._turns.ask()

    def ledger_moved(self) -> None:
        """Load the queue again."""
        self._turns.ask()

    def tick(self) -> None:
        """Count down; what expired moves to the decided ones."""
        if not self.is_on_screen:
            return
        now = self.services.clock()
        self.rows.refresh()
        self.detail.tick(now)
        if any(item.status == "pending" and item.expires_us <= now for item in self._queue.items):
            self._take(arrange(self._queue.items, (), now))

    def _load(self) -> None:
        self._read()

    @work(thread=True, group="queue", description="queue")
    def _read(self) -> None:
        approvals = self.services.ledger.approvals
        try:
            pending, recent = approvals.pending(), approvals.recent(RECENT)
        except PktuiError as error:
            self.post_message(self._Failed(error, deciding=False))
            return
        self.post_message(self._Loaded(arrange(pending, recent, self.services.clock())))

    @on(_Loaded)
    def _show_loaded(self, message: _Loaded) -> None:
        message.stop()
        self.worked()
        self._take(message.queue)
        self._turns.done()

    def _take(self, queue: Queue) -> None:
        """Show the queue; the approval under the cursor stays under it, wherever it moved."""
        current = self.rows.current
        wanted = self._go_to or (current.id if current else "")
        self._go_to = ""
        before, self._queue = self._queue, queue
        first, self._loaded = not self._loaded, True
        index = queue.index(wanted)
        if first or queue != before or (current and current.id != wanted):
            cursor = index if index is not None else min(self.rows.cursor, len(queue.items) - 1)
            self.rows.show(ListSource(queue.items), cursor=max(0, cursor))
            self.query_one("#approvals-queue").border_title = self._title()
            self._arrange()
        self._show_current()

    def _title(self) -> str:
        waiting = self._queue.waiting(self.services.clock())
        return f"{waiting} waiting, {len(self._queue.items) - waiting} decided"

    @on(Rows.Moved)
    def _moved(self, message: Rows.Moved) -> None:
        message.stop()
        self._show_current()

    def _show_current(self) -> None:
        self.detail.show(self.rows.current, self.services.clock())
        self._offer()

    # The line of keys

    @on(Detail.Changed)
    def _detail_changed(self, message: Detail.Changed) -> None:
        message.stop()
        self._offer()

    def _offer(self, refusal: str = "") -> None:
        approval, guard = self.detail.approval, self.detail.guard
        if refusal:
            self._refused = (guard.approval_id, refusal)
        bar = self.query_one(GuardBar)
        stands = approval is not None and approval.id == self._refused[0] and not guard.seen_whole
        bar.refusal = self._refused[1] if stands else ""
        bar.offer = self._what_is_offered()

    def _what_is_offered(self) -> Offer:
        approval, guard = self.detail.approval, self.detail.guard
        if approval is None:
            return Offer(note="nothing is selected")
        state = state_of(approval, self.services.clock())
        if state != "waiting":
            return Offer(note=f"{state}: nothing left to decide")
        if self.services.read_only:
            return Offer(note=READ_ONLY)
        seen = guard.seen_whole
        return Offer(
            quiet=guard.waiting(self.detail.clock()) > 0,
            below=0 if seen or not self.detail.display else self.detail.document.hidden_rows,
            allow=seen,
            raw=self.detail.raw,
        )

    # Decisions

    def action_allow(self) -> None:
        """Let this one call run."""
        approval = self._decidable(allow=True)
        if approval is not None:
            self._start_deciding(approval, allow=True)

    def action_deny(self) -> None:
        """Refuse this call."""
        approval = self._decidable(allow=False)
        if approval is not None:
            self._start_deciding(approval, allow=False)

    def action_deny_saying(self) -> None:
        """Refuse with words that reach the agent."""
        approval = self._decidable(allow=False)
        if approval is None:
            return

        def answer(words: str | None) -> None:
            self.detail.wake()
            if words is not None:
                self._start_deciding(approval, allow=False, words=words.strip())

        self.app.push_screen(
            AskScreen(
                f"Deny {tool_name(approval)}",
                f"{agent_name(approval)} reads these words as the reason.",
                placeholder="what to do instead",
                enter="deny",
            ),
            answer,
        )

    def _decidable(self, *, allow: bool) -> Approval | None:
        """Return the approval under the cursor if a key may decide it now, else say why not."""
        approval = self.detail.approval
        if approval is None or self._deciding or self.console.refuse_read_only():
            return None
        refusal = self.detail.guard.press(self.detail.clock(), allow=allow)
        if refusal is not None:
            hint = "" if self.detail.display or not allow else "; enter opens it"
            self._offer("" if refusal.wait else refusal.why + hint)
            return None
        if state_of(approval, self.services.clock()) != "waiting":
            self._offer()
            return None
        return approval

    def _start_deciding(self, approval: Approval, *, allow: bool, words: str = "") -> None:
        self._deciding = approval.id
        self._decide(approval, allow, words)

    @work(thread=True, group="decide", description="decide")
    def _decide(self, approval: Approval, allow: bool, words: str) -> None:
        try:
            decided = self.services.ledger.approvals.decide(
                approval.id, allow, by="console", words=words, args_hash=shown_hash(approval)
            )
        except PktuiError as error:
            self.post_message(self._Failed(error, deciding=True))
            return
        self.post_message(self._Decided(decided))

    @on(_Decided)
    def _after_decision(self, message: _Decided) -> None:
        message.stop()
        approval, self._deciding = message.approval, ""
        word = "denied" if approval.status == "denied" else "allowed once"
        self.console.say(f"{word}: {tool_name(approval)}", seconds=3)
        self._go_to = self._queue.next_waiting(approval.id, self.services.clock()) or approval.id
        if self._covered:
            self.action_later()
        self._turns.ask()
        self.console.beat()

    @on(_Failed)
    def _show_failure(self, message: _Failed) -> None:
        message.stop()
        if message.deciding:
            self._deciding = ""
            self._turns.ask()
            self.console.say_error(message.error)
        else:
            self._turns.done()
            self.failed(message.error)

    # Moving about

    @on(Rows.Chosen)
    def _open_detail(self, message: Rows.Chosen) -> None:
        message.stop()
        self._open = True
        self._arrange()
        self.detail.document.focus()
        self._offer()

    def action_later(self) -> None:
        """Leave it waiting: back to the queue."""
        self._open = False
        self._arrange()
        self.rows.focus()

    def action_raw(self) -> None:
        """Show the arguments as they came, or laid out."""
        self.detail.turn_raw()

    def action_more(self) -> None:
        """Scroll the arguments a page."""
        self.detail.document.action_page_down()
