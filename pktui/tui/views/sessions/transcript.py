"""The messages of one session, drawn line by line; older ones are asked for as they are reached."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import on, work
from textual.geometry import Size
from textual.message import Message as Event
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.worker import get_current_worker

from pktui.memory.records import Message
from pktui.tui.actions import bindings
from pktui.tui.theme import Ink, ink_of
from pktui.tui.views.sessions.blocks import BAR, Block, Look, lay_out, role_style
from pktui.tui.views.sessions.reader import Part

if TYPE_CHECKING:
    import re

    from textual.binding import BindingType

    from pktui.ledger.records import CallRow
    from pktui.tui.glyphs import Glyphs

FIRST_CHUNK = 30
"""Messages laid out before the first paint; the rest follows in larger chunks."""
CHUNK = 60
NEAR_EDGE = 3
"""Lines from the first one at which older messages are asked for."""


class Transcript(ScrollView, can_focus=True):
    """Shows part of a session. It keeps what is read in place when older messages come."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("transcript")
    ALLOW_SELECT = False

    class Edge(Event):
        """The first (or last) line came near, and there are older (or newer) messages."""

        def __init__(self, transcript: Transcript, *, older: bool) -> None:
            super().__init__()
            self.transcript = transcript
            self.older = older

        @property
        def control(self) -> Transcript:
            """The transcript."""
            return self.transcript

    class WantsNewest(Event):
        """The person wants the newest message, and it is not among those that are loaded."""

    class _LaidOut(Event):
        def __init__(self, turn: int, blocks: tuple[Block, ...], *, before: bool) -> None:
            super().__init__()
            self.turn, self.blocks, self.before = turn, blocks, before

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._glyphs = glyphs
        self._part = Part((), 0)
        self._blocks: list[Block] = []
        self._starts: list[int] = [0]
        self._target: int | None = None
        self._marks: re.Pattern[str] | None = None
        self._whole = False
        self._turn = 0
        self._width = 0
        self._asked: tuple[bool, int] | None = None
        self._ink: Ink | None = None
        self._note = ""
        self._at_end = False
        self._replacing = True
        self.target_id = 0

    # What the owner calls

    @property
    def part(self) -> Part:
        """The messages that are loaded."""
        return self._part

    def show(self, part: Part, *, at: int = 0, marks: re.Pattern[str] | None = None) -> None:
        """Show messages, at message id `at` or at the newest one; `marks` are marked."""
        self._part, self._marks, self.target_id = part, marks, at
        self._whole = False
        self._begin()

    def clear(self, note: str = "") -> None:
        """Show no messages, and a note of the console's own words in their place."""
        self.show(Part((), 0))
        self._note = note
        self._blocks, self._starts = [], [0]
        self.virtual_size = Size(self._width, 0)
        self.refresh()

    def add_older(self, part: Part) -> None:
        """Put older messages before those that are there."""
        self._part = self._joined(part, self._part)
        self._lay_out(part.items(), before=True)

    def add_newer(self, part: Part) -> None:
        """Put newer messages after those that are there."""
        self._asked = None
        self._at_end = not self._part.has_newer and not self._scrolled_up()
        known = {call.seq for call in self._part.calls}
        new = replace(part, calls=tuple(call for call in part.calls if call.seq not in known))
        self._part = self._joined(self._part, new)
        self._lay_out(new.items(), before=False)

    def _joined(self, earlier: Part, later: Part) -> Part:
        total = max(earlier.total, later.total)
        return Part(earlier.messages + later.messages, total, earlier.calls + later.calls)

    def go_to(self, message_id: int) -> bool:
        """Mark a message and bring it into view; false where it is not loaded."""
        if not any(message.id == message_id for message in self._part.messages):
            return False
        self.target_id = message_id
        self._reveal_target()
        self.refresh()
        return True

    @property
    def current(self) -> Message | None:
        """The marked message, else the last one in view."""
        if self.target_id:
            found = [m for m in self._part.messages if m.id == self.target_id]
            if found:
                return found[0]
        if not self._blocks:
            return None
        last = min(self.scroll_offset.y + self.size.height, self._starts[-1]) - 1
        index = max(0, bisect_right(self._starts, last) - 1)
        shown = self._blocks[: index + 1]
        return next((block.message for block in reversed(shown) if block.message), None)

    # Laying out

    def _begin(self) -> None:
        """Lay out anew; what is on the screen stays until the first new lines are there."""
        self._turn += 1
        self._replacing = True
        self._at_end = False
        self._asked = None
        self._width = self.scrollable_content_region.width
        if self._width > BAR and self._part.messages:
            items = self._part.items()
            self._lay_out_all(self._turn, items, self._split(items), self._look())

    def _split(self, items: Sequence[Message | CallRow]) -> int:
        """The index that is laid out first, with what is around it."""
        for index, item in enumerate(items):
            if isinstance(item, Message) and item.id == self.target_id:
                return max(0, index - FIRST_CHUNK // 2)
        return max(0, len(items) - FIRST_CHUNK)

    @work(thread=True, exclusive=True, group="transcript-layout", description="transcript-layout")
    def _lay_out_all(
        self, turn: int, items: Sequence[Message | CallRow], split: int, look: Look
    ) -> None:
        worker = get_current_worker()

        def give(first: int, last: int, *, before: bool) -> None:
            blocks = lay_out(items[first:last], look, lambda: worker.is_cancelled)
            if not worker.is_cancelled:
                self.post_message(self._LaidOut(turn, blocks, before=before))

        end = min(len(items), split + FIRST_CHUNK)
        give(split, end, before=False)
        for first in range(end, len(items), CHUNK):
            give(first, first + CHUNK, before=False)
        for last in range(split, 0, -CHUNK):
            give(max(0, last - CHUNK), last, before=True)

    @work(thread=True, group="transcript-more")
    def _lay_out_more(
        self, turn: int, items: Sequence[Message | CallRow], look: Look, before: bool
    ) -> None:
        self.post_message(self._LaidOut(turn, lay_out(items, look), before=before))

    def _lay_out(self, items: Sequence[Message | CallRow], *, before: bool) -> None:
        if items:
            self._lay_out_more(self._turn, items, self._look(), before)

    def _look(self) -> Look:
        return Look(
            width=self._width,
            ink=self._inks(),
            dark=self.app.current_theme.dark,
            marks=self._marks,
            whole=self._whole,
            glyphs=self._glyphs,
        )

    @on(_LaidOut)
    def _take(self, message: _LaidOut) -> None:
        message.stop()
        if message.turn != self._turn or not message.blocks:
            return
        first_paint = self._replacing
        if first_paint:
            self._blocks, self._replacing = [], False
        added = self._join(message.blocks, before=message.before)
        self._starts = [0]
        for block in self._blocks:
            self._starts.append(self._starts[-1] + len(block.strips))
        self.virtual_size = Size(self._width, self._starts[-1])
        if first_paint:
            self._reveal_target()
        elif message.before:
            self._asked = None
            self.scroll_to(y=self.scroll_offset.y + added, animate=False, force=True)
        elif self._at_end and not self.target_id:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.refresh()

    def _join(self, blocks: tuple[Block, ...], *, before: bool) -> int:
        """Put blocks to one end, with one line a day; return the lines that came before."""
        earlier, later = (blocks, self._blocks) if before else (self._blocks, blocks)
        dropped = 0
        if earlier and later and earlier[-1].day == later[0].day and later[0].message is None:
            dropped = len(later[0].strips)
            later = later[1:]
        self._blocks = [*earlier, *later]
        return sum(len(block.strips) for block in blocks) - dropped

    def _reveal_target(self) -> None:
        for index, block in enumerate(self._blocks):
            if block.message is not None and block.message.id == self.target_id:
                top = self._starts[index]
                self.scroll_to(y=max(0, top - self.size.height // 4), animate=False, force=True)
                return
        self.scroll_to(y=self._starts[-1], animate=False, force=True)

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        width = self.scrollable_content_region.width
        line = self.scroll_offset.y + y
        base = self.rich_style
        if line >= self._starts[-1]:
            note = self._note if line == 1 and not self._part.messages else ""
            strip = Strip([Segment(f"  {note}", self._inks().dim)])
            return strip.adjust_cell_length(width, Style()).apply_style(base)
        index = bisect_right(self._starts, line) - 1
        block = self._blocks[index]
        strip = block.strips[line - self._starts[index]]
        last = line + 1 == self._starts[index + 1]
        strip = Strip.join([self._bar(block, last=last), strip])
        return strip.adjust_cell_length(width, Style()).apply_style(base)

    def _bar(self, block: Block, *, last: bool) -> Strip:
        ink = self._inks()
        message = block.message
        if block.item is None:
            return Strip([])
        if last and len(block.strips) > 1:
            return Strip([Segment("  ")])
        if message is None:
            return Strip([Segment(f"{self._glyphs.bar} ", ink.line)])
        if message.id == self.target_id:
            return Strip([Segment(f"{self._glyphs.cursor} ", ink.accent)])
        return Strip([Segment(f"{self._glyphs.bar} ", role_style(message.role, ink))])

    def _inks(self) -> Ink:
        if self._ink is None:
            self._ink = ink_of(self.app)
        return self._ink

    def notify_style_update(self) -> None:
        """Lay out again in the colours of the new theme."""
        super().notify_style_update()
        if self._ink is not None and ink_of(self.app) != self._ink:
            self._ink = None
            self._begin()

    # Events

    def on_resize(self) -> None:
        """Lay out again where the width changed, keeping the message that was read."""
        if self.scrollable_content_region.width != self._width:
            current = self.current
            keep = self.target_id
            self.target_id = keep or (current.id if current and self._scrolled_up() else 0)
            self._begin()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for more near the ends."""
        super().watch_scroll_y(old_value, new_value)
        if not self._blocks:
            return
        if new_value <= NEAR_EDGE and new_value < old_value and self._all_before_laid_out():
            self._ask(older=True)
        elif new_value >= self.max_scroll_y - NEAR_EDGE and new_value > old_value:
            self._ask(older=False)

    def _all_before_laid_out(self) -> bool:
        first = next((block.message for block in self._blocks if block.message), None)
        return bool(self._part.messages) and first is self._part.messages[0]

    def _scrolled_up(self) -> bool:
        return self.scroll_offset.y < self.max_scroll_y

    def _ask(self, *, older: bool) -> None:
        there = self._part.has_older if older else self._part.has_newer
        edge = self._part.messages[0 if older else -1].seq if self._part.messages else 0
        if there and self._asked != (older, edge):
            self._asked = (older, edge)
            self.post_message(self.Edge(self, older=older))

    # Actions

    def action_down(self) -> None:
        """Scroll a line down."""
        self.scroll_relative(y=1, animate=False)

    def action_up(self) -> None:
        """Scroll a line up."""
        self.scroll_relative(y=-1, animate=False)
        self._ask_at_top()

    def action_half_down(self) -> None:
        """Scroll half a page down."""
        self.scroll_relative(y=self.size.height // 2, animate=False)

    def action_half_up(self) -> None:
        """Scroll half a page up."""
        self.scroll_relative(y=-(self.size.height // 2), animate=False)
        self._ask_at_top()

    def action_page_down(self) -> None:
        """Scroll a page down."""
        self.scroll_relative(y=self.size.height - 1, animate=False)

    def action_page_up(self) -> None:
        """Scroll a page up."""
        self.scroll_relative(y=1 - self.size.height, animate=False)
        self._ask_at_top()

    def action_first(self) -> None:
        """Go to the oldest message that is loaded, and ask for older ones."""
        self.scroll_to(y=0, animate=False, force=True)
        self._ask_at_top()

    def action_last(self) -> None:
        """Go to the newest message."""
        self.target_id = 0
        if self._part.has_newer:
            self.post_message(self.WantsNewest())
            return
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.refresh()

    def action_next_message(self) -> None:
        """Mark the next message."""
        self._step(1)

    def action_previous_message(self) -> None:
        """Mark the message before."""
        self._step(-1)

    def action_whole(self) -> None:
        """Show long messages whole, or cut again."""
        current = self.current
        self.target_id = current.id if current else self.target_id
        self._whole = not self._whole
        self._begin()

    def _ask_at_top(self) -> None:
        if self.scroll_offset.y <= NEAR_EDGE and self._all_before_laid_out():
            self._ask(older=True)

    def _step(self, by: int) -> None:
        messages = self._part.messages
        current = self.current
        if current is None or not messages:
            return
        index = next((i for i, m in enumerate(messages) if m.id == current.id), 0)
        self.go_to(messages[min(max(index + by, 0), len(messages) - 1)].id)
