"""The rows of the list: sessions read page by page, or what a search found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pktui.memory.records import EntryHits

if TYPE_CHECKING:
    from pktui.memory.records import Band, Entry, GroupedAnswer, Hit, Session, SessionHits

# Sessions read at a time.
PAGE = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A session, and what a search found in it: its hits in the order of the transcript.

    Or an entry of the knowledge, without a session.
    """

    session: Session | None
    entry: Entry | None = None
    hits: tuple[Hit, ...] = ()
    best: Hit | None = None
    found: int = 0
    """How many hits the session has, whether they are among these or not."""
    band: Band | None = None
    hit: Hit | None = None
    """The row of one hit, opened in place below its session's; `number` counts from 1."""
    number: int = 0

    @property
    def key(self) -> int:
        """What tells it from other sessions and entries; hits bear that of their session."""
        if self.session is not None:
            return self.session.id
        return -self.entry.id if self.entry is not None else 0


class SessionSource:
    """Sessions in the store's order; `load` is called with the cursor of the page that is next."""

    def __init__(
        self, rows: Sequence[Row], total: int, cursor: str | None, load: Callable[[str], object]
    ) -> None:
        self._rows = list(rows)
        self._total = total
        self._cursor = cursor
        self._load = load
        self._loading = False
        self._last_wanted = 0
        self._opened = 0

    @property
    def total(self) -> int:
        """The number of sessions, loaded or not."""
        return max(self._total + self._opened, len(self._rows))

    def at(self, index: int) -> Row | None:
        """Return a row, `None` while it is not loaded."""
        return self._rows[index] if 0 <= index < len(self._rows) else None

    def want(self, first: int, last: int) -> None:
        """Load the next page where the window reaches beyond what is there."""
        self._last_wanted = last
        if last >= len(self._rows) and self._cursor and not self._loading:
            self._loading = True
            self._load(self._cursor)

    def add(self, rows: Sequence[Row], total: int, cursor: str | None) -> None:
        """Take the next page, and go on where the window is still further on."""
        known = {row.key for row in self._rows}
        self._rows += [row for row in rows if row.key not in known]
        self._cursor = cursor
        self._total = total if cursor else self.loaded
        self._loading = False
        self.want(0, self._last_wanted)

    def failed(self) -> None:
        """The page could not be read; the next want asks again."""
        self._loading = False

    @property
    def loaded(self) -> int:
        """The number of sessions that are loaded."""
        return len(self._rows) - self._opened

    def open(self, index: int) -> bool:
        """Put the hits of a session below it; false where it has none, or they are there."""
        row = self.at(index)
        below = self.at(index + 1)
        if row is None or row.hit is not None or not row.hits or (below and below.hit):
            return False
        hits = [
            replace(row, best=hit, hit=hit, number=number) for number, hit in enumerate(row.hits, 1)
        ]
        self._rows[index + 1 : index + 1] = hits
        self._opened += len(hits)
        return True

    def close(self, index: int) -> int | None:
        """Take the hits of a row's session away; returns its row, None where none were there."""
        while (row := self.at(index)) is not None and row.hit is not None:
            index -= 1
        last = index + 1
        while (row := self.at(last)) is not None and row.hit is not None:
            last += 1
        del self._rows[index + 1 : last]
        self._opened -= last - index - 1
        return index if last > index + 1 else None


def found_rows(answer: GroupedAnswer) -> Sequence[Row]:
    """Return what was found, best first, the hits of a session in the transcript's order."""
    return [_found_row(one, banded=bool(answer.bands)) for one in answer.in_order()]


def _found_row(found: SessionHits | EntryHits, *, banded: bool) -> Row:
    band = found.band if banded else None
    if isinstance(found, EntryHits):
        return Row(None, found.entry, best=found.hit, band=band)
    said = [hit for hit in found.hits if hit.message]
    return Row(
        found.session,
        hits=tuple(sorted(said, key=_place)),
        best=next(iter(said or found.hits), None),
        found=found.total,
        band=band,
    )


def _place(hit: Hit) -> int:
    return hit.message.seq if hit.message else 0
