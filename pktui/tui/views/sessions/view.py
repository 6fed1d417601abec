"""The Sessions view: find a session, read it, end it.

Workers read and post messages; the handlers here own what is shown. `turn` numbers the question
that is being answered: answers to older ones are dropped, and what is on screen stays until the
new answer comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import events, on, work
from textual.message import Message
from textual.widgets import Static

from pktui.errors import MemoryUnavailable, PktuiError
from pktui.memory.records import MODES, Page
from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.focus import focus_now
from pktui.tui.screens.imports import Imports
from pktui.tui.screens.saved_searches import SavedSearches
from pktui.tui.theme import ink_of
from pktui.tui.turns import Turns
from pktui.tui.views.base import View
from pktui.tui.views.policies.rule import recorded_call
from pktui.tui.views.policies.sentence import Rules
from pktui.tui.views.sessions import empty, saved
from pktui.tui.views.sessions.call_blocks import part_text
from pktui.tui.views.sessions.controller import SessionChanges
from pktui.tui.views.sessions.draw import band_line, draw_hit, last_us, session_grid
from pktui.tui.views.sessions.preview import Preview
from pktui.tui.views.sessions.query_bar import QueryBar, unanswered_chips
from pktui.tui.views.sessions.questions import ask_name
from pktui.tui.views.sessions.search_box import SearchBox
from pktui.tui.views.sessions.source import PAGE, Row, SessionSource, found_rows
from pktui.tui.views.sessions.transcript import Transcript
from pktui.tui.widgets.heads import Heads
from pktui.tui.widgets.panes import Divider, Pane, Panes
from pktui.tui.widgets.rows import ListSource, Rows, days

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.memory.records import GroupedAnswer, Mode, Session
    from pktui.tui.services import Services

# How long the console waits for the model before it asks for the same by meaning.
MEANING_SECONDS = 1.0
# Sessions of a search that are read at a time, and the best hits of each.
FOUND = 50
HITS = 20
# Rows read again at once when sessions change; rows below are read when they are reached.
MOST_KEPT = 500
# What one search may ask for.
MOST_FOUND = 200
# How often the ages in the list are drawn anew.
AGE_SECONDS = 10.0
WIDE = 100
STACKED = (80, 30)


class _Listed(Message):
    def __init__(
        self,
        turn: int,
        page: Page[Session],
        *,
        first: bool,
        missing: PktuiError | None = None,
    ) -> None:
        super().__init__()
        self.turn, self.page, self.first, self.missing = turn, page, first, missing


class _Found(Message):
    def __init__(self, turn: int, answer: GroupedAnswer, *, first: bool) -> None:
        super().__init__()
        self.turn, self.answer, self.first = turn, answer, first


class _Near(Message):
    def __init__(self, turn: int, found: Mapping[Mode, int]) -> None:
        super().__init__()
        self.turn, self.found = turn, found


class _Failed(Message):
    def __init__(self, turn: int, error: PktuiError) -> None:
        super().__init__()
        self.turn, self.error = turn, error


class SessionsView(View):
    """List and transcript, side by side, below each other, or one at a time."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("sessions")

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self._changes = SessionChanges(self, self.read_again)
        self._rules = Rules(self)
        self._turn = 0
        self._source: SessionSource | None = None
        self._answer: GroupedAnswer | None = None
        self._known_total = 0
        self._reload = Turns(self._start_reading)
        self._error: PktuiError | None = None
        self._near: Mapping[Mode, int] = {}
        self._at_last_hit = False
        self._shown_turn = -1
        # The session that a link names stands first; 0: none does.
        self._linked = 0
        self._just_linked = False

    # Layout

    def compose(self) -> ComposeResult:
        """Lay out the list with its search box, and the preview."""
        with Panes():
            with Pane("sessions", id="session-list"):
                yield SearchBox(id="session-search")
                yield QueryBar(id="session-unanswered")
                yield Static(id="session-bands")
                yield Heads(lambda: self._rows, self.console.glyphs)
                yield Rows[Row](ListSource(), glyphs=self.console.glyphs)
            yield Divider()
            yield Preview(self.services, self.console.glyphs, id="session-preview")

    def on_mount(self) -> None:
        """Ask for the sessions."""
        self._show_state()
        self._reload.ask()
        if self.services.background:
            self.set_interval(AGE_SECONDS, self._rows.refresh)

    def on_resize(self, event: events.Resize) -> None:
        """Choose the layout that the size allows."""
        wide = event.size.width >= WIDE
        stacked = not wide and event.size.width >= STACKED[0] and self.app.size.height >= STACKED[1]
        self.set_class(wide, "-wide")
        self.set_class(stacked, "-stacked")
        self.set_class(not (wide or stacked), "-single")
        if not self.has_class("-single"):
            self.remove_class("-reading")

    @property
    def session(self) -> Session | None:
        """The session under the cursor."""
        row = self._rows.current
        return row.session if row else None

    def read_again(self) -> None:
        """Read the list again, once whatever is being read is there."""
        self._reload.ask()

    @property
    def _rows(self) -> Rows[Row]:
        return self.query_one(Rows)

    @property
    def _box(self) -> SearchBox:
        return self.query_one(SearchBox)

    @property
    def _preview(self) -> Preview:
        return self.query_one(Preview)

    # What the app calls

    def focus_default(self) -> None:
        """Focus the list, or the transcript where that is all there is to see."""
        reading = self.has_class("-reading")
        focus_now(self._preview.reads if reading else self._rows)

    def go_to(self, *names: str) -> None:
        """Open a session by its number; it stands first until something else is asked for."""
        if names[0].isdecimal():
            self._turn += 1
            self._linked, self._just_linked = int(names[0]), True
            self._reload.ask()

    def search(self, text: str) -> None:
        """Search for this text."""
        self._box.search_for(text)

    def shown(self) -> None:
        """Read again what may have changed."""
        self._reload.ask()

    def memory_moved(self) -> None:
        """Read again, or say that the memory is away."""
        self._show_state()
        found = self._answer is not None and self._error is None
        if self.console.memory.state == "ok" and not found:
            self._reload.ask()

    def scope_changed(self) -> None:
        """Ask again in the new scope."""
        self._turn += 1
        self._reload.ask()

    # Reading

    @on(SearchBox.Asked)
    def _search_anew(self, _event: SearchBox.Asked) -> None:
        self._turn += 1
        self._linked = 0
        self._reload.ask()
        self._show_state()

    def _start_reading(self) -> None:
        text, mode, project = self._box.text, self._box.mode, self.console.project
        if text:
            shown = self._source.loaded if self._source and self._answer else 0
            self._search(self._turn, text, mode, project, "", min(max(FOUND, shown), MOST_FOUND))
        else:
            loaded = self._source.loaded if self._source else 0
            limit = min(max(PAGE, loaded), MOST_KEPT)
            self._list(self._turn, None, project, limit, self._linked)

    @work(thread=True, group="sessions-read")
    def _search(
        self, turn: int, text: str, mode: Mode, project: str | None, cursor: str, limit: int
    ) -> None:
        try:
            answer = self.services.memory.search_sessions(
                text, mode, limit=limit, hits=HITS, cursor=cursor, project=project, wait=False,
                bands=True,
            )  # fmt: skip
        except PktuiError as error:
            self.post_message(_Failed(turn, error))
            return
        self.post_message(_Found(turn, answer, first=not cursor))

    @work(thread=True, group="sessions-read")
    def _list(
        self, turn: int, cursor: str | None, project: str | None, limit: int, linked: int = 0
    ) -> None:
        try:
            page = self.services.memory.sessions(cursor=cursor, project=project, limit=limit)
        except PktuiError as error:
            self.post_message(_Failed(turn, error))
            return
        missing: PktuiError | None = None
        if linked and cursor is None:
            try:
                first = self.services.memory.session(linked)
            except PktuiError as error:
                missing = error
            else:
                others = (one for one in page.items if one.id != linked)
                page = Page((first, *others), page.total, page.cursor)
        self.post_message(_Listed(turn, page, first=cursor is None, missing=missing))

    @on(_Listed)
    def _show_sessions(self, message: _Listed) -> None:
        if not message.first:
            if message.turn == self._turn and self._source is not None:
                page = message.page
                self._source.add([Row(one) for one in page.items], page.total, page.cursor)
                self._rows.changed()
            return
        if message.turn == self._turn:
            self._error = self._answer = None
            self._source = self._new_source(message.page)
            self._known_total = message.page.total
            self._put(self._source, two_lines=False)
            if message.missing is not None:
                self._linked = 0
                self.console.say_error(message.missing)
            elif self._linked and self.has_class("-single") and self._just_linked:
                self.add_class("-reading")
            self._just_linked = False
        self._reload.done()

    @on(_Found)
    def _show_hits(self, message: _Found) -> None:
        answer, rows = message.answer, found_rows(message.answer)
        if not message.first:
            if message.turn == self._turn and self._source is not None:
                self._source.add(rows, answer.total, answer.cursor)
                self._rows.changed()
            return
        if message.turn == self._turn:
            self._error, self._answer, self._near = None, answer, {}
            self._box.offer(None)
            turn, text, mode = self._turn, self._box.text, self._box.mode
            project = self.console.project
            self._source = SessionSource(
                rows, answer.total, answer.cursor,
                lambda cursor: self._search(turn, text, mode, project, cursor, FOUND),
            )  # fmt: skip
            self._put(self._source, two_lines=True)
            if message.answer.awaits_meaning:
                self.set_timer(MEANING_SECONDS, lambda: self._search_again(message.turn))
            elif not answer.total:
                self._look_near(turn, text, mode, project)
        self._reload.done()

    @work(thread=True, group="sessions-near")
    def _look_near(self, turn: int, text: str, mode: Mode, project: str | None) -> None:
        """Count what the other ways of searching find where this one finds nothing."""
        found: dict[Mode, int] = {}
        for other in MODES:
            if other == mode:
                continue
            with suppress(PktuiError):  # what one way cannot read, another may
                answer = self.services.memory.search_sessions(
                    text, other, limit=1, hits=1, project=project, wait=False, bands=True
                )
                if answer.total and answer.mode == other:
                    found[other] = answer.total
        self.post_message(_Near(turn, found))

    @on(_Near)
    def _offer_near(self, message: _Near) -> None:
        if message.turn == self._turn and self._answer is not None:
            self._near = message.found
            best = max(message.found, key=lambda mode: message.found[mode], default=None)
            self._box.offer(best)
            self._show_state()

    def _search_again(self, turn: int) -> None:
        """Ask the same again, as the model may be there by now."""
        if turn == self._turn:
            self._reload.ask()

    @on(_Failed)
    def _show_failure(self, message: _Failed) -> None:
        if message.turn == self._turn:
            self._error = message.error
            if self._source is not None:
                self._source.failed()
            self._show_state()
        self._reload.done()

    def _new_source(self, page: Page[Session]) -> SessionSource:
        turn, project = self._turn, self.console.project
        rows = [Row(session) for session in page.items]
        return SessionSource(
            rows, page.total, page.cursor, lambda cursor: self._list(turn, cursor, project, PAGE)
        )

    def _put(self, source: SessionSource | ListSource[Row], *, two_lines: bool) -> None:
        """Show rows; the cursor stays on its session where the same question was asked."""
        rows = self._rows
        current = rows.current
        again = self._shown_turn == self._turn
        cursor = 0
        if current is not None and again:
            rows_at = ((i, source.at(i)) for i in range(source.total))
            same = (i for i, row in rows_at if row is not None and row.key == current.key)
            cursor = next(same, min(rows.cursor, max(0, source.total - 1)))
        self._shown_turn = self._turn
        rows.groups = None if two_lines else days(last_us, self.services.clock)
        if not again or rows.grid is None:
            rows.grid = session_grid(self.services.clock, self.console.glyphs, found=two_lines)
        rows.show(
            source,
            cursor=cursor,
            draw=draw_hit(rows.grid) if two_lines else None,
            row_height=2 if two_lines else 1,
            reveal=not again or cursor != rows.cursor,
        )
        self._show_state()

    # Showing

    @on(Rows.Moved)
    def _show_session(self, event: Rows.Moved) -> None:
        query = (self._box.text if self._answer else "", self._box.mode)
        self._preview.show(event.rows.current, query, at_last_hit=self._at_last_hit)
        self._at_last_hit = False
        self._show_bands()
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
        note = self._answer.note if self._answer else ""
        if note and self._answer and self._answer.mode != self._answer.asked_mode:
            self._box.note(one_line(note, 120))
        else:
            self._box.note("")
        self._rows.say_empty(self._why_empty())
        self._show_bands()
        self._say_unanswered()

    def _show_bands(self) -> None:
        """Name the bands of a search with their counts."""
        line, answer = self.query_one("#session-bands", Static), self._answer
        line.display = answer is not None and bool(answer.bands) and not self._unanswered
        if answer is not None and answer.bands:
            row, ink = self._rows.current, ink_of(self.app)
            here = row.band if row is not None else None
            line.update(band_line(answer.bands, here, ink, self.console.glyphs.dot))

    @property
    def _unanswered(self) -> bool:
        """Whether the list is not what the box asks for: the search failed."""
        return self._error is not None and bool(self._box.text)

    def _say_unanswered(self) -> None:
        """Never let the old list stand as if it were the answer."""
        bar, unanswered = self.query_one(QueryBar), self._unanswered
        bar.display = unanswered
        self._rows.set_class(unanswered, "-not-filtered")
        if unanswered and self._error is not None:
            bar.chips = unanswered_chips(self._box.text, self._error)

    def _counted(self) -> str:
        """Return count and scope, and more where the border has room for it."""
        dot = f" {self.console.glyphs.dot} "
        scope = self.console.scope_name
        if self._unanswered:
            return dot.join(("not filtered", scope))
        if self._answer is None:
            plural = "" if self._known_total == 1 else "s"
            return f"{self._known_total:,} session{plural}{dot}{scope}"
        status = self.console.memory.status
        total = f"{status.sessions:,}" if status else "?"
        room = self.query_one("#session-list").size.width - 4
        found = f"{self._answer.total:,} of {total} sessions"
        hits = f"{self._answer.total_hits:,} {'hit' if self._answer.total_hits == 1 else 'hits'}"
        if known := self._answer.total_entries:
            found = dot.join((found, f"{known:,} {'entry' if known == 1 else 'entries'}"))
        tries = (dot.join((self._answer.mode, found, hits, scope)), dot.join((found, hits)))
        return next((text for text in tries if cell_len(text) <= room), hits)

    def _why_empty(self) -> Sequence[tuple[str, str]]:
        memory = self.console.memory
        if memory.state != "ok" or isinstance(self._error, MemoryUnavailable):
            return empty.no_memory(memory, self._error)
        if self._error is not None:
            return empty.failed(self._error)
        if self._answer is not None:
            if self._answer.awaits_meaning:
                return empty.not_yet(self._box.text)
            return empty.no_hits(self._box.text, self._box.mode, self.console.project, self._near)
        if self._source is None:
            return empty.READING
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
            return self._reading or bool(self._box.text)
        if action in {"next_hit", "previous_hit"}:
            return self._answer is not None or self._preview.has_hits
        if action == "keep":
            return bool(self._box.text)
        if action in {"in_place", "out_of_place"}:
            reading = isinstance(self.app.focused, Transcript)
            return reading or (row is not None and bool(row.hits))
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
        if self._rows.current is None:
            return "no session is under the cursor"
        if self.session is None:
            return "that is knowledge, not a session; pktui knowledge changes it"
        return {"end": "it has ended", "reopen": "it has not ended"}.get(command, "")

    @on(SearchBox.Left)
    def _leave_box(self) -> None:
        focus_now(self._rows)

    @on(Rows.Chosen)
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
        elif self._box.text:
            self._box.search_for("")

    def action_keep(self) -> None:
        """Ask for the name that this search is kept by."""
        text, mode = self._box.text, self._box.mode
        file = self._kept_file
        ask_name(
            self.app,
            text,
            lambda name: self.in_thread(
                lambda: saved.keep(file, saved.SavedSearch(name, text, mode)),
                lambda _: self.console.say(f"kept as “{one_line(name, 60)}” · ' lists them"),
                self.console.say_error,
                group="sessions-kept",
            ),
        )

    def action_kept(self) -> None:
        """List the searches that are kept, to search for one of them again."""
        file = self._kept_file

        def drop(search: saved.SavedSearch) -> None:
            self.in_thread(
                lambda: saved.drop(file, search.name),
                lambda _: None,
                self.console.say_error,
                group="sessions-kept",
            )

        def chosen(search: saved.SavedSearch | None) -> None:
            if search is not None:
                self.remove_class("-reading")
                self._box.search_for(search.query, search.mode)
                focus_now(self._rows)

        def show(searches: tuple[saved.SavedSearch, ...]) -> None:
            self.console.ask(SavedSearches(searches, drop), chosen)

        self.in_thread(
            lambda: saved.load(file), show, self.console.say_error, group="sessions-kept"
        )

    @property
    def _kept_file(self) -> Path:
        return self.services.paths.config_dir / "searches.json"

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
        elif self._source is not None and self._source.open(self._rows.cursor):
            self._rows.changed()
            self._rows.move_to(self._rows.cursor + 1)
        else:
            self.console.say("no hits are folded here; / searches")

    def action_out_of_place(self) -> None:
        """Close the hits of the session under the cursor; in the time line, go a part back."""
        if isinstance(self.app.focused, Transcript):
            self._preview.transcript.action_previous_part()
            return
        at = self._source.close(self._rows.cursor) if self._source is not None else None
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
        if self._answer is None or isinstance(self.app.focused, Transcript):
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
        else:
            self.console.say("no message and no call is here to copy")
