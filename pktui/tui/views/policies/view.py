"""The Policies view: what each tool may do, why, and the keys that change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.geometry import Offset, Region
from textual.widgets import Input

from pktui.errors import PktuiError
from pktui.insight.overview import ALL, MEMORY, Page, PolicyOverview, ServerState, Shown, ToolState
from pktui.memory.tools.definitions import definitions
from pktui.policy.rule_change import Change
from pktui.text import one_line
from pktui.tui.actions import BY_ID, bindings
from pktui.tui.focus import focus_now
from pktui.tui.sorting import Sorting
from pktui.tui.turns import Turns
from pktui.tui.views.base import View
from pktui.tui.views.policies.accepting import Accepting
from pktui.tui.views.policies.by_hand import ByHand
from pktui.tui.views.policies.configured import Configured, scan
from pktui.tui.views.policies.controller import Drafting
from pktui.tui.views.policies.draw import (
    WORDS,
    ToolTable,
    draw_server,
    edit_lines,
    problem_lines,
    tool_lines,
)
from pktui.tui.views.policies.rule import newest_ask, of_call
from pktui.tui.views.policies.sentence import Rules
from pktui.tui.views.policies.trials import call_of
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.empty import Empty
from pktui.tui.widgets.filter_box import FilterBox, has_words
from pktui.tui.widgets.heads import Heads
from pktui.tui.widgets.panes import Divider, Pane, Panes
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.policy.trial import Tried
    from pktui.tui.services import Services
    from pktui.tui.views.policies.rule import Example

# How soon all is read again though nothing was written: what was drawn on a limit comes back by the
# second, and calls of a day pass out of it.
USED_US, REST_US = 1_000_000, 10_000_000
RISKS: Sequence[str] = ("Read", "Write", "Execute", "Destructive", "Financial")
ORDERS: Mapping[str, Callable[[ToolState], tuple[float | str, ...]]] = {
    "tool": lambda tool: (tool.name, tool.server),
    "risk": lambda tool: (-RISKS.index(tool.risk.category) if tool.risk else 1, tool.name),
    "tokens": lambda tool: (-tool.tokens, tool.name),
    "last": lambda tool: (-tool.last_us, tool.name),
    "calls": lambda tool: (-tool.calls, tool.name),
}
# Rows; where there are fewer, the pane below is lower, and higher where there are more.
LOW, TALL = 28, 45


class PoliciesView(View):
    """Servers at the left, their tools at the right, the rule or the last change below."""

    AWAITS = "the policies and what was called"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("policies")]

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self._reader = PolicyOverview(
            *(services.paths, services.settings, services.ledger, services.clock, definitions),
            *(services.starts, Configured(services.paths, services.clock), services.selects),
        )
        self._drafting = Drafting(self, self)
        self._by_hand = ByHand(self, self, self._drafting)
        self._rules = Rules(self)
        self._accepting = Accepting(self, self.read_again)
        self._turns = Turns(self._start_reading)
        self._table = ToolTable((), 0, self._draft_of)
        self._server = ""
        self._shown = Shown()
        self._go_to = ""
        self._read_us = 0
        self._page_moves = 0
        """How many changes had begun or ended when the reading of the page began."""
        self._tool = ("", "")
        """The tool under the cursor."""
        self._listed: Sequence[ToolState] = ()
        self._sorting = Sorting({head: head for head in ORDERS}, self._sorted)
        self._write_at = ""
        """The server whose drafts are to be shown for writing as soon as it was read."""

    # Layout

    def compose(self) -> ComposeResult:
        """Lay out the lists and the pane below them."""
        glyphs = self.console.glyphs
        with Panes(id="policies-panes"):
            with Pane("servers", id="policies-servers"):
                yield Rows[ServerState](
                    ListSource(), self._draw_server, glyphs=glyphs, id="policies-server-rows"
                )
            yield Divider()
            with Panes(id="policies-right"):
                with Pane(id="policies-tools"):
                    yield FilterBox(placeholder="words of a tool's name", id="policies-filter")
                    yield Empty(id="policies-none-shown")
                    yield Heads(lambda: self.tools, glyphs, self._draw_heads)
                    yield Rows[ToolState](
                        ListSource(), self._draw_tool, glyphs=glyphs, id="policies-tool-rows"
                    )
                with Pane(id="policies-detail"):
                    yield DocumentView(id="policies-rule")

    def on_mount(self) -> None:
        """Read."""
        self.query_one(Heads).display = self.query_one("#policies-none-shown").display = False
        self._turns.ask()

    @property
    def servers(self) -> Rows[ServerState]:
        """The list of servers."""
        return self.query_one("#policies-server-rows", Rows)

    @property
    def tools(self) -> Rows[ToolState]:
        """The list of tools."""
        return self.query_one("#policies-tool-rows", Rows)

    @property
    def page(self) -> Page | None:
        """The policy that is shown."""
        return self._shown.page

    def offers(self, command: str) -> bool:
        """Offer to write only where there are drafts, to change a tool where its policy is read."""
        if command in {"change", "limit", "reason"}:
            return self.tools.current is not None and self.tools.current.action is not None
        return command != "write" or self.console.drafts.total > 0

    @property
    def _shown_server(self) -> str:
        return self.page.server if self.page else ""

    @property
    def page_to_come(self) -> bool:
        """Whether another server was chosen and its tools are still being read."""
        return self._server not in ("", self._shown_server)

    def focus_default(self) -> None:
        """Focus the tools."""
        focus_now(self.tools)

    def on_resize(self, event: events.Resize) -> None:
        """Give the tools most of a low screen, and the rule much of a tall one."""
        self.set_class(event.size.height < LOW, "-low")
        self.set_class(event.size.height >= TALL, "-tall")

    def _draw_server(self, server: ServerState, pen: Pen) -> Sequence[Sequence[Run]]:
        return draw_server(server, pen, len(self.console.drafts.of(server.name)))

    def _draw_tool(self, tool: ToolState, pen: Pen) -> Sequence[Sequence[Run]]:
        return self._table.draw(tool, pen)

    def _draw_heads(self, pen: Pen) -> Sequence[Run]:
        return self._table.heads(pen)

    def _new_table(self) -> None:
        """Measure the columns anew: tools or drafts moved."""
        tools, now = self._listed, self.services.clock()
        self._table = ToolTable(
            tools, now, self._draft_of, whole=self._shown_server == ALL, order=self._sorting.by
        )
        heads = self.query_one(Heads)
        heads.by = self._sorting.heads
        heads.refresh()

    def _draft_of(self, tool: ToolState) -> Change | None:
        draft = self.console.drafts.get(tool.server, tool.name)
        return None if draft == Change(tool.name) else draft

    # What moved

    def shown(self) -> None:
        """Read again: the view came to the front."""
        self._turns.ask()

    def ledger_moved(self) -> None:
        """Read again: calls change what is left of the limits, files what is in force."""
        self._turns.ask()

    def tick(self, now_us: int) -> None:
        """Read again what time changes."""
        tools = self.page.tools if self.page else ()
        used = any(limit.used for tool in tools for limit in tool.limits)
        if abs(now_us - self._read_us) >= (USED_US if used else REST_US):
            self._turns.ask()

    def go_to(self, *names: str) -> None:
        """Show a server's tool."""
        self.query_one(FilterBox).drop()
        self._server, self._go_to = names[0], names[1]
        self._drafting.last = None
        self._turns.ask()

    def _start_reading(self) -> None:
        self._read_us = self.services.clock()
        self._read(self._server, self.console.undo_stack.moves)

    def _read(self, server: str, moves: int) -> None:
        work = partial(self._reader.shown, server)
        self.in_thread(work, partial(self._take, moves), self._show_failure, group="policies")

    def _take(self, moves: int, shown: Shown) -> None:
        self.worked()
        stale = shown.page is not None and self._server not in {"", shown.page.server}
        if not (stale and any(server.name == self._server for server in shown.servers)):
            known = (moves, shown) == (self._page_moves, self._shown)
            if not known or self._go_to or self._write_at:
                self._page_moves = moves
                self._show(shown)
        else:
            self._turns.ask()
        self._turns.done()

    def _show(self, shown: Shown) -> None:
        before, self._shown = self._shown, shown
        page = shown.page
        if page is not None:
            self._server = page.server
        if shown.servers != before.servers:
            listed = (_every(shown.servers), *shown.servers)
            names = [server.name for server in listed]
            at = names.index(self._server) if self._server in names else 0
            self.servers.show(ListSource(listed), cursor=at)
        elif not self.servers.has_focus:
            names = [ALL, *(server.name for server in shown.servers)]
            if self._server in names:
                self.servers.cursor = names.index(self._server)
        tools = page.tools if page else ()
        if page != before.page or self._go_to:
            self._show_tools(tools, same=bool(before.page and page) and _same(before.page, page))
        self._drafting.end_true_drafts()
        self._show_rule()
        wanted, self._write_at = self._write_at, ""
        if page is not None and page.server == wanted and self._may_ask:
            self._drafting.write()

    def _show_tools(self, tools: Sequence[ToolState], *, same: bool) -> None:
        known, words = len(tools), self.query_one(FilterBox).value
        tools = [tool for tool in tools if has_words(words, tool.name, tool.server)]
        if self._sorting.by:
            tools.sort(key=ORDERS[self._sorting.by])
        self._listed = tools
        self._new_table()
        names = [(tool.server, tool.name) for tool in tools]
        current = self.tools.current
        wanted = (self._server, self._go_to) if self._go_to else ("", "")
        if not self._go_to and current and same:
            wanted = (current.server, current.name)
        self._go_to = ""
        self.tools.show(ListSource(tools), cursor=names.index(wanted) if wanted in names else 0)
        shown = f"{len(tools):,} of {known:,}" if words else f"{known:,}"
        name = "every server" if self._server == ALL else one_line(self._server, 40)
        title = f"{name}: {shown} {'tool' if known == 1 else 'tools'}"
        if self._sorting.by:
            title += f", by {self._sorting.by}"
        page = self.page
        if page is not None and page.default:
            title += f", any other: {WORDS[page.default]}"
        self.query_one("#policies-tools", Pane).title = title
        self._say_why_empty(words)

    def _say_why_empty(self, words: str) -> None:
        """Say why no tool is listed, and what to do; a broken policy is told below."""
        page, shown = self.page, self.console.keymap.shown
        empty = page is not None and page.origin != "broken" and not self._listed
        self.query_one("#policies-none-shown").display = empty
        self.query_one(Heads).display = bool(self._listed)
        if words:
            why = f"No tool's name has “{one_line(words, 80)}”."
            what_next = f"{shown(BY_ID['policies.drop'])} lists all again."
            if self._server != ALL:
                what_next += f" {shown(BY_ID['policies.every'])} lists those of every server."
        else:
            why = f"No tool of {one_line(self._server, 40)} was ever seen."
            what_next = (
                f"{shown(BY_ID['policies.scan'])} starts it once and lists them; an agent's first "
                "call does so, too."
            )
        self.query_one("#policies-none-shown", Empty).tell(why, what_next)

    def _show_rule(self) -> None:
        page, tool = self.page, self.tools.current
        document = self.query_one(DocumentView)
        if page is None:
            document.show("", ())
        elif page.origin == "broken":
            document.show(f"{page.server} broken", problem_lines(page))
        elif tool is None:
            document.show(page.server, ())
        elif (last := self._drafting.last) is not None:
            document.show(f"{tool.server}.{tool.name} edit", edit_lines(last.proposal.edit))
        else:
            document.show(
                f"{tool.server}.{tool.name}", tool_lines(page, tool, self._draft_of(tool))
            )

    @on(Rows.Moved, "#policies-server-rows")
    def _server_chosen(self, message: Rows.Moved) -> None:
        message.stop()
        server = self.servers.current
        if self._go_to:  # the cursor was put there before somebody asked for a tool elsewhere
            return
        if server is not None and server.name != self._server:
            self._server, self._drafting.last = server.name, None
            self._turns.ask()

    @on(Rows.Moved, "#policies-tool-rows")
    def _tool_chosen(self, message: Rows.Moved) -> None:
        message.stop()
        tool = self.tools.current
        if tool is not None and (tool.server, tool.name) != self._tool:
            self._tool, self._drafting.last = (tool.server, tool.name), None
            self.refresh_bindings()
        self._show_rule()

    @on(Rows.Chosen)
    def _entered(self, message: Rows.Chosen) -> None:
        message.stop()
        if message.rows is self.servers:
            focus_now(self.tools)
        else:
            self._drafting.last = None
            self._show_rule()

    def action_filter(self) -> None:
        """Type words of a tool's name."""
        self.query_one(FilterBox).type_here()

    @on(Input.Changed, "#policies-filter")
    def _filter(self, message: Input.Changed) -> None:
        message.stop()
        if not self._go_to:
            self._show_tools(self.page.tools if self.page else (), same=True)
            self._show_rule()

    @on(FilterBox.Left)
    def _leave_filter(self, message: FilterBox.Left) -> None:
        message.stop()
        focus_now(self.tools)

    def action_back(self) -> None:
        """Back to the servers."""
        focus_now(self.servers)

    def action_drop(self) -> None:
        """Drop the filter, then the drafts of this server, then back to the servers."""
        if not self.query_one(FilterBox).drop() and not self._drafting.drop():
            self.action_back()

    def action_tools(self) -> None:
        """On to the tools."""
        focus_now(self.tools)

    # Changes

    def drafts_moved(self) -> None:
        """Draw the drafts anew."""
        self._new_table()
        self.servers.refresh()
        self.tools.refresh()
        self._show_rule()

    def page_is_current(self) -> bool:
        """Tell whether the page was read since the last change, and none is under way."""
        stack = self.console.undo_stack
        return self._page_moves == stack.moves and not stack.running

    def read_again(self) -> None:
        """Read the policy and the tools again."""
        self._turns.ask()

    @property
    def current(self) -> ToolState | None:
        """The tool under the cursor."""
        return self.tools.current

    @property
    def row(self) -> Region:
        """Where on the screen the row under the cursor is."""
        rows = self.tools
        area = rows.content_region
        y = area.y + rows.cursor - rows.scroll_offset.y
        return Region.from_offset(Offset(area.x, y), (area.width, 1))

    def action_change(self) -> None:
        """Choose what the tool under the cursor may do."""
        self._drafting.change()

    def action_limit(self) -> None:
        """Draft how often the tool may be called."""
        self._drafting.limit()

    def action_reason(self) -> None:
        """Draft why."""
        self._drafting.reason()

    def action_write(self) -> None:
        """Show what the drafts of this server change in its file, and write it if wanted."""
        if self._shown_server != ALL:
            self._drafting.write()
            return
        tool, drafts = self.current, self.console.drafts
        server = next(iter(drafts.servers), "")
        if tool is not None and drafts.of(tool.server):
            server = tool.server
        if not server:
            self.console.say("nothing is drafted: space, l and r draft a change")
            return
        self._write_at = server
        self.go_to(server, drafts.of(server)[0].tool)

    def action_scan(self) -> None:
        """Start the server under the cursor once, to see its tools."""
        server = self._server
        if server in ("", ALL, MEMORY):
            self.console.say("choose a server of your own; the memory's tools are known")
        elif not self.console.refuse_read_only() and not self.console.refuse_a_run():
            self.console.say(f"starting {server} to list its tools…")
            self.in_thread(
                partial(scan, server), self._scanned, self.console.say_error,
                group="scan", saying=f"listing the tools of {server}",
            )  # fmt: skip

    def _scanned(self, said: str) -> None:
        self.console.say(said)
        self._turns.ask()

    def action_every(self) -> None:
        """List the tools of every server."""
        self.query_one(FilterBox).drop()
        self._server, self._drafting.last = ALL, None
        self.servers.move_to(0)
        self._turns.ask()
        focus_now(self.tools)

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sorting.next()

    @on(Heads.Clicked)
    def _head_clicked(self, message: Heads.Clicked) -> None:
        message.stop()
        self._sorting.click(message.title)

    def _sorted(self) -> None:
        self._show_tools(self.page.tools if self.page else (), same=True)

    def action_presets(self) -> None:
        """Choose a ready-made policy by its figures."""
        self._drafting.presets()

    def action_document(self) -> None:
        """Show the policy as it is written."""
        self._by_hand.show()

    def action_by_hand(self) -> None:
        """Open the policy in the person's own editor."""
        self._by_hand.edit()

    def action_replay(self) -> None:
        """Try the drafts, or the policy as it is, on recorded calls."""
        self._drafting.replay(self._rule_from)

    def _rule_from(self, tried: Tried) -> None:
        call = call_of(tried)
        if call is not None:
            try:
                self._rules.make(of_call(call))
            except PktuiError as error:
                self.console.say_error(error)

    def on_paste(self, event: events.Paste) -> None:
        """Take a policy that is pasted; it is never read as keys."""
        event.stop()
        self._drafting.paste(event.text)

    def action_paste(self) -> None:
        """Take what was copied in the console; else the terminal's own paste does it."""
        if self.app.clipboard:
            self._drafting.paste(self.app.clipboard)
        else:
            self.console.say("paste with your terminal's own key: it hands the text over")

    def action_rule(self) -> None:
        """Make a rule from the newest call of this tool that was asked about."""
        tool, services = self.current, self.services
        if tool is not None and not self.page_to_come:
            self.in_thread(
                lambda: newest_ask(services, tool.server, tool.name), self._make_rule,
                self.console.say_error, group="rule", saying="looking for an asked call",
            )  # fmt: skip

    @property
    def _may_ask(self) -> bool:
        """Whether the view is still in front: what was read meanwhile may open a question."""
        return self.is_on_screen and not self.app.screen.is_modal

    def _make_rule(self, example: Example) -> None:
        if self._may_ask:
            self._rules.make(example)

    def action_accept(self) -> None:
        """Show the definition under the cursor, to be accepted once it was read."""
        seen = self.current.seen if self.current is not None and not self.page_to_come else None
        if seen is None or self.console.refuse_read_only():
            return
        if seen.changed or seen.is_new:
            self._accepting.ask(seen)
        else:
            self.console.say(f"{one_line(seen.name, 80)} is defined as it was accepted")

    def _show_failure(self, error: PktuiError) -> None:
        self._turns.done()
        self.failed(error)


def _same(before: Page | None, page: Page | None) -> bool:
    return before is not None and page is not None and before.server == page.server


def _every(servers: Sequence[ServerState]) -> ServerState:
    """Return the row that stands for the tools of all servers."""
    tools, changed = sum(one.tools for one in servers), sum(one.changed for one in servers)
    return ServerState(ALL, tools, "file", changed)
