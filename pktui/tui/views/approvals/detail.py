"""One approval whole: who, what, why, until when, and every argument."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual import on, work
from textual.message import Message

from pktui.tui.arguments import argument_lines, raw_lines
from pktui.tui.background import in_thread
from pktui.tui.context import context_of
from pktui.tui.document import Line
from pktui.tui.guard import Guard
from pktui.tui.views.approvals.definition import redefinition_lines
from pktui.tui.views.approvals.draw import header
from pktui.tui.views.approvals.look import look_lines
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.lines import Lines
from pktui.tui.widgets.panes import Pane

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pktui.errors import PktuiError
    from pktui.ledger.records import Approval, ToolSeen

# Rows; in a lower pane only the most important is said above the arguments.
LOW = 16
# Characters of arguments that are laid out in the event loop; more in a thread.
AT_ONCE = 16_384


class Detail(Pane):
    """Shows an approval and keeps the guard that stands before its keys."""

    class Changed(Message):
        """What the keys would do changed."""

    class _Prepared(Message):
        def __init__(self, approval_id: str, raw: bool, lines: Sequence[Line]) -> None:
            super().__init__()
            self.approval_id, self.raw, self.lines = approval_id, raw, lines

    def __init__(
        self,
        preview: Callable[[Approval], tuple[Line, ...]],
        *,
        clock: Callable[[], float] = time.monotonic,
        id: str,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.guard = Guard()
        self.clock = clock
        self.approval: Approval | None = None
        self.redefined: ToolSeen | None = None
        self.raw = False
        self._preview = preview
        self._would_do: tuple[Line, ...] = ()
        self._now_us = 0

    def compose(self) -> ComposeResult:
        """Lay out the header over the arguments."""
        yield Lines(id="approvals-header")
        yield DocumentView(id="approvals-arguments")

    @property
    def document(self) -> DocumentView:
        """The pane of the arguments."""
        return self.query_one(DocumentView)

    def show(
        self, approval: Approval | None, now_us: int, redefined: ToolSeen | None = None
    ) -> None:
        """Show an approval; another one than before starts the guard anew.

        `redefined`: its tool, where that is defined otherwise than it was accepted.
        """
        before, self.approval = self.approval, approval
        known, self.redefined = self.redefined, redefined
        self.title = approval.id if approval else ""
        if approval is None:
            self.guard.focus("", self.clock())
            self.document.show("", ())
            self.query_one(Lines).show(())
            return
        if before is None or before.id != approval.id:
            self.raw = False
            self._would_do = ()
            if approval.status == "pending":
                self._look(approval)
            self.guard.focus(approval.id, self.clock())
            self._wait_out()
        same = before is not None and _shown_of(before, known) == _shown_of(approval, redefined)
        if not same:
            self._prepare()
        self.tick(now_us)

    def tick(self, now_us: int) -> None:
        """Draw the header for this moment."""
        self._now_us = now_us
        if self.approval is not None:
            glyphs = context_of(self).glyphs
            low = 0 < self.size.height < LOW
            self.query_one(Lines).show(header(self.approval, now_us, glyphs, low=low))

    def on_resize(self) -> None:
        """Say above the arguments what there is room for."""
        self.tick(self._now_us)

    def rest(self) -> None:
        """The view left the screen: what was read there does not count for what comes."""
        self.guard.focus("", self.clock())

    def wake(self) -> None:
        """The view came to the screen: start to read."""
        if self.approval is not None:
            self.guard.focus(self.approval.id, self.clock())
            self.guard.restart(self.clock())
            self.document.tell_again()
            self._wait_out()

    def turn_raw(self) -> None:
        """Show the arguments as they came, or laid out again."""
        self.raw = not self.raw
        if self.approval is not None:
            self._prepare()

    def _wait_out(self) -> None:
        """Let the quiet time run from the moment the approval is painted."""
        self.post_message(self.Changed())
        self.call_after_refresh(self._painted, self.guard.approval_id)
        self.set_timer(self.guard.waiting(self.clock()) + 0.01, self._quiet_is_over)

    def _painted(self, approval_id: str) -> None:
        if approval_id == self.guard.approval_id:
            self.guard.restart(self.clock())

    def _quiet_is_over(self) -> None:
        left = self.guard.waiting(self.clock())
        if left > 0:
            self.set_timer(left + 0.01, self._quiet_is_over)
        self.post_message(self.Changed())

    def _prepare(self) -> None:
        approval = self.approval
        assert approval is not None
        seen = self.redefined
        more = len(seen.definition) + len(seen.pinned_definition) if seen else 0
        shown = len(approval.beside) + len(approval.arguments) + len(approval.meta)
        shown += len(approval.look)
        if shown + more <= AT_ONCE:
            self._show_lines(_lines(approval, seen, raw=self.raw))
            return
        self.document.show(approval.id, (Line("laying out…", "note"),), whole=False)
        self._prepare_in_thread(approval, seen, self.raw)

    @work(thread=True, exclusive=True, group="arguments", description="arguments")
    def _prepare_in_thread(self, approval: Approval, seen: ToolSeen | None, raw: bool) -> None:
        self.post_message(self._Prepared(approval.id, raw, _lines(approval, seen, raw=raw)))

    @on(_Prepared)
    def _take(self, message: _Prepared) -> None:
        message.stop()
        if self.approval is not None and (message.approval_id, message.raw) == (
            self.approval.id,
            self.raw,
        ):
            self._show_lines(message.lines)

    def _look(self, approval: Approval) -> None:
        """See what the call would do, in a thread: a file system can be slow."""

        def take(lines: tuple[Line, ...]) -> None:
            if self.approval is not None and self.approval.id == approval.id:
                self._would_do = lines
                self._prepare()

        def failed(_error: PktuiError) -> None:
            """The arguments stand there all the same."""

        in_thread(self, lambda: self._preview(approval), take, failed, group="preview")  # fmt: skip

    def _show_lines(self, lines: Sequence[Line]) -> None:
        assert self.approval is not None
        self.document.show(self.approval.id, (*self._would_do, *lines))
        self.post_message(self.Changed())

    @on(DocumentView.LastRowShown)
    def _seen_whole(self, message: DocumentView.LastRowShown) -> None:
        message.stop()
        self.guard.saw_last(message.key)
        self.post_message(self.Changed())

    @on(DocumentView.Scrolled)
    def _scrolled(self, message: DocumentView.Scrolled) -> None:
        message.stop()
        self.post_message(self.Changed())


def _shown_of(approval: Approval, redefined: ToolSeen | None) -> tuple[object, ...]:
    given = approval.arguments, approval.beside, approval.changed, approval.look
    return approval.id, *given, redefined


def _lines(approval: Approval, seen: ToolSeen | None, *, raw: bool) -> tuple[Line, ...]:
    """Lay out all that would go out: first what the agent adds, beside the arguments."""
    lay_out = raw_lines if raw else argument_lines
    lines = (*look_lines(approval), *lay_out(approval.arguments))
    if approval.beside:
        lines = (
            Line("beside the arguments", "heading"),
            *lay_out(approval.beside),
            Line("arguments", "heading"),
            *lines,
        )
    if approval.changed:
        lines = (*lines, Line("allowed with these instead", "heading"), *lay_out(approval.changed))
    if approval.meta:
        lines = (*lines, Line("_meta, which may change", "heading"), *lay_out(approval.meta))
    return lines if seen is None else (*lines, *redefinition_lines(approval, seen))
