"""The Feed view: every call as it happens, until the reader looks back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import events, on, work
from textual.message import Message
from textual.widgets import Input

from pktui.errors import PktuiError
from pktui.text import one_line
from pktui.tui.actions import BY_ID, bindings
from pktui.tui.chips import without
from pktui.tui.focus import focus_now
from pktui.tui.results import result_text
from pktui.tui.views.base import View
from pktui.tui.views.feed.bar import FeedBar
from pktui.tui.views.feed.chips import Wanted, meant, read_filter
from pktui.tui.views.feed.detail import Whole, call_lines
from pktui.tui.views.feed.draw import call_grid
from pktui.tui.views.feed.folding import folded
from pktui.tui.views.feed.rate import MINUTE_US
from pktui.tui.views.feed.reader import FeedReader, Step
from pktui.tui.views.feed.rows import FeedRows, FeedSource
from pktui.tui.views.feed.window import Window
from pktui.tui.views.policies.rule import of_call
from pktui.tui.views.policies.sentence import Rules
from pktui.tui.views.policies.tool_policy import ROOMY, ToolPolicy
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.empty import Empty
from pktui.tui.widgets.filter_box import FilterBox
from pktui.tui.widgets.heads import Heads
from pktui.tui.widgets.panes import Divider, Pane, Panes, is_zoomed
from pktui.tui.widgets.rows import Rows, days

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from pktui.tui.services import Services
    from pktui.tui.views.feed.call import FeedCall

Kind = Literal["newest", "older", "newer", "moved"]
# What is read first when several are asked for.
ORDER: tuple[Kind, ...] = ("newest", "older", "newer", "moved")
# Cells; narrower, a call opens over the list.
SIDE_BY_SIDE = 100
TYPING_SECONDS = 0.15


class FeedView(View):
    """Shows calls in a window over the ledger; one read at a time, in a thread."""

    AWAITS = "the record of calls"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("feed")]

    class _Read(Message):
        def __init__(
            self, kind: Kind, wanted: Wanted, seen: Window, step: Step, counts: tuple[int, ...]
        ) -> None:
            super().__init__()
            self.kind, self.wanted, self.seen = kind, wanted, seen
            self.step, self.counts = step, counts

    class _Failed(Message):
        def __init__(self, error: PktuiError) -> None:
            super().__init__()
            self.error = error

    class _WholeRead(Message):
        def __init__(self, key: str, whole: Whole) -> None:
            super().__init__()
            self.key, self.whole = key, whole

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self._reader = FeedReader(services)
        self._rules = Rules(self)
        self._wanted = Wanted()
        self._window = Window()
        self._source = FeedSource(self._near_start)
        self._asked: set[Kind] = set()
        self._read_ended: Callable[[], None] = lambda: None
        self._busy = False
        self._loaded = False
        self._open = False
        self._typing: Timer | None = None
        self._minute = 0
        # The open call as it was read last.
        self._whole: Whole | None = None

    # Layout

    def compose(self) -> ComposeResult:
        """Lay out the list under its bar, the detail beside it."""
        with Panes(id="feed-panes"):
            with Pane("all calls", id="feed-list"):
                yield FilterBox(
                    id="feed-filter",
                    placeholder='agent:claude tool:fs_* effect:denied since:2h "words" -not',
                )
                yield FeedBar(id="feed-bar")
                yield Empty(
                    "No calls yet.",
                    "Every tool call of an agent behind pktui is shown here as it happens. "
                    "Give this command to an MCP client in place of a server's own:",
                    *("pktui gateway memory", "feed.copy"), id="feed-empty",
                )  # fmt: skip
                yield Empty(id="feed-none-shown")
                yield Heads(lambda: self.rows, self.console.glyphs)
                yield FeedRows(
                    self._source, grid=call_grid(),
                    groups=days(lambda call: call.row.at_us, self.services.clock),
                    can_follow=True, glyphs=self.console.glyphs,
                    id="feed-rows",
                )  # fmt: skip
            yield Divider()
            with Pane("call", id="feed-detail"):
                yield DocumentView(id="feed-call")
            yield Divider()
            yield ToolPolicy(self.services, id="feed-policy")

    def on_mount(self) -> None:
        """Begin at the newest calls."""
        self._arrange()
        self._ask("newest")

    @property
    def rows(self) -> FeedRows:
        """The list."""
        return self.query_one(FeedRows)

    @property
    def window(self) -> Window:
        """The calls held."""
        return self._window

    @property
    def bar(self) -> FeedBar:
        """The line over the list."""
        return self.query_one(FeedBar)

    @property
    def box(self) -> FilterBox:
        """The box of the filter."""
        return self.query_one(FilterBox)

    @property
    def document(self) -> DocumentView:
        """The pane of the open call."""
        return self.query_one("#feed-call", DocumentView)

    def offers(self, command: str) -> bool:
        """Offer nothing to do with a call where there is none."""
        if command == "back":
            return self._open or bool(self._wanted.text)
        return command not in {"rule", "filter"} or bool(self._window.rows or self._wanted.text)

    def focus_default(self) -> None:
        """Focus the list, or the call where it covers the list."""
        focus_now(self.document if self._covered else self.rows)

    @property
    def _covered(self) -> bool:
        return self._open and self.size.width < SIDE_BY_SIDE

    def on_resize(self, _event: events.Resize) -> None:
        """Fit the panes to the width."""
        self._arrange()
        if self._open:
            self._show_current()

    def _arrange(self) -> None:
        has_any = bool(self._window.rows) or not self._loaded or bool(self._wanted.text)
        none_shown = self._loaded and has_any and not self._window.rows
        self.query_one("#feed-empty").display = not has_any
        self.query_one("#feed-none-shown").display = none_shown
        self.rows.display = has_any
        self.query_one(Heads).display = bool(self._window.rows)
        self.query_one("#feed-list").display = not self._covered
        self.query_one("#feed-detail").display = self._open
        third = self._open and self.size.width >= ROOMY
        self.query_one(ToolPolicy).display = third
        self.set_class(third, "-third")
        self.query_one(Panes).fit()

    # What moved

    def shown(self) -> None:
        """Take what came while another view was in front."""
        self._ask("moved")

    def ledger_moved(self) -> None:
        """Take what came."""
        self._ask("moved")

    def tick(self, now_us: int) -> None:
        """Let the day of the heads pass, and the minutes of the rate."""
        self.rows.pass_time(now_us)
        if now_us // MINUTE_US != self._minute:
            self._minute = now_us // MINUTE_US
            self._ask("moved")

    def scope_changed(self) -> None:
        """Show the calls of this project, or all."""
        self._want(self._wanted.text)

    def search(self, text: str) -> None:
        """Filter by this text."""
        self.box.value = text
        self._want(text)

    def _near_start(self) -> None:
        if self._loaded and self._window.rows and not self._window.at_start:
            self._ask("older")

    def _ask(self, kind: Kind) -> None:
        if not self._loaded and kind != "newest":
            return
        self._asked.add(kind)
        if not self._busy:
            self._next()

    def _next(self) -> None:
        kind = next((kind for kind in ORDER if kind in self._asked), None)
        self._busy = kind is not None
        self._read_ended()
        if kind is not None:
            self._asked.discard(kind)
            if kind != "moved":
                self._read_ended = self.console.working("looking through the record")
            self._read(kind, self._wanted, self._window)

    @work(thread=True, group="feed", description="feed")
    def _read(self, kind: Kind, wanted: Wanted, window: Window) -> None:
        reader = self._reader
        try:
            if kind == "newest":
                step = reader.newest(wanted)
            elif kind == "older":
                step = reader.older(wanted, window)
            elif kind == "newer":
                step = reader.newer(wanted, window)
            else:
                step = reader.moved(wanted, window)
            step = replace(step, window=reader.answered(step.window))
            counts = reader.counts(wanted)
        except PktuiError as error:
            self.post_message(self._Failed(error))
            return
        self.post_message(self._Read(kind, wanted, window, step, counts))

    @on(_Read)
    def _take(self, message: _Read) -> None:
        message.stop()
        self.worked()
        self.bar.counts = message.counts
        stale = message.wanted is not self._wanted
        overtaken = message.seen is not self._window and message.kind != "newest"
        if stale or overtaken:
            self._asked.add("newest" if stale else message.kind)
        else:
            self._show(message.kind, message.step)
        self._next()

    def _show(self, kind: Kind, step: Step) -> None:
        self._loaded = True
        before, self._window = self._window, step.window
        rows = self.rows
        if kind == "newest" or (kind == "moved" and before.following and step.before == 0):
            rows.set_reactive(FeedRows.follow, step.window.following)
        if step.window.rows != before.rows:
            held = rows.current
            self._source.items = folded(step.window.rows)
            moved = self._place_of(held) - rows.cursor if held is not None and step.before else 0
            if moved:
                rows.shifted(moved)
            else:
                rows.changed()
        self._say_no_match()
        self._arrange()
        self._tell()
        if self._open and rows.current is not None:
            self._read_whole(rows.current)  # it may have ended since, or been answered

    def _say_no_match(self) -> None:
        """Say why the list is empty where the filter leaves nothing, and what to do."""
        if self._wanted.text and not self._window.rows:
            key = self.console.keymap.shown(BY_ID["feed.back"])
            hints = [meant(self._wanted.text), f"{key} shows all calls again."]
            if self.console.project is not None:
                scope = self.console.keymap.shown(BY_ID["app.scope"])
                hints.append(f"{scope} shows those of all projects.")
            why = f"No call matches “{one_line(self._wanted.text, 80)}”."
            self.query_one("#feed-none-shown", Empty).tell(why, " ".join(filter(None, hints)))

    def _place_of(self, held: FeedCall) -> int:
        """Return the row that a call is in now, the first where it is gone."""
        approval = held.approval.id if held.approval is not None else ""
        for place, call in enumerate(self._source.items):
            same = approval and call.approval is not None and call.approval.id == approval
            if same or call.seq >= held.seq:
                return place
        return 0

    def _tell(self) -> None:
        self.bar.following = self._window.following
        self.bar.new = self._window.new

    @on(_Failed)
    def _show_failure(self, message: _Failed) -> None:
        message.stop()
        self._busy = False
        self._read_ended()
        self.failed(message.error)

    # Following

    @on(Rows.FollowChanged)
    def _follow_changed(self, message: Rows.FollowChanged) -> None:
        message.stop()
        if not message.follow:
            if self._window.following:
                self._window = replace(self._window, following=False, new=0, counted_seq=0)
                self._tell()
            return
        if self._window.following:
            return
        self.rows.set_reactive(FeedRows.follow, False)
        self._ask("newer")

    @on(FeedRows.Resumed)
    def _resume(self, message: FeedRows.Resumed) -> None:
        message.stop()
        self._ask("newest")

    # The filter

    def action_filter(self) -> None:
        """Type a filter."""
        self.box.type_here()

    @on(Input.Changed)
    def _typed(self, message: Input.Changed) -> None:
        message.stop()
        if self._typing is not None:
            self._typing.stop()
        text = message.value
        self.bar.chips = read_filter(text, self.services.clock(), self.console.project).chips
        self._typing = self.set_timer(TYPING_SECONDS, lambda: self._want(text))

    @on(FilterBox.Left)
    def _leave_filter(self, message: FilterBox.Left) -> None:
        message.stop()
        self.box.display = False  # the chips say what holds
        if self.box.value != self._wanted.text:
            self._want(self.box.value)
        focus_now(self.rows)

    def _want(self, text: str) -> None:
        self._wanted = read_filter(text, self.services.clock(), self.console.project)
        self.bar.chips = self._wanted.chips
        self.query_one("#feed-list", Pane).title = "calls" if text else "all calls"
        self.rows.set_class(any(chip.why for chip in self._wanted.chips), "-not-filtered")
        self._ask("newest")

    @on(FeedBar.Dropped)
    def _drop(self, message: FeedBar.Dropped) -> None:
        message.stop()
        self.search(without(self.box.value, message.chip))

    # One call

    @on(Rows.Chosen)
    def _open_call(self, message: Rows.Chosen) -> None:
        message.stop()
        self.rows.pause()
        self._open = True
        self._arrange()
        self._show_current()
        if self._covered or is_zoomed(self):
            focus_now(self.document)

    @on(Rows.Moved)
    def _moved(self, message: Rows.Moved) -> None:
        message.stop()
        if self._open:
            self._show_current()

    def _show_current(self) -> None:
        call = self.rows.current
        if call is not None:
            if self.query_one(ToolPolicy).display:
                self.query_one(ToolPolicy).show(call.row.server, call.row.tool)
            self._show_whole(call.key, Whole(call.row))
            self._read_whole(call)

    def _show_whole(self, key: str, whole: Whole) -> None:
        self.document.show(key, call_lines(whole, self.console.glyphs))

    @work(thread=True, exclusive=True, group="feed-call", description="feed-call")
    def _read_whole(self, call: FeedCall) -> None:
        try:
            self.post_message(self._WholeRead(call.key, self._reader.whole(call)))
        except PktuiError as error:
            self.post_message(self._Failed(error))

    @on(_WholeRead)
    def _take_whole(self, message: _WholeRead) -> None:
        message.stop()
        if message.key == self.document.key:
            self._whole = message.whole
            self._show_whole(message.key, message.whole)

    def action_copy(self) -> None:
        """Copy what the open call was answered, else what it was called with."""
        call, whole = self.rows.current, self._whole
        if call is None:
            super().action_copy()
        elif self._open and whole and whole.result and whole.row.seq == call.seq:
            self.console.copy(result_text(whole.result))
        else:
            self.console.copy(call.row.arguments)

    def action_back(self) -> None:
        """Close the call, then drop the filter."""
        if self._open:
            self._open = False
            self._arrange()
            focus_now(self.rows)
        elif self._wanted.text:
            self.box.drop()
            self._want("")

    def action_more(self) -> None:
        """Scroll the open call a page."""
        if self._open:
            self.document.action_page_down()
        else:
            self.console.say("no call is open; enter opens one")

    def action_rule(self) -> None:
        """Make a rule from this call."""
        call = self.rows.current
        if call is None or not call.row.tool:
            self.console.say("no call of a tool is under the cursor")
            return
        try:
            self._rules.make(of_call(call.row))
        except PktuiError as error:
            self.console.say_error(error)

    async def action_policy(self) -> None:
        """Go to this call's tool in Policies."""
        call = self.rows.current
        if call is None or not call.row.tool:
            self.console.say("no call of a tool is under the cursor")
            return
        await self.console.open_view("policies", call.row.server, call.row.tool)
