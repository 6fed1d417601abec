"""One session beside the list: its title in the border, its messages, and the hits in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich.text import Text
from textual import on, work
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message

from pktui.errors import PktuiError
from pktui.text import one_line
from pktui.tui.theme import ink_of
from pktui.tui.views.sessions.blocks import marks_of
from pktui.tui.views.sessions.draw import project_name, session_title
from pktui.tui.views.sessions.reader import Part, Reader
from pktui.tui.views.sessions.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.timer import Timer

    from pktui.memory.records import Hit, Mode
    from pktui.memory.records import Message as Record
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.services import Services
    from pktui.tui.views.sessions.source import Row

PAUSE_SECONDS = 0.06
"""A session is read when the cursor has rested on it this long."""

Kind = Literal["show", "newest", "older", "newer"]


class Preview(Vertical):
    """Shows the session under the cursor; reads it in a thread."""

    class Failed(Message):
        """The session could not be read."""

        def __init__(self, error: PktuiError) -> None:
            super().__init__()
            self.error = error

    class _Read(Message):
        def __init__(self, turn: int, kind: Kind, part: Part) -> None:
            super().__init__()
            self.turn, self.kind, self.part = turn, kind, part

    class _NotRead(Message):
        def __init__(self, turn: int, kind: Kind, error: PktuiError) -> None:
            super().__init__()
            self.turn, self.kind, self.error = turn, kind, error

    def __init__(self, services: Services, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._services = services
        self._glyphs = glyphs
        self._row: Row | None = None
        self._hit = 0
        self._query: tuple[str, Mode] = ("", "hybrid")
        self._turn = 0
        self._timer: Timer | None = None
        self._reading = False
        self._failed = False

    def compose(self) -> ComposeResult:
        """Lay out the messages."""
        yield Transcript(self._glyphs, id="transcript")

    @property
    def transcript(self) -> Transcript:
        """The messages."""
        return self.query_one(Transcript)

    @property
    def row(self) -> Row | None:
        """What is shown."""
        return self._row

    def show(self, row: Row | None, query: tuple[str, Mode], *, at_last_hit: bool = False) -> None:
        """Show a session; the same one again only brings what is new."""
        before, self._row = self._row, row
        same = row is not None and before is not None and row.session.id == before.session.id
        if same and row is not None and before is not None:
            same = [_id(hit) for hit in row.hits] == [_id(hit) for hit in before.hits]
        if same and query == self._query and not self._failed:
            self._entitle()
            self._read_what_is_new()
            return
        self._query = query
        self._turn += 1
        self._reading = False
        self._failed = False
        self._hit = self._first_hit(at_last_hit)
        self._entitle()
        if self._timer is not None:
            self._timer.stop()
        if row is None:
            self.transcript.clear()
            return
        self._timer = self.set_timer(PAUSE_SECONDS, self._read_now)

    def next_hit(self, step: int) -> bool:
        """Go to another hit of this session; false at the end of them."""
        hits = self._row.hits if self._row else ()
        if not 0 <= self._hit + step < len(hits):
            return False
        self._hit += step
        self._go_to_hit()
        return True

    def _first_hit(self, at_last_hit: bool) -> int:
        row = self._row
        if row is None or not row.hits:
            return 0
        if at_last_hit:
            return len(row.hits) - 1
        return row.hits.index(row.best) if row.best in row.hits else 0

    def _go_to_hit(self) -> None:
        hit = self.hit
        self._entitle()
        if hit is None or hit.message is None or self.transcript.go_to(hit.message.id):
            return
        self._turn += 1
        self._read_now()

    @property
    def hit(self) -> Hit | None:
        """The hit that is marked."""
        hits = self._row.hits if self._row else ()
        return hits[self._hit] if self._hit < len(hits) else None

    # Reading

    def _read_now(self) -> None:
        hit, reader = self.hit, self._reader()
        if reader is None:
            return
        if hit is not None and hit.message is not None:
            seq = hit.message.seq
            self._read(self._turn, "show", lambda: reader.around(seq))
        else:
            self._read(self._turn, "show", reader.newest)

    def _reader(self) -> Reader | None:
        services = self._services
        if self._row is None:
            return None
        return Reader(services.memory, services.ledger, self._row.session)

    def _read_what_is_new(self) -> None:
        row, part = self._row, self.transcript.part
        if row is None or not part.messages or self._reading:
            return
        last = part.messages[-1]
        if last.seq == part.total and row.session.message_count > last.seq:
            self._read_more("newer", last)

    @on(Transcript.Edge)
    def _read_at_edge(self, event: Transcript.Edge) -> None:
        event.stop()
        messages = self.transcript.part.messages
        if messages and not self._reading:
            edge = messages[0 if event.older else -1]
            self._read_more("older" if event.older else "newer", edge)

    @on(Transcript.WantsNewest)
    def _read_newest(self, event: Transcript.WantsNewest) -> None:
        event.stop()
        reader = self._reader()
        if reader is not None:
            self._turn += 1
            self._reading = False
            self._read(self._turn, "newest", reader.newest)

    def _read_more(self, kind: Kind, edge: Record) -> None:
        reader = self._reader()
        if reader is not None:
            self._reading = True
            read = reader.older if kind == "older" else reader.newer
            self._read(self._turn, kind, lambda: read(edge))

    @work(thread=True, group="session-read")
    def _read(self, turn: int, kind: Kind, read: Callable[[], Part]) -> None:
        try:
            part = read()
        except PktuiError as error:
            self.post_message(self._NotRead(turn, kind, error))
            return
        self.post_message(self._Read(turn, kind, part))

    @on(_NotRead)
    def _give_up(self, message: _NotRead) -> None:
        message.stop()
        if message.turn != self._turn:
            return
        self._reading = False
        if message.kind == "show":
            self._failed = True
            self.transcript.clear("This session cannot be read now. It appears when it can.")
        self.post_message(self.Failed(message.error))

    @on(_Read)
    def _take(self, message: _Read) -> None:
        message.stop()
        if message.turn != self._turn:
            return
        transcript = self.transcript
        if message.kind in {"show", "newest"}:
            hit = self.hit if message.kind == "show" else None
            at = hit.message.id if hit and hit.message else 0
            transcript.show(message.part, at=at, marks=marks_of(*self._query))
            if not message.part.messages:
                transcript.clear("No messages yet.")
            return
        self._reading = False
        if message.kind == "older":
            transcript.add_older(message.part)
        else:
            transcript.add_newer(message.part)

    # The border

    def _entitle(self) -> None:
        row = self._row
        if row is None:
            self.border_title = self.border_subtitle = Content("")
            return
        ink = ink_of(self.app)
        session = row.session
        line = f" {self._glyphs.rule} "
        title = Text.assemble(
            (session_title(session), ink.bold),
            (line, ink.line), (one_line(session.agent, 40) or "no agent", ink.info),
            (line, ink.line), (project_name(session.project), ink.dim),
        )  # fmt: skip
        self.border_title = Content.from_rich_text(title)
        if row.hits:
            plural = "" if row.found == 1 else "s"
            held = f", {len(row.hits)} best here" if len(row.hits) < row.found else ""
            where = f"{self._hit + 1} of {row.found:,} hit{plural}{held} · n next"
        else:
            count = session.message_count
            where = f"{count:,} message{'' if count == 1 else 's'}"
        self.border_subtitle = Content.from_rich_text(Text(where, ink.dim))


def _id(hit: Hit) -> int:
    return hit.message.id if hit.message else 0
