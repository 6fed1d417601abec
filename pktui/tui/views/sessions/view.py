"""The Sessions view: find a session, read it, end it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import events, on
from textual.widgets import Static

from pktui.errors import MemoryUnavailable
from pktui.memory.records import SESSION_SORTS
from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.focus import focus_now
from pktui.tui.moments import age
from pktui.tui.screens.imports import Imports
from pktui.tui.sorting import Sorting
from pktui.tui.theme import ink_of
from pktui.tui.views.base import View
from pktui.tui.views.policies.rule import recorded_call
from pktui.tui.views.policies.sentence import Rules
from pktui.tui.views.sessions import empty
from pktui.tui.views.sessions.call_blocks import part_text
from pktui.tui.views.sessions.controller import SessionChanges
from pktui.tui.views.sessions.draw import band_line, draw_hit, last_us, session_grid
from pktui.tui.views.sessions.facets import FacetList
from pktui.tui.views.sessions.filtering import Filtering
from pktui.tui.views.sessions.kept_searches import KeptSearches
from pktui.tui.views.sessions.listing import Listing, Question
from pktui.tui.views.sessions.preview import Preview
from pktui.tui.views.sessions.query_bar import QueryBar, unanswered_chips
from pktui.tui.views.sessions.search_box import SearchBox
from pktui.tui.views.sessions.source import Row, SessionSource
from pktui.tui.views.sessions.transcript import Transcript
from pktui.tui.widgets.heads import Heads
from pktui.tui.widgets.panes import Divider, Pane, Panes
from pktui.tui.widgets.rows import ListSource, Rows, days

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.errors import PktuiError
    from pktui.memory.records import Session
    from pktui.tui.services import Services
    from pktui.tui.views.sessions.saved import SavedSearch

WIDE = 100
STACKED = (80, 30)
# From here on the facets have a pane.
FACETED = 140
# What each head of the list sorts by.
SORTS = {
    "title": "title",
    "agent": "agent",
    "project": "project",
    "said": "count",
    "hits": "count",
    "age": "age",
}


class SessionsView(View):
    """List and transcript, side by side, below each other, or one at a time."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("sessions")

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self._changes = SessionChanges(self, self.read_again)
        self._kept = KeptSearches(self, self._search_kept)
        self._rules = Rules(self)
        self._listing = Listing(self, self._question, self)
        self._sorting = Sorting(SORTS, self._ask_anew)
        self._filtering = Filtering(self, self._listing)
        self._at_last_hit = False
        self._shown_turn = -1
        # The session that a link names stands first; 0: none does.
        self._linked = 0
        self._just_linked = False

    # Layout

    def compose(self) -> ComposeResult:
        """Lay out the list with its search box, and the preview."""
        with Panes():
            with Pane("facets", id="session-facets"):
                yield FacetList(self.console.glyphs, id="session-facet-rows")
            yield Divider()
            with Pane("sessions", id="session-list"):
                yield SearchBox(id="session-search")
                yield QueryBar(id="session-unanswered")
                yield Static(id="session-bands")
                yield Heads(lambda: self._rows, self.console.glyphs)
                yield Rows[Row](
                    ListSource(), in_time=self._age, glyphs=self.console.glyphs, id="session-rows"
                )
            yield Divider()
            yield Preview(self.services, self.console.glyphs, id="session-preview")

    def on_mount(self) -> None:
        """Ask for the sessions."""
        self._show_state()
        self._listing.again()

    def on_resize(self, event: events.Resize) -> None:
        """Choose the layout that the size allows."""
        wide = event.size.width >= WIDE
        stacked = not wide and event.size.width >= STACKED[0] and self.app.size.height >= STACKED[1]
        self.set_class(wide, "-wide")
        self.set_class(stacked, "-stacked")
        self.set_class(not (wide or stacked), "-single")
        self.set_class(event.size.width >= FACETED, "-faceted")
        self._filtering.count()
        if not self.has_class("-single"):
            self.remove_class("-reading")
        elif self._reading:
            self.add_class("-reading")

    @property
    def session(self) -> Session | None:
        """The session under the cursor."""
        row = self._rows.current
        return row.session if row else None

    def read_again(self) -> None:
        """Read the list again, once whatever is being read is there."""
        self._listing.again()

    def _ask_anew(self) -> None:
        self._listing.ask()

    @property
    def _rows(self) -> Rows[Row]:
        return self.query_one("#session-rows", Rows)

    @property
    def _box(self) -> SearchBox:
        return self.query_one(SearchBox)

    @property
    def _preview(self) -> Preview:
        return self.query_one(Preview)

    def _age(self, row: Row) -> str:
        return age(self.services.clock() - last_us(row))

    # What the app calls

    def tick(self, now_us: int) -> None:
        """Let the ages run."""
        self._rows.pass_time(now_us)

    def focus_default(self) -> None:
        """Focus the list, or the transcript where that is all there is to see."""
        reading = self.has_class("-reading")
        focus_now(self._preview.reads if reading else self._rows)

    def go_to(self, *names: str) -> None:
        """Open a session by its number; it stands first until something else is asked for."""
        if names[0].isdecimal():
            self._linked, self._just_linked = int(names[0]), True
            self._listing.ask()

    def search(self, text: str) -> None:
        """Search for this text."""
        self._box.search_for(text)

    def shown(self) -> None:
        """Read again what may have changed."""
        self._listing.again()

    def memory_moved(self) -> None:
        """Read again, or say that the memory is away."""
        self._show_state()
        found = self._listing.answer is not None and self._listing.error is None
        if self.console.memory.state == "ok" and not found:
            self._listing.again()

    def scope_changed(self) -> None:
        """Ask again in the new scope."""
        self._listing.ask()

    # Reading

    @on(SearchBox.Asked)
    def _search_anew(self, _event: SearchBox.Asked) -> None:
        self._linked = 0
        self._listing.ask()
        self._show_state()

    def _question(self) -> Question:
        box, sort = self._box, self._sorting.by
        chosen = next((one for one in SESSION_SORTS if one == sort), None)
        return Question(box.text, box.mode, self.console.project, chosen, self._linked)

    def answered(self, source: SessionSource) -> None:
        """Show rows; the cursor stays on its session where the same question was asked."""
        rows, listing = self._rows, self._listing
        found = listing.answer is not None
        current = rows.current
        again = self._shown_turn == listing.turn
        cursor = 0
        if current is not None and again:
            rows_at = ((i, source.at(i)) for i in range(source.total))
            same = (i for i, row in rows_at if row is not None and row.key == current.key)
            cursor = next(same, min(rows.cursor, max(0, source.total - 1)))
        self._shown_turn = listing.turn
        by = self._sorting.by
        in_time = not found and by in ("", "age")
        rows.groups = days(last_us, self.services.clock) if in_time else None
        if not again or rows.grid is None:
            rows.grid = session_grid(
                self.services.clock, self.console.glyphs, found=found, order=by
            )
        self.query_one(Heads).by = self._sorting.heads
        rows.show(
            source,
            cursor=cursor,
            draw=draw_hit(rows.grid) if found else None,
            row_height=2 if found else 1,
            reveal=not again or cursor != rows.cursor,
        )
        self._box.offer(None)
        self._show_state()
        if self._linked and self.has_class("-single") and self._just_linked:
            self.add_class("-reading")
        self._just_linked = False
        self._filtering.count()

    def grown(self) -> None:
        """Draw the rows of another page."""
        self._rows.changed()

    def told(self) -> None:
        """Say why nothing was found, and which other way of searching finds something."""
        near = sorted(self._listing.near.items(), key=lambda one: -one[1])
        self._box.offer(near[0][0] if near else None)
        self._show_state()

    def missing(self, error: PktuiError) -> None:
        """Say that the session that was to stand first is not there."""
        self._linked = 0
        self.remove_class("-reading")
        self.console.say_error(error)

    # Showing

    @on(Rows.Moved, "#session-rows")
    def _show_session(self, event: Rows.Moved) -> None:
        query = (self._box.text if self._listing.answer else "", self._box.mode)
        self._preview.show(event.rows.current, query, at_last_hit=self._at_last_hit)
        self._at_last_hit = False
        self._show_bands()
        self._filtering.show()
        self.refresh_bindings()

    @on(Preview.Failed)
    def _say_failure(self, event: Preview.Failed) -> None:
        event.stop()
        if not isinstance(event.error, MemoryUnavailable):
            self.console.say_error(event.error)

    @on(Preview.Said)
    def _say(self, event: Preview.Said) -> None:
        event.stop()
        self.console.say(event.text)

    def ledger_moved(self) -> None:
        """Show the calls that came to the session that is read."""
        self._preview.look_for_news()

    def _show_state(self) -> None:
        """Name mode, count and scope in the head; say why the list is empty."""
        self.query_one("#session-list", Pane).title = self._counted()
        answer = self._listing.answer
        note = answer.note if answer else ""
        if note and answer and answer.mode != answer.asked_mode:
            self._box.note(one_line(note, 120))
        else:
            self._box.note("")
        self._rows.say_empty(self._why_empty())
        self._show_bands()
        self._say_unanswered()

    def _show_bands(self) -> None:
        """Name the bands of a search with their counts."""
        line, answer = self.query_one("#session-bands", Static), self._listing.answer
        line.display = answer is not None and bool(answer.bands) and not self._unanswered
        if answer is not None and answer.bands:
            row, ink = self._rows.current, ink_of(self.app)
            here = row.band if row is not None else None
            line.update(band_line(answer.bands, here, ink, self.console.glyphs.dot))

    @property
    def _unanswered(self) -> bool:
        """Whether the list is not what the box asks for: the search failed.

        Where no list is left, it says itself that the memory is not there.
        """
        error = self._listing.error
        if isinstance(error, MemoryUnavailable) and not self._listing.total:
            return False
        return error is not None and bool(self._box.text)

    def _say_unanswered(self) -> None:
        """Show the filters; never let the old list stand as if it were the answer."""
        bar, unanswered, error = self.query_one(QueryBar), self._unanswered, self._listing.error
        self._rows.set_class(unanswered and self._rows.source.total > 0, "-not-filtered")
        bar.answered = not unanswered
        if unanswered and error is not None:
            bar.chips = unanswered_chips(self._box.text, error)
        else:
            bar.chips = self._filtering.chips
        bar.display = bool(bar.chips)

    def _counted(self) -> str:
        """Return count and scope, and more where the border has room for it."""
        dot = f" {self.console.glyphs.dot} "
        scope = self.console.scope_name
        if self._unanswered:
            return dot.join(("not filtered", scope))
        listing, answer, by = self._listing, self._listing.answer, self._sorting.by
        order = (f"by {by}",) if by else ()
        if answer is None:
            unread = listing.source is None or listing.error is not None
            if not listing.total and (unread or self.console.memory.state != "ok"):
                return dot.join(("sessions", scope))
            noun = "session" if listing.total == 1 else "sessions"
            return dot.join((f"{listing.total:,} {noun}", *order, scope))
        status = self.console.memory.status
        total = f"{status.sessions:,}" if status else "?"
        room = self.query_one("#session-list").size.width - 4
        found = f"{answer.total:,} of {total} sessions"
        hits = f"{answer.total_hits:,} {'hit' if answer.total_hits == 1 else 'hits'}"
        if known := answer.total_entries:
            found = dot.join((found, f"{known:,} {'entry' if known == 1 else 'entries'}"))
        tries = (
            dot.join((answer.mode, found, hits, *order, scope)), dot.join((found, hits, *order)),
            dot.join((found, hits)),
        )  # fmt: skip
        return next((text for text in tries if cell_len(text) <= room), hits)

    def _why_empty(self) -> Sequence[tuple[str, str]]:
        memory, listing, text = self.console.memory, self._listing, self._box.text
        if memory.state != "ok" or isinstance(listing.error, MemoryUnavailable):
            return empty.no_memory(memory, listing.error)
        if listing.error is not None:
            return empty.failed(listing.error)
        if listing.answer is not None:
            if listing.answer.awaits_meaning:
                return empty.not_yet(text)
            return empty.no_hits(text, self._box.mode, self.console.project, listing.near)
        if listing.source is None:
            return empty.READING
        if text:
            return empty.none_left(text)
        return empty.no_sessions(self.console.project)

    @on(Transcript.Rule)
    def _make_rule(self, event: Transcript.Rule) -> None:
        """Make a rule from a call, of which the ledger's record is read whole."""
        event.stop()
        if event.call is None:
            self.console.say("no call is under the cursor: unfold calls with enter")
        elif not event.call.row:
            name = one_line(event.call.tool, 80)
            self.console.say(f"no rule is made from {name}: it went past pktui, which has no "
                             "policy for it; adopt its server first")  # fmt: skip
        else:
            number, ledger = event.call.row, self.services.ledger
            self.in_thread(
                lambda: recorded_call(ledger, number), self._rules.make,
                self.console.say_error, group="rule",
            )  # fmt: skip

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done to the session under the cursor."""
        row = self._rows.current if self.is_mounted else None
        if action == "back":
            return self._reading or self._filtering.facets.has_focus or bool(self._box.text)
        if action in {"next_hit", "previous_hit"}:
            return self._listing.answer is not None or self._preview.has_hits
        if action == "keep":
            return bool(self._box.text)
        if action == "drop_filter":
            return bool(self._filtering.chips)
        if action in {"in_place", "out_of_place"}:
            reading = isinstance(self.app.focused, Transcript)
            return reading or (row is not None and bool(row.hits))
        if action == "copy" and row is None:
            return bool(empty.command_in(self._why_empty()))
        session = row.session if row is not None else None
        if action in {"end", "reopen"}:
            wanted = "active" if action == "end" else "ended"
            return session is not None and session.status == wanted
        if action in {"delete", "export", "resume"}:
            return session is not None
        return row is not None or action != "copy"

    def why_not(self, command: str) -> str:
        """Say why what `check_action` does not offer is not there."""
        if command in {"next_hit", "previous_hit", "in_place", "out_of_place"}:
            return "there are no hits; / searches"
        if command == "keep":
            return "there is no search to keep; / searches"
        if command == "drop_filter":
            return "nothing is filtered; F filters"
        if self._rows.current is None:
            return "no session is under the cursor"
        if self.session is None:
            return "that is knowledge, not a session; pktui knowledge changes it"
        return {"end": "it has ended", "reopen": "it has not ended"}.get(command, "")

    @on(SearchBox.Left)
    def _leave_box(self) -> None:
        focus_now(self._rows)

    @on(Rows.Chosen, "#session-rows")
    def _open(self) -> None:
        if self.has_class("-single"):
            self.add_class("-reading")
        focus_now(self._preview.reads)

    @property
    def _reading(self) -> bool:
        """Whether the session or the entry beside the list has the focus."""
        return self.app.focused is self._preview.reads

    def action_search(self) -> None:
        """Type a search: of sessions, or of what is in the one that is read."""
        if isinstance(self.app.focused, Transcript):
            self._preview.find()
            return
        self.remove_class("-reading")
        self._box.type_here()

    def action_back(self) -> None:
        """Go from the transcript to the list, from results to all sessions."""
        if self._reading:
            self.remove_class("-reading")
            focus_now(self._rows)
        elif self._filtering.facets.has_focus:
            focus_now(self._rows)
        elif self._box.text:
            self._box.search_for("")

    # Filters, order

    def action_facets(self) -> None:
        """Go to the facets, to filter by one."""
        self._filtering.open()

    @on(Rows.Chosen, "#session-facet-rows")
    def _facet_chosen(self, event: Rows.Chosen) -> None:
        event.stop()
        self._filtering.take(event.item)

    @on(FacetList.Missing)
    def _say_missing_facet(self, event: FacetList.Missing) -> None:
        event.stop()
        self.console.say(event.why)

    @on(QueryBar.Dropped)
    def _drop(self, event: QueryBar.Dropped) -> None:
        event.stop()
        self._filtering.drop(event.chip)

    def action_drop_filter(self) -> None:
        """Drop the last filter."""
        self._filtering.drop(self._filtering.chips[-1])

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sorting.next()

    @on(Heads.Clicked)
    def _head_clicked(self, event: Heads.Clicked) -> None:
        event.stop()
        self._sorting.click(event.title)

    def action_keep(self) -> None:
        """Ask for the name that this search is kept by."""
        self._kept.keep(self._box.text, self._box.mode)

    def action_kept(self) -> None:
        """List the searches that are kept, to search for one of them again."""
        self._kept.choose()

    def _search_kept(self, search: SavedSearch) -> None:
        self.remove_class("-reading")
        self._box.search_for(search.query, search.mode)
        focus_now(self._rows)

    def action_end(self) -> None:
        """Ask for a summary and end the session."""
        session = self._changeable()
        if session is not None:
            self._changes.end(session)

    def action_reopen(self) -> None:
        """Make the session active again."""
        session = self._changeable()
        if session is not None:
            self._changes.reopen(session)

    def action_delete(self) -> None:
        """Delete the session once the beginning of its title is typed."""
        session = self._changeable()
        if session is not None:
            self._changes.delete(session)

    def action_export(self) -> None:
        """Ask for a file and write the session to it."""
        if self.session is not None:
            self._changes.export(self.session)

    def action_bring_in(self) -> None:
        """Choose an agent whose own sessions are brought in."""
        self.console.ask(Imports(), lambda _: self.read_again())

    def action_resume(self) -> None:
        """Go on with the session in its own agent."""
        if self.session is not None:
            self._changes.resume(self.session)

    def _changeable(self) -> Session | None:
        session = self.session
        return None if session is None or self.console.refuse_read_only() else session

    def action_in_place(self) -> None:
        """Open the hits of the session under the cursor; in the time line, a call's next part."""
        if isinstance(self.app.focused, Transcript):
            self._preview.transcript.action_next_part()
        elif self._listing.source is not None and self._listing.source.open(self._rows.cursor):
            self._rows.changed()
            self._rows.move_to(self._rows.cursor + 1)
        else:
            self.console.say("no hits are folded here; / searches")

    def action_out_of_place(self) -> None:
        """Close the hits of the session under the cursor; in the time line, go a part back."""
        if isinstance(self.app.focused, Transcript):
            self._preview.transcript.action_previous_part()
            return
        source = self._listing.source
        at = source.close(self._rows.cursor) if source is not None else None
        if at is not None:
            self._rows.changed()
            self._rows.move_to(at)

    def action_next_hit(self) -> None:
        """Go to the next hit, in the next session where this one has no more."""
        self._hit_by(1)

    def _hit_by(self, step: int) -> None:
        """Go through the hits of a session, and on to the next session; at the end begin again."""
        if self._preview.next_hit(step):
            return
        rows, last = self._rows, self._rows.source.total - 1
        if self._listing.answer is None or isinstance(self.app.focused, Transcript):
            if self._preview.first_hit(step):
                self.console.say(
                    "the last hit of this session; it begins again with the first"
                    if step > 0
                    else "the first hit of this session; on with the last"
                )
            else:
                self.console.say("no hits here; / searches")
            return
        self._at_last_hit = step < 0
        if 0 <= rows.cursor + step <= last:
            (rows.action_down if step > 0 else rows.action_up)()
        else:
            self.console.say(
                "the last session that was found; it begins again with the first"
                if step > 0
                else "the first session that was found; on with the last"
            )
            (rows.action_first if step > 0 else rows.action_last)()

    def action_previous_hit(self) -> None:
        """Go to the hit before."""
        self._hit_by(-1)

    def action_copy(self) -> None:
        """Copy the message that is marked, else the last in view; of the knowledge the entry."""
        transcript, row = self._preview.transcript, self._rows.current
        if row is not None and row.entry is not None:
            self.console.copy(row.entry.content)
        elif transcript.current is not None:
            self.console.copy(transcript.current.content)
        elif transcript.current_call is not None:
            self.console.copy(part_text(*transcript.current_call))
        elif row is None and (command := empty.command_in(self._why_empty())):
            self.console.copy(command)
        else:
            self.console.say("no message and no call is here to copy")
