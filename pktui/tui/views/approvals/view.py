"""The Approvals view: the queue, the call under the cursor, and the person's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.containers import Vertical
from textual.widgets import Input

from pktui.insight.groups import Group, calls_of
from pktui.text import one_line
from pktui.tui.actions import BY_ID, bindings
from pktui.tui.focus import focus_now
from pktui.tui.moments import age, countdown
from pktui.tui.turns import Turns
from pktui.tui.views.approvals.controller import ON_ITS_WAY, Decisions
from pktui.tui.views.approvals.detail import Detail
from pktui.tui.views.approvals.draw import (
    draw_group,
    draw_row,
    draw_standing,
    in_time,
    state_word,
)
from pktui.tui.views.approvals.guard_bar import GuardBar, Offer
from pktui.tui.views.approvals.preview import preview_of
from pktui.tui.views.approvals.queue import (
    Listed,
    Queue,
    arrange,
    row_state,
    settled_us,
    state_of,
)
from pktui.tui.views.approvals.reader import Loaded, load
from pktui.tui.views.base import View
from pktui.tui.views.policies.tool_policy import ROOMY, ToolPolicy
from pktui.tui.widgets.empty import Empty
from pktui.tui.widgets.filter_box import FilterBox
from pktui.tui.widgets.panes import Divider, Pane, Panes
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run, days

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.errors import PktuiError
    from pktui.ledger.approvals.standing import StandingApproval
    from pktui.ledger.records import Approval
    from pktui.tui.document import Line
    from pktui.tui.services import Services

# Cells; narrower, the detail opens over the queue.
SIDE_BY_SIDE = 100

READ_ONLY = "read-only: this console decides nothing"
ONLY_READING = "many at once are allowed only where they read; → shows them one by one"
ANEW = "asked anew: what the call would change is not what you were shown"
ALONE = "that is for one call at a time; → shows them one by one"


class ApprovalsView(View):
    """Decides what waits. Every answer is a row flipped in the ledger, once."""

    AWAITS = "what waits for you"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("approvals")]

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self._decisions = Decisions(self, self)
        self._loaded = Loaded()
        self._queue = Queue()
        """What is shown of the queue that is loaded."""
        self._listed = Listed()
        self._unfolded: set[str] = set()
        """The groups whose calls have rows of their own."""
        self._turns = Turns(self._load)
        self._go_to = ""
        self._open = False
        self._ready = False
        self._came = False
        """The view came to the front, and the queue was not read since."""
        self._refused = ("", "")
        """The approval whose key was refused last, and why."""

    # Layout

    def compose(self) -> ComposeResult:
        """Lay out the queue beside the detail, the line of keys below both."""
        with Panes(id="approvals-panes"):
            with Vertical(id="approvals-left"):
                with Pane(id="approvals-queue"):
                    yield FilterBox(placeholder="words of a call", id="approvals-filter")
                    yield Empty(
                        "Nothing waits for you.",
                        "Calls that a policy marks with ask come here; the line at the bottom, "
                        "the bell and the title say when.",
                        *("pktui policy set memory store_knowledge approve", "approvals.copy"),
                        id="approvals-empty",
                    )
                    yield Empty(id="approvals-none-shown")
                    yield Rows(
                        ListSource(), self._draw, row_height=2,
                        groups=days(self._ended, self.services.clock),
                        in_time=lambda row: in_time(row, self.services.clock()),
                        glyphs=self.console.glyphs,
                        id="approvals-list",
                    )  # fmt: skip
                with Pane(id="approvals-standing"):
                    yield Rows(
                        ListSource(), self._draw_standing, row_height=3,
                        in_time=lambda one: countdown(one.expires_us - self.services.clock()),
                        glyphs=self.console.glyphs, id="approvals-standing-list",
                    )  # fmt: skip
            yield Divider()
            yield Detail(self._preview, id="approvals-detail")
            yield Divider()
            yield ToolPolicy(self.services, id="approvals-policy")
        yield GuardBar(id="approvals-guard")

    def on_mount(self) -> None:
        """Load the queue."""
        self._arrange()
        self._turns.ask()

    @property
    def rows(self) -> Rows[Approval | Group]:
        """The queue's list."""
        return self.query_one("#approvals-list", Rows)

    @property
    def standing_rows(self) -> Rows[StandingApproval]:
        """The list of answers that stand."""
        return self.query_one("#approvals-standing-list", Rows)

    @property
    def detail(self) -> Detail:
        """The pane of the call under the cursor."""
        return self.query_one(Detail)

    def offers(self, command: str) -> bool:
        """Offer no way to what is not there."""
        if command == "standing":
            return bool(self._loaded.standing)
        if command in ("unfold", "fold"):
            return self._group_here() is not None
        return command != "filter" or bool(self._loaded.queue.items)

    def focus_default(self) -> None:
        """Focus the queue, or the detail where it covers the queue."""
        focus_now(self.detail.document if self._covered else self.rows)

    def _draw(self, row: Approval | Group, pen: Pen) -> Sequence[Sequence[Run]]:
        now = self.services.clock()
        if isinstance(row, Group):
            return draw_group(row, pen, now)
        inside = self._listed.group_of(row.id) is not None
        return draw_row(row, pen, now, inside=inside)

    def _ended(self, row: Approval | Group) -> int | None:
        if isinstance(row, Group) or state_of(row, self.services.clock()) == "waiting":
            return None
        return settled_us(row)

    def _draw_standing(self, one: StandingApproval, pen: Pen) -> Sequence[Sequence[Run]]:
        return draw_standing(one, pen, self.services.clock())

    def _preview(self, approval: Approval) -> tuple[Line, ...]:
        return preview_of(approval, self.services.memory, self.services.clock())

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
        """The view left the screen; when it comes back, no key counts in its first moment."""
        self.detail.rest()
        self._offer()

    def _arrange(self) -> None:
        has_any = bool(self._queue.items)
        listed = bool(self._loaded.queue.items)
        self.query_one("#approvals-empty").display = self._ready and not listed
        self.query_one("#approvals-none-shown").display = not self._ready or (
            listed and not has_any
        )
        self.rows.display = listed or not self._ready
        self.query_one("#approvals-left").display = not self._covered
        self.query_one("#approvals-standing").display = bool(self._loaded.standing)
        self.detail.display = has_any and (self._wide or self._open)
        self.query_one(ToolPolicy).display = has_any and self.size.width >= ROOMY
        self.query_one(GuardBar).display = has_any or bool(self._loaded.standing)
        self.set_class(self._wide, "-wide")
        self.query_one(Panes).fit()

    # What moved

    def go_to(self, *names: str) -> None:
        """Put the cursor on an approval."""
        self.query_one(FilterBox).drop()
        self._go_to = names[0]
        self._turns.ask()

    def shown(self) -> None:
        """Load what changed while another view was in front, and go to what waits."""
        self._came = True
        self.detail.wake()
        self._turns.ask()

    def ledger_moved(self) -> None:
        """Load the queue again."""
        self._turns.ask()

    def tick(self, now_us: int) -> None:
        """Count down; what expired moves to the decided ones."""
        self.rows.pass_time(now_us)
        self.standing_rows.pass_time(now_us)
        self.detail.tick(now_us)
        items, standing = self._loaded.queue.items, self._loaded.standing
        if any(item.status == "pending" and item.expires_us <= now_us for item in items):
            self._take(replace(self._loaded, queue=arrange(items, (), now_us)))
        if any(one.expires_us <= now_us for one in standing):
            self._turns.ask()

    def _load(self) -> None:
        self.in_thread(
            lambda: load(self.services), self._show_loaded, self._show_failure, group="queue"
        )

    def _show_loaded(self, loaded: Loaded) -> None:
        self.worked()
        self._take(loaded)
        self._turns.done()

    def _show_failure(self, error: PktuiError) -> None:
        self._turns.done()
        self.failed(error)

    def _take(self, loaded: Loaded) -> None:
        """Show the queue; the approval under the cursor stays under it, wherever it moved."""
        current = self.rows.current
        queue = loaded.queue.having(self.query_one(FilterBox).value)
        listed = self._list(queue)
        wanted = self._wanted(listed)
        self._go_to, self._came = "", False
        before, self._loaded = self._loaded, loaded
        shown, self._listed, self._queue = self._listed, listed, queue
        first, self._ready = not self._ready, True
        self._decisions.pin_set = loaded.pin_set
        index = listed.index(wanted)
        if first or listed != shown or (current and current.id != wanted):
            cursor = index if index is not None else min(self.rows.cursor, len(listed.rows) - 1)
            self.rows.show(ListSource(listed.rows), cursor=max(0, cursor))
        self._show_standing(before)
        words = one_line(self.query_one(FilterBox).value, 80)
        back = self.console.keymap.shown(BY_ID["approvals.later"])
        no_match = f"No call has “{words}”.", f"{back} shows all again."
        self.query_one("#approvals-none-shown", Empty).tell(*no_match)
        self.query_one("#approvals-queue", Pane).title = self._title()
        self._arrange()
        self._show_current()

    def _list(self, queue: Queue) -> Listed:
        """Lay out the rows; a call that is under the cursor, or goes there, keeps one."""
        now, current = self.services.clock(), self.rows.current
        listed = Listed.of(queue, self._unfolded, now)
        here = current.id if current is not None and not isinstance(current, Group) else ""
        for name in filter(None, (here, self._go_to)):
            group = listed.group_of(name)
            if group is not None and group.folded:
                self._unfolded.add(group.id)
                listed = Listed.of(queue, self._unfolded, now)
        return listed

    def _wanted(self, listed: Listed) -> str:
        """Return what goes under the cursor: what was asked for, else what is there.

        Who comes to the view comes to something that waits, if anything does.
        """
        current, now = self.rows.current, self.services.clock()
        if self._go_to or current is None:
            return self._go_to
        if anew := listed.asked_anew(current.id):
            self.console.say(ANEW, severity="warning", seconds=8)
            return anew
        index = listed.index(current.id)
        waits = index is not None and row_state(listed.rows[index], now) == "waiting"
        if self._came and not waits:
            return listed.next_waiting(current.id, now) or current.id
        return current.id

    def _show_standing(self, before: Loaded) -> None:
        standing = self._loaded.standing
        if standing == before.standing:
            return
        rows = self.standing_rows
        if not standing and rows.has_focus:
            focus_now(self.rows)
        rows.show(ListSource(standing), cursor=max(0, min(rows.cursor, len(standing) - 1)))
        self.query_one("#approvals-standing", Pane).title = f"{len(standing)} standing"

    def _title(self) -> str:
        now, stop = self.services.clock(), self._loaded.stop
        waiting, items = self._loaded.queue.waiting(now), self._loaded.queue.items
        title = f"{waiting} waiting, {len(items) - waiting} decided"
        if self.query_one(FilterBox).value:
            title += f", {len(self._queue.items)} shown"
        if stop is None:
            return title
        return f"all calls stopped by {one_line(stop.by, 30)}, {age(now - stop.at_us)}; ^k goes on"

    @on(Rows.Moved, "#approvals-list")
    def _moved(self, message: Rows.Moved) -> None:
        message.stop()
        self._show_current()

    def _show_current(self) -> None:
        current = self.rows.current
        first = calls_of(current)[0].id if current is not None else ""
        redefined = self._loaded.redefined.get(first)
        self.detail.show(current, self.services.clock(), redefined)
        if current is not None and self.query_one(ToolPolicy).display:
            self.query_one(ToolPolicy).show(current.server, current.tool)
        self._offer()

    # The line of keys

    @on(Detail.Changed)
    def _detail_changed(self, message: Detail.Changed) -> None:
        message.stop()
        self._offer()

    def _offer(self, refusal: str = "") -> None:
        guard = self.detail.guard
        if refusal:
            self._refused = (guard.approval_id, refusal)
        bar = self.query_one(GuardBar)
        stands = guard.approval_id == self._refused[0] and not guard.seen_whole
        bar.refusal = self._refused[1] if stands and guard.approval_id else ""
        bar.offer = self._what_is_offered()

    def _what_is_offered(self) -> Offer:
        card, guard = self.detail.card, self.detail.guard
        if self.standing_rows.has_focus:
            return Offer(note="x revokes the answer under the cursor; s goes back to the queue")
        if card is None:
            return Offer(note="nothing is selected")
        state = row_state(card, self.services.clock())
        if state != "waiting":
            return Offer(note=f"{state_word(state)}: nothing left to decide")
        if self.services.read_only:
            return Offer(note=READ_ONLY)
        if {one.id for one in calls_of(card)} & self._decisions.deciding:
            return Offer(note=ON_ITS_WAY)
        seen = guard.seen_whole
        return Offer(
            quiet=not guard.approval_id or guard.waiting(self.detail.clock()) > 0,
            below=0 if seen or not self.detail.display else self.detail.document.hidden_rows,
            allow=seen and (not isinstance(card, Group) or self._may_run_together(card)),
            wider=not isinstance(card, Group) and not card.once,
            change=all(one.needed == 1 for one in calls_of(card)),
            raw=self.detail.raw,
            many=len(card.members) if isinstance(card, Group) else 0,
            folded=isinstance(card, Group) and card.folded,
            open=self.detail.display,
            leaves=not self.rows.has_focus or bool(self.query_one(FilterBox).value),
        )

    # Decisions

    def clock(self) -> float:
        """Return the seconds of the guard's clock."""
        return self.detail.clock()

    def action_allow(self) -> None:
        """Let this one call run, or each of a group of calls that read."""
        card = self._decidable(allow=True)
        if isinstance(card, Group):
            self._decisions.each(card, True)
        elif card is not None:
            self._decisions.allow(card)

    def action_deny(self) -> None:
        """Refuse this call, or each of a group."""
        card = self._decidable(allow=False)
        if isinstance(card, Group):
            self._decisions.each(card, False)
        elif card is not None:
            self._decisions.deny(card)

    def action_deny_saying(self) -> None:
        """Refuse with words that reach the agent."""
        if (card := self._decidable(allow=False)) is not None:
            self._decisions.deny_saying(card)

    def action_wider(self) -> None:
        """Let this call run, and such calls after it."""
        if (approval := self._decidable_alone()) is not None:
            self._decisions.wider(approval)

    def action_change(self) -> None:
        """Let this call run with other arguments."""
        if (approval := self._decidable_alone()) is not None:
            self._decisions.change(approval)

    def action_rule(self) -> None:
        """Make a rule from this call, and let it run."""
        if (approval := self._decidable_alone()) is not None:
            self._decisions.rule(approval)

    def _may_run_together(self, group: Group) -> bool:
        """Tell whether one key may let all of a group run: only what reads."""
        return group.decided_together and (group.server, group.tool) in self._loaded.reads

    def _decidable_alone(self) -> Approval | None:
        """Return the approval under the cursor if it may be allowed in another way now."""
        if isinstance(self.detail.card, Group) and not self.standing_rows.has_focus:
            self.console.say(ALONE)
            return None
        card = self._decidable(allow=True)
        return None if isinstance(card, Group) else card

    def _decidable(self, *, allow: bool) -> Approval | Group | None:
        """Return what is under the cursor if a key may decide it now, else say why not."""
        card = self.detail.card
        if self.standing_rows.has_focus:
            return None
        if card is None:
            self.console.say("nothing is under the cursor")
            return None
        if self.console.refuse_read_only():
            return None
        if {one.id for one in calls_of(card)} & self._decisions.deciding:
            self.console.say(ON_ITS_WAY)
            return None
        if allow and isinstance(card, Group) and not self._may_run_together(card):
            self.console.say(ONLY_READING)
            return None
        typed = self.detail.clock() - self.console.keyboard.age()
        refusal = self.detail.guard.press(typed, allow=allow)
        if refusal is not None:
            hint = "" if self.detail.display or not allow else "; enter opens it"
            self._offer("" if refusal.wait else refusal.why + hint)
            return None
        if row_state(card, self.services.clock()) != "waiting":
            self._offer()
            return None
        return card

    def answered(self, row: Approval | Group) -> None:
        """Go on to what waits next."""
        self._go_to = self._listed.next_waiting(row.id, self.services.clock())
        self._go_to = self._go_to or row.id
        if self._covered:
            self.action_later()
        self._turns.ask()

    def read_again(self) -> None:
        """Load the queue again."""
        self._turns.ask()

    def look_again(self) -> None:
        """Start the quiet time again: a screen was over the view."""
        self.detail.wake()

    def action_revoke(self) -> None:
        """End the standing approval under the cursor."""
        one = self.standing_rows.current if self.standing_rows.has_focus else None
        if one is not None:
            self._decisions.revoke(one.id)
        else:
            self.console.say("s goes to the answers that stand; x revokes one there")

    # Moving about

    def _group_here(self) -> Group | None:
        """Return the group that is under the cursor, or that a call there is of."""
        current = self.rows.current
        if current is None or isinstance(current, Group):
            return current
        return self._listed.group_of(current.id)

    def action_unfold(self) -> None:
        """Show the calls of a group one by one."""
        group = self._group_here()
        if group is None:
            self.console.say("many calls of one agent and tool are a group; this is none")
            return
        self._unfolded.add(group.id)
        self._go_to = group.id if isinstance(self.rows.current, Group) else ""
        self._take(self._loaded)

    def action_fold(self) -> None:
        """Show the calls of a group as one again."""
        group = self._group_here()
        if group is None:
            self.console.say("many calls of one agent and tool are a group; this is none")
            return
        self._unfolded.discard(group.id)
        self._go_to = group.id
        self.rows.move_to(self._listed.index(group.id) or 0)
        self._take(self._loaded)

    def action_filter(self) -> None:
        """Type words of a call."""
        self._open = False
        self._arrange()
        self.query_one(FilterBox).type_here()

    @on(Input.Changed, "#approvals-filter")
    def _filter(self, message: Input.Changed) -> None:
        message.stop()
        if self._ready and not self._go_to:
            self._take(self._loaded)

    @on(FilterBox.Left)
    def _leave_filter(self, message: FilterBox.Left) -> None:
        message.stop()
        focus_now(self.rows)

    def on_descendant_focus(self) -> None:
        """Say what the keys do where the focus is now."""
        self._offer()

    @on(Rows.Chosen, "#approvals-list")
    def _open_detail(self, message: Rows.Chosen) -> None:
        message.stop()
        self._open = True
        self._arrange()
        focus_now(self.detail.document)
        self._offer()

    def action_later(self) -> None:
        """Leave it waiting: back to the queue; there, drop the filter."""
        if not self._covered and self.rows.has_focus:
            self.query_one(FilterBox).drop()
        self._open = False
        self._arrange()
        focus_now(self.rows)

    def action_standing(self) -> None:
        """To the answers that stand, and back."""
        if self.standing_rows.has_focus or not self._loaded.standing:
            self.focus_default()
            if not self._loaded.standing:
                self.console.say("no answer stands; A allows more than one call")
            return
        self._open = False
        self._arrange()
        focus_now(self.standing_rows)

    def action_raw(self) -> None:
        """Show the arguments as they came, or laid out."""
        self.detail.turn_raw()

    def action_more(self) -> None:
        """Scroll the arguments a page."""
        self.detail.document.action_page_down()
