"""What is beside the list: a session with its time line and the hits in it, or an entry."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from rich.text import Text
from textual import on
from textual.message import Message

from pktui.text import one_line
from pktui.tui.background import in_thread
from pktui.tui.focus import focus_now
from pktui.tui.theme import ink_of
from pktui.tui.turns import Turns
from pktui.tui.views.sessions.blocks import marks_of
from pktui.tui.views.sessions.draw import project_name, session_title
from pktui.tui.views.sessions.entry import entry_lines
from pktui.tui.views.sessions.prompt import Prompt, place_of_time
from pktui.tui.views.sessions.reader import Part, Reader
from pktui.tui.views.sessions.timeline import MESSAGE, Place, Timeline
from pktui.tui.views.sessions.transcript import Transcript
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.panes import Pane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from textual.app import ComposeResult
    from textual.timer import Timer

    from pktui.errors import PktuiError
    from pktui.memory.records import Entry, Hit, Mode, SearchAnswer
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.services import Services
    from pktui.tui.views.sessions.reader import WholeCall
    from pktui.tui.views.sessions.source import Row

T = TypeVar("T")
# A session is read when the cursor has rested on it this long.
PAUSE_SECONDS = 0.06
# Between two looks at what is new in a session.
NEWS_SECONDS = 0.5
# Hits of one session that are gone through.
MOST_HITS = 1_000


class Preview(Pane):
    """Shows the session under the cursor; reads it in a thread."""

    class Failed(Message):
        """The session could not be read."""

        def __init__(self, error: PktuiError) -> None:
            super().__init__()
            self.error = error

    class Said(Message):
        """Something for the person: why a key did nothing."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, services: Services, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._services = services
        self._glyphs = glyphs
        self._row: Row | None = None
        self._reader: Reader | None = None
        # Whose session was opened and not read to its end.
        self._to_complete: Reader | None = None
        # What the list was searched for, and what is marked: that, or what is looked for here.
        self._given: tuple[str, Mode] = ("", "hybrid")
        self._query: tuple[str, Mode] = ("", "hybrid")
        self._at_last_hit = False
        self._hits_read: Sequence[Hit] = ()
        self._hits: Sequence[Place] = ()
        self._hit = -1
        self._found = 0
        self._turn = 0
        self._timer: Timer | None = None
        self._failed = False
        self._opened = False
        self._news_timer: Timer | None = None
        self._news = Turns(self._read_news)

    def compose(self) -> ComposeResult:
        """Lay out the time line, and what is typed below it."""
        yield Transcript(self._glyphs, id="transcript")
        yield DocumentView(id="session-entry")
        yield Prompt(id="session-prompt")

    @property
    def transcript(self) -> Transcript:
        """The time line."""
        return self.query_one(Transcript)

    @property
    def reads(self) -> Transcript | DocumentView:
        """What is read now: the time line, or the entry."""
        entry = self.query_one(DocumentView)
        return entry if entry.display else self.transcript

    @property
    def row(self) -> Row | None:
        """What is shown."""
        return self._row

    def show(self, row: Row | None, query: tuple[str, Mode], *, at_last_hit: bool = False) -> None:
        """Show a session; the same one again only brings what is new."""
        before, self._row = self._row, row
        same = row is not None and before is not None and row.key == before.key
        self._show_entry(row.entry if row is not None else None)
        if same and query == self._given and not self._failed:
            if row is not None and row.hit is not None and self._opened:
                self._be_at(place_of(row.hit, self.transcript.line))
            self._entitle()
            self.look_for_news()
            return
        self._given = self._query = query
        self._turn += 1
        self._failed = self._opened = False
        self._at_last_hit = at_last_hit
        self._hits_read, self._hits, self._hit = (), (), -1
        self._found = row.found if row else 0
        self._entitle()
        if self._timer is not None:
            self._timer.stop()
        if row is None or row.session is None:
            self._reader = None
            self.transcript.clear()
            return
        self._timer = self.set_timer(PAUSE_SECONDS, self._open)

    def on_mount(self) -> None:
        """Begin with the time line."""
        self._show_entry(None)

    def _show_entry(self, entry: Entry | None) -> None:
        document, focused = self.query_one(DocumentView), self.reads.has_focus
        document.display, self.transcript.display = entry is not None, entry is None
        if entry is not None:
            document.show(f"entry {entry.id}", tuple(entry_lines(entry)))
        if focused:
            focus_now(self.reads)

    # Reading

    def _open(self) -> None:
        row, turn = self._row, self._turn
        if row is None or row.session is None:
            return
        services = self._services
        reader = self._reader = Reader(services.memory, services.ledger, row.session)
        hit = row.best

        def read() -> tuple[Timeline, Part, Place | None]:
            line = reader.opening(whole=hit is not None and hit.call is not None)
            at = place_of(hit, line) if hit else None
            return line, reader.around(at[0] if at else line.total, line.total), at

        self._in_thread(
            turn, read, self._show_opened, self._cannot_open, saying="reading the session"
        )

    def _show_opened(self, opened: tuple[Timeline, Part, Place | None]) -> None:
        line, part, at = opened
        transcript, row = self.transcript, self._row
        self._to_complete = self._reader
        if not line.total and not line.calls:
            transcript.clear("No messages yet.")
            self._complete()
        else:
            transcript.show(line, part, at=at, marks=marks_of(*self._query))
        self._opened = True
        if row is not None and row.hits:
            self._take_hits(row.hits, at)
            self._find(*self._query)
        self._entitle()

    @on(Transcript.Begun)
    def _complete(self) -> None:
        """Read what the opening left out: not before its lines are there, which it would delay."""
        reader, self._to_complete = self._to_complete, None
        if reader is not None and reader is self._reader:
            self._in_thread(self._turn, reader.completed, self._take_news)

    def _cannot_open(self, error: PktuiError) -> None:
        self._failed = True
        self.transcript.clear("This session cannot be read now. It appears when it can.")
        self.post_message(self.Failed(error))

    def look_for_news(self) -> None:
        """Read what came to the session since, at most twice a second."""
        if self._opened and self._news_timer is None:
            self._news_timer = self.set_timer(NEWS_SECONDS, self._look)

    def _look(self) -> None:
        self._news_timer = None
        if self._opened:
            self._news.ask()

    def _read_news(self) -> None:
        reader, turn = self._reader, self._turn
        if reader is None:
            self._news.done()
            return

        def done(line: Timeline) -> None:
            self._news.done()
            if turn == self._turn:
                self._take_news(line)

        def failed(_error: PktuiError) -> None:
            self._news.done()  # the status line tells of it

        in_thread(self, reader.timeline, done, failed, group="session-news")

    def _take_news(self, line: Timeline) -> None:
        transcript = self.transcript
        before = transcript.line
        if line is before:
            return
        if not before.total and not before.calls:
            self._open()
            return
        at_end = transcript.last == before.total
        transcript.update(line)
        self._hits = self._places(line)
        transcript.set_hits(self._hits, self._marks)
        if at_end and line.total > before.total:
            self._read_more(older=False)
        self._entitle()

    @on(Transcript.Edge)
    def _read_at_edge(self, event: Transcript.Edge) -> None:
        event.stop()
        self._read_more(older=event.older)

    def _read_more(self, *, older: bool) -> None:
        reader, transcript = self._reader, self.transcript
        if reader is not None:
            edge = transcript.first if older else transcript.last
            read = reader.older if older else reader.newer
            self._in_thread(self._turn, lambda: read(edge), self._take_more)

    def _take_more(self, part: Part) -> None:
        transcript = self.transcript
        if part.messages and (
            part.last + 1 == transcript.first or part.first == transcript.last + 1
        ):
            transcript.add(part)

    @on(Transcript.Away)
    def _read_away(self, event: Transcript.Away) -> None:
        event.stop()
        reader, line, place = self._reader, self.transcript.line, event.place
        if reader is not None:
            self._in_thread(
                self._turn,
                lambda: reader.around(place[0], line.total),
                lambda part: self.transcript.show(
                    self.transcript.line, part, at=place, marks=self._marks, fresh=False
                ),
            )

    @on(Transcript.Unread)
    def _read_calls(self, event: Transcript.Unread) -> None:
        event.stop()
        reader = self._reader
        if reader is None:
            return

        def read() -> Mapping[int, WholeCall]:
            whole = reader.whole(event.calls)
            if not event.opened:
                return whole
            return {number: reader.with_history(call) for number, call in whole.items()}

        def failed(error: PktuiError) -> None:
            self.transcript.not_read(event.calls)
            self._tell_failure(error)

        self._in_thread(self._turn, read, self.transcript.know, failed)

    def _in_thread(
        self,
        turn: int,
        work: Callable[[], T],
        done: Callable[[T], object],
        failed: Callable[[PktuiError], object] | None = None,
        saying: str = "",
    ) -> None:
        """Run `work` in a thread; what it tells of a session that is no longer shown is dropped."""

        def tell(result: T) -> None:
            if turn == self._turn:
                done(result)

        def fail(error: PktuiError) -> None:
            if turn == self._turn:
                (failed or self._tell_failure)(error)

        in_thread(self, work, tell, fail, group="session-read", saying=saying)

    def _tell_failure(self, error: PktuiError) -> None:
        self.post_message(self.Failed(error))

    # Hits

    @property
    def _marks(self) -> re.Pattern[str] | None:
        return marks_of(*self._query)

    @property
    def has_hits(self) -> bool:
        """Whether there are hits in this session to go through."""
        return bool(self._hits)

    def next_hit(self, step: int) -> bool:
        """Go to another hit of this session; false at the end of them."""
        if not 0 <= self._hit + step < len(self._hits):
            return False
        self._hit += step
        self.transcript.go_to(self._hits[self._hit])
        self._entitle()
        return True

    def _be_at(self, place: Place | None) -> None:
        if place is not None:
            self.transcript.go_to(place)
        if place in self._hits:
            self._hit = self._hits.index(place)

    def first_hit(self, step: int) -> bool:
        """Begin again with the first hit, or backwards with the last; false where there is none."""
        if not self._hits:
            return False
        self._hit = -1 if step > 0 else len(self._hits)
        return self.next_hit(step)

    def _find(self, text: str, mode: Mode) -> None:
        """Look for all hits in this session."""
        row, memory = self._row, self._services.memory
        if row is None or row.session is None:
            return
        query = f"session:{row.session.id} {text}"
        self._in_thread(
            self._turn,
            lambda: memory.search(query, mode, limit=MOST_HITS, wait=False),
            self._take_found,
        )

    def _take_found(self, answer: SearchAnswer) -> None:
        row = self._row
        if row is None:
            return
        own = [hit for hit in answer.hits if hit.session and hit.session.id == row.key]
        self._found = max(answer.total, len(own))
        self._take_hits(own, self._hits[self._hit] if 0 <= self._hit < len(self._hits) else None)
        if self._query[0] and not self._found:
            self.post_message(self.Said(f"“{one_line(self._query[0], 60)}” is not in this session"))
        self._entitle()

    def _places(self, line: Timeline) -> Sequence[Place]:
        """Return where the hits are, in the order of the line."""
        places = {place_of(hit, line) for hit in self._hits_read}
        return sorted(place for place in places if place is not None)

    def _take_hits(self, hits: Sequence[Hit], here: Place | None) -> None:
        """Take hits, and be at one of them."""
        self._hits_read = hits
        self._hits = self._places(self.transcript.line)
        self.transcript.set_hits(self._hits, self._marks)
        if not self._hits:
            self._hit = -1
        elif here in self._hits and not self._at_last_hit:
            self._hit = self._hits.index(here)
        else:
            self._hit = len(self._hits) - 1 if self._at_last_hit else 0
            self.transcript.go_to(self._hits[self._hit])
        self._at_last_hit = False

    # What is typed below

    def find(self) -> None:
        """Type what to look for in this session."""
        self.query_one(Prompt).type_here("find", self._query[0])

    @on(Transcript.Jump)
    def _jump(self, event: Transcript.Jump) -> None:
        event.stop()
        self.query_one(Prompt).type_here("jump", "")

    @on(Prompt.Left)
    def _leave_prompt(self, event: Prompt.Left) -> None:
        event.stop()
        focus_now(self.transcript)

    @on(Prompt.Given)
    def _obey(self, event: Prompt.Given) -> None:
        event.stop()
        if event.kind == "find":
            self._query = (event.text, "exact")
            self._hits_read, self._hits, self._hit, self._found = (), (), -1, 0
            self.transcript.set_hits((), self._marks)
            self._entitle()
            if event.text:
                self._find(event.text, "exact")
            return
        transcript = self.transcript
        try:
            now = datetime.fromtimestamp(self._services.clock() / 1_000_000, UTC)
            slot = place_of_time(event.text, transcript.line, transcript.place, now)
        except ValueError as error:
            self.post_message(self.Said(str(error)))
        else:
            transcript.go_to(transcript.line.place_of(slot))

    # The head

    def _entitle(self) -> None:
        row = self._row
        if row is None:
            self.title = self.note = ""
            return
        ink = ink_of(self.app)
        session = row.session
        if session is None:
            self.title, self.note = Text("knowledge", ink.info), ""
            return
        line = f" {self._glyphs.rule} "
        state = ink.ok if session.status == "active" else ink.faint
        self.title = Text.assemble(
            (session.status, state), (line, ink.line), (session_title(session), ink.bold),
            (line, ink.line), (one_line(session.agent, 40) or "no agent", ink.info),
            (line, ink.line), (project_name(session.project), ink.dim),
        )  # fmt: skip
        dot = f" {self._glyphs.dot} "
        self.note = dot.join(self._where())

    def _where(self) -> Iterator[str]:
        """Say which hit this is, and where in the session."""
        line, place, row = self.transcript.line, self.transcript.place, self._row
        if self._query[0] and self._found:
            plural = "" if self._found == 1 else "s"
            at = f"{self._hit + 1:,} of " if self._hit >= 0 else ""
            yield f"{at}{self._found:,} hit{plural}"
        if not self._opened or place is None or not line.total:
            count = row.session.message_count if row and row.session else 0
            yield f"{count:,} message{'' if count == 1 else 's'}"
            return
        yield f"{place[0]:,} of {line.total:,}"
        yield f"{line.day(place[0]):%a} {line.day(place[0]).day} {line.day(place[0]):%b}"

    @on(Transcript.Moved)
    def _name_place(self, event: Transcript.Moved) -> None:
        event.stop()
        self._entitle()

    @on(Transcript.Nothing)
    def _say_nothing(self, event: Transcript.Nothing) -> None:
        event.stop()
        self.post_message(self.Said(event.why))


def place_of(hit: Hit, line: Timeline) -> Place | None:
    """Return where a hit is in the line of its session, `None` where it came after it was read."""
    if hit.message is not None:
        return (hit.message.seq, MESSAGE) if hit.message.seq <= line.total else None
    return line.place_of_kept(hit.call.seq) if hit.call is not None else None
