"""The Policies view: what each tool may do, why, and the keys that change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from pktui.errors import PktuiError
from pktui.policy.limits import read_rate
from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.focus import focus_now
from pktui.tui.screens.ask import AskScreen
from pktui.tui.turns import Turns
from pktui.tui.undo import UndoStep
from pktui.tui.views.policies.accepting import Accepting
from pktui.tui.views.policies.draw import (
    WORDS,
    draw_server,
    draw_tool,
    edit_lines,
    problem_lines,
    tool_lines,
)
from pktui.tui.views.policies.edits import Change, Done, Edits
from pktui.tui.views.policies.model import CYCLE, Page, ServerState, Shown, ToolState
from pktui.tui.views.policies.reader import PoliciesReader
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.filter_box import FilterBox, has_words
from pktui.tui.widgets.rows import ListSource, Rows

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.ledger.records import ToolSeen
    from pktui.tui.services import Services

LOOK_SECONDS = 1.0
"""Policy files are looked at this often while the view is in front."""
LOW = 28
"""Rows; where there are fewer, the pane below is lower."""


class PoliciesView(Accepting):
    """Servers at the left, their tools at the right, the rule or the last change below."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("policies")]

    class _Read(Message):
        def __init__(self, shown: Shown) -> None:
            super().__init__()
            self.shown = shown

    class _Written(Message):
        def __init__(self, done: Done) -> None:
            super().__init__()
            self.done = done

    class _Failed(Message):
        def __init__(self, error: PktuiError, *, writing: bool) -> None:
            super().__init__()
            self.error, self.writing = error, writing

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self._reader = PoliciesReader(services)
        self._edits = Edits(services.paths, services.settings, services.ledger.events)
        self._turns = Turns(self._start_reading)
        self._server = ""
        self._shown = Shown()
        self._go_to = ""
        self._writing = False
        self._last: Done | None = None
        """The change whose diff is shown, until the cursor goes elsewhere."""

    # Layout

    def compose(self) -> ComposeResult:
        """Lay out the lists and the pane below them."""
        glyphs = self.console.glyphs
        with Horizontal(id="policies-panes"):
            with Vertical(id="policies-servers", classes="pane"):
                yield Rows[ServerState](
                    ListSource(), draw_server, glyphs=glyphs, id="policies-server-rows"
                )
            with Vertical(id="policies-right"):
                with Vertical(id="policies-tools", classes="pane"):
                    yield FilterBox(placeholder="words of a tool's name", id="policies-filter")
                    yield Rows[ToolState](
                        ListSource(), draw_tool, glyphs=glyphs, id="policies-tool-rows"
                    )
                with Vertical(id="policies-detail", classes="pane"):
                    yield DocumentView(id="policies-rule")

    def on_mount(self) -> None:
        """Read, and keep looking at the files."""
        self.query_one("#policies-servers").border_title = "servers"
        self._turns.ask()
        if self.services.background:
            self.set_interval(LOOK_SECONDS, self.look)

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

    def focus_default(self) -> None:
        """Focus the tools."""
        focus_now(self.tools)

    def on_resize(self, event: events.Resize) -> None:
        """Give the tools most of a low screen."""
        self.set_class(event.size.height < LOW, "-low")

    # What moved

    def shown(self) -> None:
        """Read again: the view came to the front."""
        self._turns.ask()

    def ledger_moved(self) -> None:
        """Read again: calls change what is left of the limits."""
        self._turns.ask()

    def look(self) -> None:
        """Read again while somebody looks."""
        if self.is_on_screen:
            self._turns.ask()

    def go_to(self, *names: str) -> None:
        """Show a server's tool."""
        self.query_one(FilterBox).drop()
        self._server, self._go_to = names[0], names[1]
        self._last = None
        self._turns.ask()

    def _start_reading(self) -> None:
        self._read(self._server)

    @work(thread=True, group="policies", description="policies")
    def _read(self, server: str) -> None:
        try:
            self.post_message(self._Read(self._reader.shown(server)))
        except PktuiError as error:
            self.post_message(self._Failed(error, writing=False))

    @on(_Read)
    def _take(self, message: _Read) -> None:
        message.stop()
        self.worked()
        shown = message.shown
        stale = shown.page is not None and self._server not in {"", shown.page.server}
        if not (stale and any(server.name == self._server for server in shown.servers)):
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
            names = [server.name for server in shown.servers]
            at = names.index(self._server) if self._server in names else 0
            self.servers.show(ListSource(shown.servers), cursor=at)
        tools = page.tools if page else ()
        if page != before.page or self._go_to:
            self._show_tools(tools, same=bool(before.page and page) and _same(before.page, page))
        self._show_rule()

    def _show_tools(self, tools: Sequence[ToolState], *, same: bool) -> None:
        known, words = len(tools), self.query_one(FilterBox).value
        tools = [tool for tool in tools if has_words(words, tool.name)]
        names = [tool.name for tool in tools]
        current = self.tools.current
        wanted = self._go_to or (current.name if current and same else "")
        self._go_to = ""
        self.tools.show(ListSource(tools), cursor=names.index(wanted) if wanted in names else 0)
        shown = f"{len(tools)} of {known}" if words else f"{known}"
        title = f"{one_line(self._server, 40)}: {shown} tools"
        page = self.page
        if page is not None and page.default:
            title += f", any other: {WORDS[page.default]}"
        self.query_one("#policies-tools").border_title = title.replace("[", "(")

    def _show_rule(self) -> None:
        page, tool = self.page, self.tools.current
        document = self.query_one(DocumentView)
        if page is None:
            document.show("", ())
        elif page.origin == "broken":
            document.show(f"{page.server} broken", problem_lines(page))
        elif tool is None:
            document.show(page.server, ())
        elif self._last and (self._last.server, self._last.tool) == (page.server, tool.name):
            document.show(f"{page.server}.{tool.name} edit", edit_lines(self._last.edit))
        else:
            document.show(f"{page.server}.{tool.name}", tool_lines(page, tool))

    @on(Rows.Moved, "#policies-server-rows")
    def _server_chosen(self, message: Rows.Moved) -> None:
        message.stop()
        server = self.servers.current
        if self._go_to:  # the cursor was put there before somebody asked for a tool elsewhere
            return
        if server is not None and server.name != self._server:
            self._server, self._last = server.name, None
            self._turns.ask()

    @on(Rows.Moved, "#policies-tool-rows")
    def _tool_chosen(self, message: Rows.Moved) -> None:
        message.stop()
        tool = self.tools.current
        if self._last and tool and self._last.tool != tool.name:
            self._last = None
        self._show_rule()

    @on(Rows.Chosen)
    def _entered(self, message: Rows.Chosen) -> None:
        message.stop()
        if message.rows is self.servers:
            focus_now(self.tools)
        else:
            self._last = None
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
        """Drop the filter, then back to the servers."""
        if not self.query_one(FilterBox).drop():
            focus_now(self.servers)

    def action_tools(self) -> None:
        """On to the tools."""
        focus_now(self.tools)

    # Changes

    def action_cycle(self) -> None:
        """Allow, ask, deny, hide: the next of them."""
        tool = self._changeable()
        if tool is not None and tool.action is not None:
            name, action = tool.name, CYCLE[tool.action]
            self._start_writing(name, lambda editor: editor.set_action(name, action))

    def action_limit(self) -> None:
        """Cap how often a tool may be called."""
        tool = self._changeable()
        if tool is None:
            return
        name = tool.name

        def answer(text: str | None) -> None:
            if text is None:
                return
            maximum, window = _limit(text)
            self._start_writing(name, lambda editor: editor.set_limit(name, maximum, window))

        self.app.push_screen(
            AskScreen(
                f"Limit {one_line(name, 80)}",
                "Calls a window for each client, such as 30/minute, 5/second or 100/3600; "
                "empty: no limit of its own.",
                value=tool.own_limit,
                placeholder="30/minute",
                check=_check_limit,
            ),
            answer,
        )

    def action_reason(self) -> None:
        """Say why."""
        tool = self._changeable()
        if tool is None:
            return
        name = tool.name

        def answer(text: str | None) -> None:
            if text is not None:
                words = text.strip()
                self._start_writing(name, lambda editor: editor.set_reason(name, words))

        self.app.push_screen(
            AskScreen(
                f"Why {WORDS[tool.action]} {one_line(name, 80)}?",
                "The agent reads it on a denial, the person asked on an approval; empty: none.",
                value=tool.words,
            ),
            answer,
        )

    def _changeable(self) -> ToolState | None:
        """Return the tool under the cursor if its rule may be changed now, else say why not."""
        page, tool = self.page, self.tools.current
        if page is None or tool is None or self._writing or self.console.refuse_read_only():
            return None
        if page.origin == "broken":
            self.console.say(
                f"nothing was changed: {page.problems[0] if page.problems else page.path}; "
                "mend the file first",
                severity="warning",
            )
            return None
        return tool

    def _start_writing(self, tool: str, change: Change) -> None:
        page = self.page
        if page is not None and not self._writing:
            self._writing = True
            self._write(page, tool, change)

    @work(thread=True, group="policy-edit", description="policy-edit")
    def _write(self, page: Page, tool: str, change: Change) -> None:
        try:
            self.post_message(self._Written(self._edits.make(page, tool, change)))
        except PktuiError as error:
            self.post_message(self._Failed(error, writing=True))

    @on(_Written)
    def _after_writing(self, message: _Written) -> None:
        message.stop()
        self._writing = False
        done = message.done
        if not done.edit.changed:
            self.console.say(f"{one_line(done.edit.summary, 200)}: so it is already")
            return
        self._last = done
        server = done.server
        label = f"{one_line(server, 60)}.{one_line(done.edit.summary, 120)}"
        self.console.undo_stack.push(
            UndoStep(label, lambda: self._edits.undo(server), self._after_undo)
        )
        self._turns.ask()

    def _after_undo(self) -> None:
        self._last = None
        self._turns.ask()

    def definition_to_accept(self) -> ToolSeen | None:
        """Return the definition under the cursor, and show it."""
        tool = self.tools.current
        if tool is None:
            return None
        self._last = None
        self._show_rule()
        return tool.seen

    @on(Accepting.Accepted)
    def _after_accepting(self, message: Accepting.Accepted) -> None:
        message.stop()
        self._turns.ask()

    @on(_Failed)
    def _show_failure(self, message: _Failed) -> None:
        message.stop()
        if message.writing:
            self._writing = False
            self._turns.ask()
            self.console.say_error(message.error)
        else:
            self._turns.done()
            self.failed(message.error)


def _same(before: Page | None, page: Page | None) -> bool:
    return before is not None and page is not None and before.server == page.server


def _check_limit(text: str) -> str:
    if not text.strip() or read_rate(text.strip()) is not None:
        return ""
    return "a number, a slash, and second, minute, hour, day or whole seconds: 30/minute"


def _limit(text: str) -> tuple[int | None, str | int]:
    """Return maximum and window of a text that `_check_limit` accepts."""
    if not text.strip():
        return None, "minute"
    maximum, _, window = text.strip().partition("/")
    return int(maximum), int(window) if window.isdigit() else window
