"""The time line of one session, drawn line by line over a window of what the memory holds.

The window is a run of slots. It grows where its edge is reached, gives way at its other end, and
is read anew where the person goes to a place that is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, on, work
from textual.geometry import Size
from textual.message import Message as Event
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.worker import get_current_worker

from pktui.tui.actions import bindings
from pktui.tui.theme import Ink, ink_of
from pktui.tui.views.sessions.blocks import Block, Slot, has_own_line, lay_out, role_style
from pktui.tui.views.sessions.call_blocks import PARTS, CallPart
from pktui.tui.views.sessions.layout import BAR, Look
from pktui.tui.views.sessions.reader import Part, WholeCall
from pktui.tui.views.sessions.stack import Stack
from pktui.tui.views.sessions.timeline import FIRST_CALL, FOLD, MESSAGE, Mark, Place, Timeline

if TYPE_CHECKING:
    import re

    from textual.binding import BindingType

    from pktui.memory.records import Message
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.views.sessions.timeline import LineCall

# Slots laid out before the first paint; the rest follows in larger chunks.
LEAST_FIRST = 8
CHUNK = 60
# Lines from the first one at which older messages are asked for.
NEAR_EDGE = 3
# Slots that are held; those farthest from where the window grows give way.
MOST_SLOTS = 1_000
# Calls in the window that are read at once, as they have lines of their own.
MOST_READ = 300
# Cells for the rail and the space before it.
RAIL = 2


class Transcript(ScrollView, can_focus=True):
    """Shows part of a session. What is read stays in place whatever comes before or after it."""

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

    class Away(Event):
        """The person wants to be at a place that is not loaded."""

        def __init__(self, place: Place) -> None:
            super().__init__()
            self.place = place

    class Moved(Event):
        """Another place is the current one."""

    class Begun(Event):
        """The first lines of what is shown are on their way to the screen."""

    class Unread(Event):
        """Calls are shown that were not read yet; `opened`: with their history."""

        def __init__(self, calls: Sequence[LineCall], *, opened: bool = False) -> None:
            super().__init__()
            self.calls, self.opened = calls, opened

    class Nothing(Event):
        """There is nothing in the direction of a key; `why` is for the person."""

        def __init__(self, why: str) -> None:
            super().__init__()
            self.why = why

    class Rule(Event):
        """The person wants a rule made from the call at the place, None where no call is there."""

        def __init__(self, call: LineCall | None) -> None:
            super().__init__()
            self.call = call

    class Jump(Event):
        """The person wants to type a time to go to."""

    class _LaidOut(Event):
        def __init__(self, turn: int, asked: int, slots: Mapping[int, tuple[Block, ...]]) -> None:
            super().__init__()
            self.turn, self.asked, self.slots = turn, asked, slots

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._glyphs = glyphs
        self._line = Timeline()
        self._messages: dict[int, Message] = {}
        self._known: dict[int, WholeCall] = {}
        self._asked_for: set[LineCall] = set()
        self._unfolded: set[int] = set()
        self._opened: dict[int, CallPart] = {}
        self._whole: set[int] = set()
        self._hits: frozenset[Place] = frozenset()
        self._marks: re.Pattern[str] | None = None
        self._laid: dict[int, tuple[Block, ...]] = {}
        # Layouts are numbered as they are asked for; by which of them each slot was laid out.
        self._layouts = 0
        self._laid_by: dict[int, int] = {}
        self._stack = Stack()
        self._place: Place | None = None
        self._reveal: Place | None = None
        self._fresh = True
        self._turn = 0
        self._width = 0
        self._asked: tuple[bool, int] | None = None
        self._ink: Ink | None = None
        self._note = ""
        self._rail: Mapping[int, Mark] = {}

    # What the owner calls

    @property
    def line(self) -> Timeline:
        """All of the session, without its texts."""
        return self._line

    @property
    def first(self) -> int:
        """The first slot that is loaded."""
        return min(self._slots(), default=0)

    @property
    def last(self) -> int:
        """The last slot that is loaded."""
        return max(self._slots(), default=0)

    @property
    def place(self) -> Place | None:
        """Where the person is."""
        return self._place

    @property
    def messages(self) -> Sequence[Message]:
        """The messages that are loaded, in their order."""
        return [self._messages[seq] for seq in sorted(self._messages)]

    def show(
        self,
        line: Timeline,
        part: Part,
        *,
        at: Place | None = None,
        marks: re.Pattern[str] | None = None,
        fresh: bool = True,
    ) -> None:
        """Show a part of a session, at a place or at its end; `marks` are marked in its texts.

        `fresh`: it is another session, of which nothing is open yet.
        """
        if fresh:
            self._unfolded, self._opened, self._whole = set(), {}, set()
            self._known, self._asked_for, self._hits = {}, set(), frozenset()
        self._line, self._marks, self._note = line, marks, ""
        self._messages = {message.seq: message for message in part.messages}
        self._place = self._reveal = at or self._end()
        if at is not None:
            self._unfold_around(at)
        self._begin()
        self.post_message(self.Moved())

    def clear(self, note: str = "") -> None:
        """Show nothing, and a note of the console's own words in its place."""
        self.show(Timeline(), Part(()))
        self._note, self._place = note, None
        self._laid = {}
        self._flatten()
        self.refresh()

    def add(self, part: Part) -> None:
        """Put messages before or after those that are there."""
        older = part.first < self.first
        self._messages |= {message.seq: message for message in part.messages}
        kept = sorted(self._messages)
        gone = kept[MOST_SLOTS:] if older else kept[: max(0, len(kept) - MOST_SLOTS)]
        for seq in gone:
            del self._messages[seq]
        self._asked = None
        self._lay_out([message.seq for message in part.messages])

    def update(self, line: Timeline) -> None:
        """Take the session as it is now; slots whose calls are others are laid out anew.

        Of the first message, too, where calls came before it: its day may have begun with them.
        """
        before, self._line = self._line, line
        if self._place is not None:
            self._place = _moved(self._place, before, line)
        changed = [slot for slot in self._slots() if before.calls_of(slot) != line.calls_of(slot)]
        if changed[:1] == [0] and 1 in self._slots() and 1 not in changed:
            changed.insert(1, 1)
        self._mark_rail()
        self._lay_out(changed)

    def set_hits(self, hits: Sequence[Place], marks: re.Pattern[str] | None) -> None:
        """Mark these places on the rail, and what matches in the texts."""
        self._hits = frozenset(hits)
        self._mark_rail()
        if marks != self._marks:
            self._marks = marks
            self._begin()
        self.refresh()

    def know(self, calls: Mapping[int, WholeCall]) -> None:
        """Take calls that were read, and lay out where they are shown."""
        self._known |= calls
        slots = [
            slot
            for slot in self._slots()
            if any(call.id in calls for call in self._line.calls_of(slot))
        ]
        self._lay_out(slots)

    def not_read(self, calls: Sequence[LineCall]) -> None:
        """Ask for these calls again where they are next laid out: they could not be read."""
        self._asked_for -= set(calls)

    def go_to(self, place: Place) -> None:
        """Be at a place; where it is not loaded the owner is asked for it."""
        if place[0] not in self._slots():
            self.post_message(self.Away(place))
            return
        self._place = self._reveal = place
        self._unfold_around(place)
        if self._stack.index(place) is not None:
            self._reveal_now()
        else:
            self._lay_out([place[0]])
        self.post_message(self.Moved())
        self.refresh()

    @property
    def current(self) -> Message | None:
        """The message at the place, `None` where a call is."""
        block = self._current_block()
        return block.message if block is not None else None

    @property
    def current_call(self) -> tuple[WholeCall, CallPart] | None:
        """The call at the place, if it was read, and the part that is open (or would be)."""
        block = self._current_block()
        if block is None or block.call is None or block.call.id not in self._known:
            return None
        return self._known[block.call.id], self._opened.get(block.call.id, "arguments")

    # Which slots there are

    def _slots(self) -> Sequence[int]:
        """Return the slots of the window: its messages, and what is before the first of all."""
        slots = sorted(self._messages)
        if self._line.first_slot == 0 and (not slots or slots[0] == 1):
            return [0, *slots]
        return slots

    def _end(self) -> Place | None:
        slots = self._slots()
        if not slots or (slots == [0] and not self._line.calls):
            return None
        return self._last_of(slots[-1])

    def _last_of(self, slot: int) -> Place:
        """Return the last place of a slot that has a line of its own."""
        made = self._slot(slot)
        own = [at for at, call in enumerate(made.calls, FIRST_CALL) if has_own_line(call, made)]
        return slot, own[-1] if own else FOLD if made.calls else MESSAGE

    def _unfold_around(self, place: Place) -> None:
        """Unfold the calls that a place is among, where it has no line of its own."""
        slot, part = place
        calls = self._line.calls_of(slot)
        if part >= FIRST_CALL and slot not in self._unfolded:
            call = calls[part - FIRST_CALL] if part - FIRST_CALL < len(calls) else None
            if call is None or not has_own_line(call, self._slot(slot)):
                self._unfolded.add(slot)
                self._read_shown([slot])

    # Laying out

    def _begin(self) -> None:
        """Lay out anew; what is on the screen stays until the first new lines are there."""
        self._turn += 1
        self._fresh = True
        self._asked = None
        self._width = self.scrollable_content_region.width - RAIL
        slots = self._slots()
        if self._width > BAR and self._place is not None:
            self._read_shown(slots)
            at = next((i for i, slot in enumerate(slots) if slot >= self._place[0]), 0)
            # Of a slot that fills less than two lines there is none.
            first = max(LEAST_FIRST, self.size.height // 2 + 1)
            split = max(0, min(at - first // 2, len(slots) - first))
            made = [self._slot(slot) for slot in slots]
            self._lay_out_all(self._turn, self._next_layout(), made, split, first, self._look())

    def _next_layout(self) -> int:
        self._layouts += 1
        return self._layouts

    def _slot(self, number: int) -> Slot:
        message = self._messages.get(number)
        return Slot(
            number,
            message,
            self._line.calls_of(number),
            self._line.begins_day(number),
            whole=number in self._whole,
            unfolded=number in self._unfolded,
            opened=dict(self._opened),
            known=self._known,
        )

    @work(thread=True, exclusive=True, group="transcript-layout", description="transcript-layout")
    def _lay_out_all(
        self, turn: int, asked: int, slots: Sequence[Slot], split: int, first: int, look: Look
    ) -> None:
        worker = get_current_worker()

        def give(first: int, last: int) -> None:
            if not worker.is_cancelled:
                made = {slot.number: lay_out(slot, look) for slot in slots[first:last]}
                self.post_message(self._LaidOut(turn, asked, made))

        end = min(len(slots), split + first)
        give(split, end)
        for later in range(end, len(slots), CHUNK):
            give(later, later + CHUNK)
        for last in range(split, 0, -CHUNK):
            give(max(0, last - CHUNK), last)

    @work(thread=True, group="transcript-more", description="transcript-more")
    def _lay_out_some(self, turn: int, asked: int, slots: Sequence[Slot], look: Look) -> None:
        made = {slot.number: lay_out(slot, look) for slot in slots}
        self.post_message(self._LaidOut(turn, asked, made))

    def _lay_out(self, numbers: Sequence[int]) -> None:
        if numbers and self._width > BAR:
            self._read_shown(numbers)
            slots = [self._slot(one) for one in numbers]
            self._lay_out_some(self._turn, self._next_layout(), slots, self._look())

    def _read_shown(self, slots: Sequence[int]) -> None:
        """Ask for the calls that have lines of their own."""
        wanted = []
        for slot in slots:
            calls = self._line.calls_of(slot)
            every = slot in self._unfolded or len(calls) == 1
            wanted += [
                call
                for call in calls
                if (every or call.mark or call.id in self._opened) and call not in self._asked_for
            ]
        if wanted:
            self._asked_for |= set(wanted[-MOST_READ:])
            self.post_message(self.Unread(wanted[-MOST_READ:]))

    def _look(self) -> Look:
        return Look(
            width=self._width,
            ink=self._inks(),
            marks=self._marks,
            glyphs=self._glyphs,
        )

    @on(_LaidOut)
    def _take(self, message: _LaidOut) -> None:
        message.stop()
        if message.turn != self._turn:
            return
        top, offset = self._stack.anchor(self.scroll_offset.y)
        at_end = self._place is not None and self._place == self._stack.last_place
        if self._fresh:
            self._laid, self._fresh = {}, False
            self.post_message(self.Begun())
        there = set(self._slots())
        # What was asked for later may be there before: calls were read meanwhile.
        newer = [slot for slot in message.slots if message.asked >= self._laid_by.get(slot, 0)]
        self._laid_by |= dict.fromkeys(newer, message.asked)
        self._laid |= {slot: message.slots[slot] for slot in newer}
        self._laid = {slot: blocks for slot, blocks in self._laid.items() if slot in there}
        self._flatten()
        if self._reveal is not None:
            self._reveal_now()
        elif at_end and self._stack.last_place != self._place and self.last == self._line.total:
            self._place = self._stack.last_place
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
            self.post_message(self.Moved())
        elif (index := self._stack.index(top)) is not None:
            y = self._stack.starts[index] + offset
            self.scroll_to(y=y, animate=False, force=True)
        self.refresh()

    def _flatten(self) -> None:
        self._stack = Stack([one for slot in sorted(self._laid) for one in self._laid[slot]])
        self.virtual_size = Size(self._width + RAIL, self._stack.height)
        self._mark_rail()

    def _reveal_now(self) -> None:
        """Bring the place that was asked for into view, once it is laid out."""
        stack, index = self._stack, self._stack.index(self._reveal)
        if index is None:
            return
        top, end = stack.starts[index], stack.starts[index + 1]
        if index + 1 == len(stack.blocks):
            y = stack.height
        elif index == 0 or (index == 1 and stack.blocks[0].place is None):
            y = 0
        elif self.scroll_offset.y <= top and end <= self.scroll_offset.y + self.size.height:
            y = self.scroll_offset.y
        else:
            y = max(0, top - self.size.height // 4)
        self._reveal = None
        self.scroll_to(y=y, animate=False, force=True)

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Draw one line, and the rail beside it."""
        width = self.scrollable_content_region.width
        line = self.scroll_offset.y + y
        base = self.rich_style
        rail = self._rail_at(y)
        if line >= self._stack.height:
            note = self._note if line == 1 and not self._messages else ""
            strip = Strip([Segment(f"  {note}", self._inks().dim)])
        else:
            block, strip, last = self._stack.strip(line)
            strip = Strip.join([self._bar(block, last=last), strip])
        strip = strip.adjust_cell_length(max(0, width - RAIL), Style())
        return Strip.join([strip, rail]).apply_style(base)

    def _bar(self, block: Block, *, last: bool) -> Strip:
        ink = self._inks()
        if block.place is None:
            return Strip([])
        if last and len(block.strips) > 1 and not block.strips[-1].cell_length:
            return Strip([Segment("  ")])
        if block.place == self._place:
            focused = ink.accent if self.has_focus else ink.dim
            return Strip([Segment(f"{self._glyphs.cursor} ", focused)])
        style = role_style(block.message.role, ink) if block.message else ink.line
        return Strip([Segment(f"{self._glyphs.bar} ", style)])

    def _mark_rail(self) -> None:
        self._rail = self._line.rail(max(1, self.size.height), self._hits)

    def _rail_at(self, y: int) -> Strip:
        """Draw a row of the rail: a mark, else whether the window on the screen is there."""
        ink, glyphs = self._inks(), self._glyphs
        mark = self._rail.get(y)
        if mark is not None:
            sign, style = {
                "hit": (glyphs.hit, ink.accent),
                "denied": (glyphs.denied, ink.bad),
                "asked": (glyphs.waiting, ink.wait),
                "allowed": (glyphs.allowed, ink.ok),
            }[mark]
            return Strip([Segment(f" {sign}", style)])
        stack = self._stack
        if not stack.blocks or stack.height <= self.size.height >= self._line.total:
            return Strip([Segment(" " * RAIL)])
        here = y in self._rows_on_screen()
        sign = glyphs.cursor if here else glyphs.bar
        return Strip([Segment(f" {sign}", ink.dim if here else ink.line)])

    def _rows_on_screen(self) -> range:
        top, height = self.scroll_offset.y, self.size.height
        places = self._stack.places(top, top + height - 1)
        if not places:
            return range(0)
        return self._line.rows_of(max(1, height), places[0][0], places[-1][0])

    def _inks(self) -> Ink:
        if self._ink is None:
            self._ink = ink_of(self.app)
        return self._ink

    def notify_style_update(self) -> None:
        """Lay out again in the colours of the new theme."""
        super().notify_style_update()
        if self._ink is not None and ink_of(self.app) != self._ink:
            self._ink = None
            self._again()

    # Events

    def on_resize(self) -> None:
        """Lay out again where the width changed, keeping the place that was read."""
        self._mark_rail()
        if self.scrollable_content_region.width - RAIL != self._width:
            self._again()

    def on_click(self, event: events.Click) -> None:
        """Go where the rail is clicked; elsewhere be at the block, and open it at two clicks."""
        if event.x >= self.scrollable_content_region.width - RAIL:
            if self._line.total:
                slot = self._line.slot_of_row(event.y, max(1, self.size.height))
                self.go_to(self._line.place_of(slot))
            return
        line = self.scroll_offset.y + event.y
        if line < self._stack.height:
            block = self._stack.blocks[self._stack.at(line)]
            if block.place is not None:
                self._set_place(block.place)
                if event.chain == 2:
                    self.action_open()

    def _again(self) -> None:
        self._reveal = self._place
        self._begin()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for more near the ends."""
        super().watch_scroll_y(old_value, new_value)
        if not self._stack.blocks:
            return
        if new_value <= NEAR_EDGE and new_value < old_value:
            self._ask(older=True)
        elif new_value >= self.max_scroll_y - NEAR_EDGE and new_value > old_value:
            self._ask(older=False)

    def _ask(self, *, older: bool) -> None:
        slots = self._slots()
        if not slots or not set(slots) <= set(self._laid):
            return
        edge = self.first if older else self.last
        there = edge > 1 if older else edge < self._line.total
        if there and self._asked != (older, edge):
            self._asked = (older, edge)
            self.post_message(self.Edge(self, older=older))

    # Moving

    def _current_block(self) -> Block | None:
        return self._stack.block(self._place)

    def _set_place(self, place: Place) -> None:
        if place != self._place:
            self._place = place
            self.post_message(self.Moved())
        self.refresh()

    def _on_screen(self, index: int) -> bool:
        top, bottom = self.scroll_offset.y, self.scroll_offset.y + self.size.height
        return self._stack.starts[index] < bottom and self._stack.starts[index + 1] > top

    def _here(self) -> int | None:
        """Return the current block; where it has been scrolled away, one that is on the screen."""
        stack, index = self._stack, self._stack.index(self._place)
        if index is not None and self._on_screen(index):
            return index
        above = index is not None and stack.starts[index] < self.scroll_offset.y
        line = self.scroll_offset.y + (0 if above or index is None else self.size.height - 1)
        count = len(stack.blocks)
        if not count:
            return None
        found = max(0, min(count - 1, stack.at(line)))
        return stack.with_place(range(found, count) if above else range(found, -1, -1))

    def action_down(self) -> None:
        """Scroll on in what is longer than the screen, else go to the next block."""
        self._step(1)

    def action_up(self) -> None:
        """Scroll back in what is longer than the screen, else go to the block before."""
        self._step(-1)

    def _step(self, by: int) -> None:
        index = self._here()
        if index is None:
            return
        top, bottom = self.scroll_offset.y, self.scroll_offset.y + self.size.height
        stack, block = self._stack, self._stack.blocks[index]
        if block.place != self._place and block.place is not None:
            self._set_place(block.place)
            return
        hidden = stack.starts[index + 1] > bottom if by > 0 else stack.starts[index] < top
        if hidden:
            self.scroll_relative(y=by, animate=False, force=True)
            return
        after = range(index + 1, len(stack.blocks))
        other = stack.with_place(after if by > 0 else range(index - 1, -1, -1))
        if other is None:
            self.scroll_to(y=0 if by < 0 else stack.height, animate=False, force=True)
            self._ask(older=by < 0)
            return
        place = stack.blocks[other].place
        assert place is not None
        self._set_place(place)
        first, end = stack.starts[other], stack.starts[other + 1]
        if by > 0 and end > bottom:
            y = min(first, end - self.size.height)
            self.scroll_to(y=y, animate=False, force=True)
        elif by < 0 and first < top:
            self.scroll_to(y=max(first, end - self.size.height), animate=False, force=True)

    def action_half_down(self) -> None:
        """Scroll half a page down."""
        self._page(self.size.height // 2)

    def action_half_up(self) -> None:
        """Scroll half a page up."""
        self._page(-(self.size.height // 2))

    def action_page_down(self) -> None:
        """Scroll a page down."""
        self._page(self.size.height - 1)

    def action_page_up(self) -> None:
        """Scroll a page up."""
        self._page(1 - self.size.height)

    def _page(self, lines: int) -> None:
        before = self.scroll_offset.y
        self.scroll_relative(y=lines, animate=False, force=True)
        if self.scroll_offset.y == before:
            self._ask(older=lines < 0)
            end = self._stack.first_place if lines < 0 else self._stack.last_place
            if end is not None:
                self._set_place(end)
            return
        index = self._here()
        if index is not None and (place := self._stack.blocks[index].place) is not None:
            self._set_place(place)

    def action_first(self) -> None:
        """Go to the first thing in the session."""
        if self._place is not None:
            self.go_to(self._line.place_of(self._line.first_slot))

    def action_last(self) -> None:
        """Go to the last thing in the session."""
        if self._place is not None:
            self.go_to(self._last_of(self._line.total))

    def action_next_turn(self) -> None:
        """Go to the next message of the user."""
        self._turn_by(1)

    def action_previous_turn(self) -> None:
        """Go to the message of the user before."""
        self._turn_by(-1)

    def _turn_by(self, step: int) -> None:
        if self._place is None:
            return
        slot, part = self._place
        back = step < 0 and part != MESSAGE
        found = self._line.turn(slot + 1 if back else slot, step)
        if found is None:
            self.post_message(self.Nothing(f"no turn {'after' if step > 0 else 'before'} this one"))
        else:
            self.go_to((found, MESSAGE))

    def action_next_marked(self) -> None:
        """Go to the next call that was denied or asked about."""
        self._marked_by(1)

    def action_previous_marked(self) -> None:
        """Go to the call before that was denied or asked about."""
        self._marked_by(-1)

    def _marked_by(self, step: int) -> None:
        found = self._line.outstanding(self._place, step) if self._place else None
        if found is None:
            where = "after" if step > 0 else "before"
            self.post_message(self.Nothing(f"no call {where} this was denied or asked about"))
        else:
            self.go_to(found)

    def action_jump(self) -> None:
        """Type a time to go to."""
        self.post_message(self.Jump())

    def action_rule(self) -> None:
        """Make a rule from the call at the place."""
        block = self._current_block()
        self.post_message(self.Rule(block.call if block is not None else None))

    # Opening

    def action_open(self) -> None:
        """Show a long message whole, unfold calls, or open one; the same again undoes it."""
        block = self._current_block()
        if block is None or block.place is None:
            return
        slot, part = block.place
        if part == FOLD:
            self._unfolded.symmetric_difference_update({slot})
        elif block.call is not None:
            if self._opened.pop(block.call.id, None) is None:
                self._open_at(block.call, PARTS[0])
        elif block.cut or slot in self._whole:
            self._whole.symmetric_difference_update({slot})
        else:
            self.post_message(self.Nothing("the whole message is shown"))
            return
        self._lay_out([slot])

    def action_next_part(self) -> None:
        """Show the next part of an open call."""
        self._part_by(1)

    def action_previous_part(self) -> None:
        """Show the part before of an open call."""
        self._part_by(-1)

    def _part_by(self, step: int) -> None:
        block = self._current_block()
        call = block.call if block is not None else None
        if block is None or block.place is None or call is None or call.id not in self._opened:
            self.post_message(self.Nothing("no call is open here; enter opens one"))
            return
        part = (PARTS.index(self._opened[call.id]) + step) % len(PARTS)
        self._open_at(call, PARTS[part])
        self._lay_out([block.place[0]])

    def _open_at(self, call: LineCall, part: CallPart) -> None:
        self._opened[call.id] = part
        known = self._known.get(call.id)
        if known is None or (not known.history and known.row is not None):
            self.post_message(self.Unread([call], opened=True))


def _moved(place: Place, before: Timeline, line: Timeline) -> Place:
    """Return where a call stands now that others may have come before it."""
    slot, part = place
    if part < FIRST_CALL:
        return place
    calls = before.calls_of(slot)
    wanted = calls[part - FIRST_CALL] if part - FIRST_CALL < len(calls) else None
    now = line.calls_of(slot)
    same = (
        at
        for at, call in enumerate(now)
        if wanted and (call.id == wanted.id or call.kept == wanted.kept > 0)
    )
    return slot, FIRST_CALL + next(same, max(0, min(part - FIRST_CALL, len(now) - 1)))
