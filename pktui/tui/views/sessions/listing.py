"""What the list asks the memory for: sessions or a search, page by page, and their facets.

Each question has a number: answers to older ones are dropped, and what was answered stays until the
new answer comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pktui.errors import PktuiError
from pktui.memory.records import MODES, QUERY_KEYS, SESSION_KEYS, Page
from pktui.query import parse_query
from pktui.tui.turns import Turns
from pktui.tui.views.sessions.source import PAGE, Row, SessionSource, found_rows

if TYPE_CHECKING:
    from pktui.memory.records import Facets, GroupedAnswer, Mode, Session, SessionSort
    from pktui.tui.views.base import View

# How long the console waits for the model before it asks for the same by meaning.
MEANING_SECONDS = 1.0
# Sessions of a search that are read at a time, and the best hits of each.
FOUND = 50
HITS = 20
# Rows read again at once when sessions change; rows below are read when they are reached.
MOST_KEPT = 500
# What one search may ask for.
MOST_FOUND = 200


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `linked` is a session that stands first whatever is, 0 for none."""

    text: str = ""
    mode: Mode = "hybrid"
    project: str | None = None
    sort: SessionSort | None = None
    linked: int = 0

    @property
    def searches(self) -> bool:
        """Whether it looks into sessions: filters of sessions alone only choose among them."""
        query = parse_query(self.text, QUERY_KEYS)
        return bool(query.terms) or any(one.key not in SESSION_KEYS for one in query.filters)


class Shows(Protocol):
    """Who shows the answers."""

    def answered(self, source: SessionSource) -> None:
        """Show these rows; their number and kind is in the listing."""

    def grown(self) -> None:
        """Show that more rows are there."""

    def told(self) -> None:
        """Show what is known now of why there are no rows, or others than were asked for."""

    def missing(self, error: PktuiError) -> None:
        """Say that the session that was to stand first is not there."""


class Listing:
    """The answer to the present question: `answer` where it was a search, `error` where none."""

    def __init__(self, view: View, question: Callable[[], Question], shows: Shows) -> None:
        self._view, self._question, self._shows = view, question, shows
        self._memory = view.services.memory
        self._turns = Turns(self._start)
        self.turn = 0
        self.source: SessionSource | None = None
        self.answer: GroupedAnswer | None = None
        self.total = 0
        self.error: PktuiError | None = None
        self.near: Mapping[Mode, int] = {}

    def ask(self) -> None:
        """Ask another question."""
        self.turn += 1
        self._turns.ask()

    def again(self) -> None:
        """Ask the same again, once whatever is being read is there."""
        self._turns.ask()

    def count(
        self,
        edges_us: Sequence[int],
        done: Callable[[Facets], object],
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        """Read the facets of what is asked; `ended` is called whatever became of it."""
        asked, turn, memory = self._question(), self.turn, self._memory

        def read() -> Facets:
            return memory.facets(
                asked.text, asked.mode if asked.searches else "", project=asked.project,
                edges_us=edges_us, wait=False,
            )  # fmt: skip

        def take(facets: Facets) -> None:
            if turn == self.turn:
                done(facets)
            ended()

        # Where it fails, the list itself says why.
        self._view.in_thread(read, take, lambda _: ended(), group="sessions-facets")

    def _start(self) -> None:
        asked, turn = self._question(), self.turn
        loaded = self.source.loaded if self.source is not None else 0
        if asked.searches:
            shown = loaded if self.answer is not None else 0
            limit = min(max(FOUND, shown), MOST_FOUND)
            self._search(turn, asked, limit, partial(self._take_found, turn, asked))
        else:
            limit = min(max(PAGE, loaded), MOST_KEPT)
            self._list(turn, asked, limit, partial(self._take_listed, turn, asked))

    def _read(
        self, turn: int, work: Callable[[], object], done: Callable[..., object], first: bool
    ) -> None:
        def failed(error: PktuiError) -> None:
            if turn == self.turn:
                self.error = error
                if self.source is not None:
                    self.source.failed()
                self._shows.told()
            if first:
                self._turns.done()

        saying = "searching" if self._question().searches else "reading the sessions"
        self._view.in_thread(work, done, failed, group="sessions-read", saying=saying)

    # Sessions

    def _list(
        self,
        turn: int,
        asked: Question,
        limit: int,
        done: Callable[[tuple[Page[Session], PktuiError | None]], object],
        cursor: str | None = None,
    ) -> None:
        memory = self._memory

        def read() -> tuple[Page[Session], PktuiError | None]:
            page = memory.sessions(
                asked.text, cursor=cursor, project=asked.project, limit=limit, sort=asked.sort
            )
            if not asked.linked or cursor is not None:
                return page, None
            try:
                first = memory.session(asked.linked)
            except PktuiError as error:
                return page, error
            others = (one for one in page.items if one.id != asked.linked)
            return Page((first, *others), page.total, page.cursor), None

        self._read(turn, read, done, first=cursor is None)

    def _take_listed(
        self, turn: int, asked: Question, read: tuple[Page[Session], PktuiError | None]
    ) -> None:
        page, missing = read
        if turn == self.turn:
            self.error = self.answer = None
            self.total = page.total

            def load(cursor: str) -> None:
                self._list(turn, asked, PAGE, partial(self._take_more_listed, turn), cursor)

            rows = [Row(one) for one in page.items]
            self.source = SessionSource(rows, page.total, page.cursor, load)
            self._shows.answered(self.source)
            if missing is not None:
                self._shows.missing(missing)
        self._turns.done()

    def _take_more_listed(self, turn: int, read: tuple[Page[Session], PktuiError | None]) -> None:
        page = read[0]
        self._grow(turn, [Row(one) for one in page.items], page.total, page.cursor)

    def _grow(self, turn: int, rows: Sequence[Row], total: int, cursor: str) -> None:
        if turn == self.turn and self.source is not None:
            self.source.add(rows, total, cursor)
            self._shows.grown()

    # A search

    def _search(
        self,
        turn: int,
        asked: Question,
        limit: int,
        done: Callable[[GroupedAnswer], object],
        cursor: str = "",
    ) -> None:
        memory = self._memory

        def read() -> GroupedAnswer:
            return memory.search_sessions(
                asked.text, asked.mode, limit=limit, hits=HITS, cursor=cursor,
                project=asked.project, wait=False, bands=True, sort=asked.sort,
            )  # fmt: skip

        self._read(turn, read, done, first=not cursor)

    def _take_found(self, turn: int, asked: Question, answer: GroupedAnswer) -> None:
        if turn == self.turn:
            self.error, self.answer, self.near = None, answer, {}

            def load(cursor: str) -> None:
                self._search(turn, asked, FOUND, partial(self._take_more_found, turn), cursor)

            total = answer.total + answer.total_entries
            self.source = SessionSource(found_rows(answer), total, answer.cursor, load)
            self._shows.answered(self.source)
            if answer.awaits_meaning:
                self._view.set_timer(MEANING_SECONDS, partial(self._again_if, turn))
            elif not total:
                self._look_near(turn, asked)
        self._turns.done()

    def _take_more_found(self, turn: int, answer: GroupedAnswer) -> None:
        total = answer.total + answer.total_entries
        self._grow(turn, found_rows(answer), total, answer.cursor)

    def _again_if(self, turn: int) -> None:
        """Ask the same again, as the model may be there by now."""
        if turn == self.turn:
            self._turns.ask()

    def _look_near(self, turn: int, asked: Question) -> None:
        """Count what the other ways of searching find where this one finds nothing."""
        memory = self._memory

        def read() -> Mapping[Mode, int]:
            found: dict[Mode, int] = {}
            for other in MODES:
                if other == asked.mode:
                    continue
                with suppress(PktuiError):  # what one way cannot read, another may
                    answer = memory.search_sessions(
                        asked.text, other, limit=1, hits=1, project=asked.project, wait=False,
                        bands=True,
                    )  # fmt: skip
                    total = answer.total + answer.total_entries
                    if total and answer.mode == other:
                        found[other] = total
            return found

        def take(found: Mapping[Mode, int]) -> None:
            if turn == self.turn and self.answer is not None:
                self.near = found
                self._shows.told()

        self._view.in_thread(read, take, lambda _: None, group="sessions-near")
