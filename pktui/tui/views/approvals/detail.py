"""One approval whole, or each of a group: who, what, why, until when, and every argument."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual import on, work
from textual.message import Message

from pktui.insight.groups import Group, calls_of
from pktui.tui.arguments import argument_lines, raw_lines
from pktui.tui.background import in_thread
from pktui.tui.context import context_of
from pktui.tui.document import Line
from pktui.tui.guard import Guard
from pktui.tui.views.approvals.definition import redefinition_lines
from pktui.tui.views.approvals.draw import group_header, header
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
    """Shows an approval, or a group, and keeps the guard that stands before its keys."""

    class Changed(Message):
        """What the keys would do changed."""

    class _Prepared(Message):
        def __init__(self, key: str, raw: bool, lines: Sequence[Line]) -> None:
            super().__init__()
            self.key, self.raw, self.lines = key, raw, lines

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
        self.card: Approval | Group | None = None
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

    @property
    def approval(self) -> Approval | None:
        """The approval that is shown, None where it is none or a group."""
        return None if isinstance(self.card, Group) else self.card

    def show(
        self, card: Approval | Group | None, now_us: int, redefined: ToolSeen | None = None
    ) -> None:
        """Show an approval or a group; another than before starts the guard anew.

        So does a group that a call has joined. `redefined`: its tool, where that is defined
        otherwise than it was accepted.
        """
        before, self.card = self.card, card
        known, self.redefined = self.redefined, redefined
        self.title = _title(card)
        if card is None:
            self.guard.focus("", self.clock())
            self.document.show("", ())
            self.query_one(Lines).show(())
            return
        if before is None or _key(before) != _key(card):
            self.raw = False
            self._would_do = ()
            if not isinstance(card, Group) and card.status == "pending":
                self._look(card)
            self.guard.focus(_key(card), self.clock())
            self._wait_out()
        same = before is not None and _shown_of(before, known) == _shown_of(card, redefined)
        if not same:
            self._prepare()
        self.tick(now_us)

    def tick(self, now_us: int) -> None:
        """Draw the header for this moment."""
        self._now_us = now_us
        if self.card is not None:
            glyphs = context_of(self).glyphs
            low = 0 < self.size.height < LOW
            lines = (
                group_header(self.card, now_us, glyphs, low=low)
                if isinstance(self.card, Group)
                else header(self.card, now_us, glyphs, low=low)
            )
            self.query_one(Lines).show(lines)

    def on_resize(self) -> None:
        """Say above the arguments what there is room for."""
        self.tick(self._now_us)

    def rest(self) -> None:
        """The view left the screen: what was read there does not count for what comes."""
        self.guard.focus("", self.clock())

    def wake(self) -> None:
        """The view came to the screen: start to read."""
        if self.card is not None:
            self.guard.focus(_key(self.card), self.clock())
            self.guard.restart(self.clock())
            self.document.tell_again()
            self._wait_out()

    def turn_raw(self) -> None:
        """Show the arguments as they came, or laid out again."""
        self.raw = not self.raw
        if self.card is not None:
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
        card = self.card
        assert card is not None
        seen = self.redefined
        more = len(seen.definition) + len(seen.pinned_definition) if seen else 0
        if sum(map(_length, calls_of(card))) + more <= AT_ONCE:
            self._show_lines(_all_lines(card, seen, raw=self.raw))
            return
        self.document.show(_key(card), (Line("laying out…", "note"),), whole=False)
        self._prepare_in_thread(card, seen, self.raw)

    @work(thread=True, exclusive=True, group="arguments", description="arguments")
    def _prepare_in_thread(self, card: Approval | Group, seen: ToolSeen | None, raw: bool) -> None:
        self.post_message(self._Prepared(_key(card), raw, _all_lines(card, seen, raw=raw)))

    @on(_Prepared)
    def _take(self, message: _Prepared) -> None:
        message.stop()
        shown = (_key(self.card), self.raw) if self.card is not None else None
        if (message.key, message.raw) == shown:
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
        assert self.card is not None
        self.document.show(_key(self.card), (*self._would_do, *lines))
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


def _key(card: Approval | Group) -> str:
    """Return what is read is known by: a group is another once a call has joined."""
    return card.shown if isinstance(card, Group) else card.id


def _title(card: Approval | Group | None) -> str:
    if isinstance(card, Group):
        return f"{len(card.members)} calls"
    return card.id if card is not None else ""


def _length(approval: Approval) -> int:
    return sum(map(len, (approval.beside, approval.arguments, approval.meta, approval.look)))


def _shown_of(card: Approval | Group, redefined: ToolSeen | None) -> tuple[object, ...]:
    given = [(one.id, one.arguments, one.beside, one.changed, one.look) for one in calls_of(card)]
    return *given, redefined


def _all_lines(card: Approval | Group, seen: ToolSeen | None, *, raw: bool) -> tuple[Line, ...]:
    """Lay out a call, or each call of a group below its id."""
    if not isinstance(card, Group):
        return _lines(card, seen, raw=raw)
    lines: list[Line] = []
    for one in card.members:
        lines += (Line(one.id, "heading"), *_lines(one, seen, raw=raw), Line(""))
    return tuple(lines)


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
