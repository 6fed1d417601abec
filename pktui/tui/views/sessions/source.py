"""The rows of the list: sessions read page by page, or the sessions a search found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pktui.memory.records import Hit, Page, SearchAnswer, Session

PAGE = 100
"""Sessions read at a time."""


@dataclass(frozen=True, slots=True)
class Row:
    """A session, and what a search found in it: its hits in the order of the transcript."""

    session: Session
    hits: tuple[Hit, ...] = ()
    best: Hit | None = None


class SessionSource:
    """All sessions, the latest activity first; `load` is called with the cursor of a page."""

    def __init__(self, first: Page[Session], load: Callable[[str], object]) -> None:
        self._rows: list[Row] = [Row(session) for session in first.items]
        self._total = first.total
        self._cursor = first.cursor
        self._load = load
        self._loading = False
        self._last_wanted = 0

    @property
    def total(self) -> int:
        """The number of sessions, loaded or not."""
        return max(self._total, len(self._rows))

    def at(self, index: int) -> Row | None:
        """Return a row, `None` while it is not loaded."""
        return self._rows[index] if 0 <= index < len(self._rows) else None

    def want(self, first: int, last: int) -> None:
        """Load the next page where the window reaches beyond what is there."""
        self._last_wanted = last
        if last >= len(self._rows) and self._cursor and not self._loading:
            self._loading = True
            self._load(self._cursor)

    def add(self, page: Page[Session]) -> None:
        """Take the next page, and go on where the window is still further on."""
        known = {row.session.id for row in self._rows}
        self._rows += [Row(session) for session in page.items if session.id not in known]
        self._cursor = page.cursor
        self._total = page.total if page.cursor else len(self._rows)
        self._loading = False
        self.want(0, self._last_wanted)

    def failed(self) -> None:
        """The page could not be read; the next want asks again."""
        self._loading = False

    @property
    def loaded(self) -> int:
        """The number of rows that are loaded."""
        return len(self._rows)


def rows_of(answer: SearchAnswer) -> Sequence[Row]:
    """Gather hits by session: the session with the best hit first, hits in their order."""
    found: dict[int, list[Hit]] = {}
    for hit in answer.hits:
        if hit.session is not None and hit.message is not None:
            found.setdefault(hit.session.id, []).append(hit)
    return [
        Row(
            _session(hits[0]),
            tuple(sorted(hits, key=lambda hit: hit.message.seq if hit.message else 0)),
            hits[0],
        )
        for hits in found.values()
    ]


def _session(hit: Hit) -> Session:
    assert hit.session is not None
    return hit.session
