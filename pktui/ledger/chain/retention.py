"""Pruning the journal by age and size, a segment at a time, so that it stays verifiable.

A prune is announced by an event of its own that names the segments to go, and with it how each row
stands that still decides and names an event there. Then they go, oldest first, each checked before:
a segment that was tampered with is not pruned, so that the evidence stays. A joint says that it is
gone. What was refused or asked for, and what tools answered, have segments and bounds of their own,
and so has the word of what went of them, so that they never make what happened go. Counters, pins,
grants and open approvals are not touched; approvals that were answered go with the rows of their
time. Of a team nothing goes that its ledger lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pktui.errors import LedgerError
from pktui.ledger.integrity.vouched_columns import Kept, kept_rows
from pktui.ledger.integrity.vouching import said_by
from pktui.ledger.journal.joints import SHARED
from pktui.ledger.journal.segment import Tail, file_of, follows, lines_of, number_of, tail_of
from pktui.times import boot_ns

if TYPE_CHECKING:
    from pktui.ledger.database import Database
    from pktui.ledger.events import Events
    from pktui.ledger.integrity.vouching import Vouchers
    from pktui.ledger.journal.joints import Segment, Shelf
    from pktui.ledger.journal.journal import Journal
    from pktui.settings import AuditSettings

_DAY_US: Final = 86_400_000_000
_MEGABYTE: Final = 1_000_000
_HOUR_US: Final = 3_600_000_000
# A record that nobody wrote to for longer is looked at twice before rows go for their age.
_LEAP_US: Final = 7 * _DAY_US
# For so long the clock has to go on from where it leapt to.
_WITNESSED_US: Final = _DAY_US
# Both are at most this part of the time that rows are kept.
_BELIEF: Final = 4
_NOTED_US: Final = 60_000_000
_TRUSTED: Final = "SELECT trusted_us, witnessed_us FROM clock"
_TRUST: Final = "UPDATE clock SET trusted_us = ?, witnessed_us = ?"
# Rows are this much too old before they go, so that few prunes go on record.
_SLACK_US: Final = _HOUR_US
# What a journal that is too large is cut down to, of its limit.
_SHRINK_TO: Final = 0.9
# What was refused and asked for may take this part of the record's size, and results that one.
_BESIDE: Final = 4
_RESULTS: Final = 2
# Approvals that go at once.
_PIECE: Final = 200
_COMPACT_PAGES: Final = 4096
_COMPACT_SHARE: Final = 0.25
_ANNOUNCED: Final = """SELECT detail, at_us FROM events
    WHERE kind = 'prune' AND kind NOT IN ('decision', 'outcome') AND effect <> 'refusals'
    ORDER BY seq DESC LIMIT 1"""
_ANSWERED: Final = """DELETE FROM approvals WHERE n IN (
    SELECT n FROM approvals WHERE status NOT IN ('pending', 'allowed') AND expires_us < ?1
    AND created_us < ?1 ORDER BY n LIMIT ?2)"""

Why = Literal["age", "size", "refusals", "results"]


class Gone(msgspec.Struct, frozen=True, array_like=True):
    """A segment that goes: its last row, and that one's hash."""

    segment: int
    number: int
    hash: str


class Prune(msgspec.Struct, frozen=True):
    """What is to go."""

    segments: tuple[Gone, ...]
    rows: int
    why: Why
    until_us: int = 0
    """When the last of them was written."""

    def __str__(self) -> str:
        until = datetime.fromtimestamp(self.until_us / 1_000_000, UTC)
        which = f"the {self.rows:,} oldest rows of the record, up to {until:%Y-%m-%d %H:%M} UTC,"
        if self.why == "age":
            return f"{which} are removed: they are older than audit.keep_days"
        if self.why == "refusals":
            which = which.replace("of the record", "of what was refused or asked for", 1)
            return f"{which} are removed: they take a quarter of audit.max_megabytes"
        if self.why == "results":
            which = which.replace("of the record", "of what tools answered", 1)
            return f"{which} are removed: they take half of audit.max_megabytes"
        why = "the record is larger than audit.max_megabytes"
        return f"{which} are removed, whatever their age: {why}"


class Space(msgspec.Struct, frozen=True):
    """Bytes of the record's files that hold something, and bytes that new rows will use."""

    used: int
    free: int


class Retention:
    """Keeps the log within the age and size that the settings give."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        index: Callable[[], Database],
        events: Events,
        audit: AuditSettings,
        clock: Callable[[], int],
        window_us: Callable[[], int],
        vouchers: Vouchers,
        copied: Callable[[], Mapping[int, int]] | None = None,
        ticks: Callable[[], int] = lambda: boot_ns() // 1000,
    ) -> None:
        """`window_us` gives the longest window of a limit: younger rows count the calls in it.

        `events` and `vouchers` are those of the rows of `database`, also where a team has those
        that decide. `copied` gives the last row of each segment that a team's ledger has: what it
        lacks stays; None: the record is this machine's alone.
        `ticks`: microseconds that pass whatever the clock says.
        """
        self._database = database
        self._journal = journal
        self._index = index
        self._events = events
        self._clock = clock
        self._window_us = window_us
        self._vouchers = vouchers
        self._copied = copied
        # How many segments were to go and stay because the team's ledger lacks rows of them.
        self.uncopied = 0
        self._ticks = ticks
        self._ticked = 0
        self._keep_us = round(audit.keep_days * _DAY_US)
        self._max_bytes = round(audit.max_megabytes * _MEGABYTE)
        self._going: list[Segment] = []

    def witness(self) -> int:
        """Look at the clock; return by how many microseconds it leapt, 0 where it is believed.

        The clock is believed as far as the record has seen it go on: a leap, in this process or
        since the one before, counts once the clock has gone on from there for as long as
        `_BELIEF` says. To be called now and then where rows go for their age.
        """
        if self._keep_us <= 0:
            return 0
        now, ticks = self._clock(), self._ticks()
        passed, self._ticked = max(0, ticks - (self._ticked or ticks)), ticks
        trusted, witnessed = self._database.row(_TRUSTED) or (0, 0)
        trusted = trusted or self._seen_before(now)
        leap = now - trusted
        if leap > min(_LEAP_US, self._keep_us // _BELIEF):
            witnessed += passed
            if witnessed < min(_WITNESSED_US, self._keep_us // _BELIEF):
                self._trust(trusted, witnessed)
                return leap
        if leap > _NOTED_US or witnessed:
            self._trust(max(now, trusted), 0)
        return 0

    def believe(self) -> None:
        """Take the clock for right: a person has looked at it."""
        self._trust(self._clock(), 0)

    def _trust(self, trusted: int, witnessed: int) -> None:
        with self._database.transaction():
            self._database.run(_TRUST, (trusted, witnessed))

    def _seen_before(self, now: int) -> int:
        """Return the last time on record that is not of this hour, else now: nothing is old."""
        row = self._index().row(
            "SELECT at_us FROM events WHERE at_us <= ? ORDER BY seq DESC LIMIT 1", (now - _HOUR_US,)
        )
        return int(row[0]) if row else now

    def due(self, *, slack_us: int = _SLACK_US, by_age: bool = True) -> Prune | None:
        """Return what the settings want gone, None where all may stay; changes nothing.

        `slack_us`: how much too old the rows may be. By the clock as it is: see `witness`.
        """
        self._journal.joints.refresh()
        old = self._too_old(slack_us) if by_age and self._keep_us > 0 else {}
        much = self._too_much("calls", self._max_bytes)
        beside = self._too_much("beside", self._max_bytes // _BESIDE)
        results = self._too_much("results", self._max_bytes // _RESULTS)
        window_us = self._window_us()
        ends = {
            n: end
            for n, end in {**old, **much, **beside, **results}.items()
            if not self._may_count(n, end, window_us)
        }
        self._keep_uncopied(ends)
        if not ends:
            return None
        why: Why = "size" if any(n in much and n not in old for n in ends) else "age"
        if not any(n in old or n in much for n in ends):
            why = "refusals" if any(n in beside for n in ends) else "results"
        return Prune(
            tuple(Gone(n, ends[n].number, ends[n].hash.hex()) for n in sorted(ends)),
            sum(ends[n].number - self._first(n) for n in ends),
            why,
            max(end.at_us for end in ends.values()),
        )

    def pruned_for_size(self, days: float = 30) -> str:
        """Return a sentence about the last prune, where it was for size and so lately."""
        row = self._index().row(_ANNOUNCED)
        if row is None or self._clock() - row[1] > days * _DAY_US:
            return ""
        try:
            last = msgspec.json.decode(row[0], type=Prune)
        except msgspec.ValidationError:
            return ""  # one of the first edition
        return str(last) if last.why == "size" else ""

    def announce(
        self, *, slack_us: int = _SLACK_US, by: str = "", by_age: bool = True
    ) -> Prune | None:
        """Put on record what is due to go and return it; `step` removes it.

        Raises `LedgerError` where a row that decides does not stand as its event says.
        """
        with self._database.transaction():
            if by_age and self._keep_us > 0:
                self._journal.end_shared(self._clock() - self._keep_us - slack_us)
            prune = self.due(slack_us=slack_us, by_age=by_age)
            if prune is None:
                return None
            going = {gone.segment for gone in prune.segments}
            self._going = [self._journal.joints.segments[n] for n in sorted(going)]
            for row in kept_rows(self._database):
                if row.segment in going and row.known.decides(row.facts):
                    self._say_again(row)
            happened = any(segment.opened.shelf == "calls" for segment in self._going)
            self._events.append(
                "prune",
                effect="" if happened else "refusals",
                detail=msgspec.to_builtins(prune) | {"by": by},
            )
        return prune

    def step(self) -> bool:
        """Remove a segment of what was announced; False where nothing of it is left.

        Raises `LedgerError` where its rows are not as they were written, `LedgerUnavailable`.
        """
        if not self._going:
            return False
        segment = self._going[0]
        sealed = segment.sealed
        assert sealed is not None
        joints = self._journal.joints
        if not joints.was_pruned(segment.n) and self._check(segment):
            with self._database.transaction():
                if not joints.was_pruned(segment.n):  # else another was quicker
                    self._journal.prune(segment)
                if segment.opened.shelf != "results":
                    self._database.run(_ANSWERED, (sealed.last_us, _PIECE))
                self._database.run("DELETE FROM applied WHERE segment = ?", (segment.n,))
        self._going.pop(0)
        return True

    def space(self) -> Space:
        """Return how much of the record's files is used."""
        pages, free, size = (
            int((self._database.row(f"PRAGMA {name}") or (0,))[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        journal = sum(self._size(segment) for segment in self._segments(None))
        return Space((pages - free) * size + journal, free * size)

    def wasteful(self) -> bool:
        """Tell whether so much of `ledger.db` is unused that it is worth to compact it."""
        space = self.space()
        return space.free > max(_COMPACT_PAGES * 4096, _COMPACT_SHARE * (space.used + space.free))

    def compact(self) -> None:
        """Give unused space of `ledger.db` back to the disk; it can't be written meanwhile.

        Needs as much free space as is in use. Raises `LedgerUnavailable`.
        """
        self._database.run("VACUUM")
        self._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def _too_old(self, slack_us: int) -> dict[int, Tail]:
        """Return the segments whose every row is too old, each with its end.

        One that is shared is ended when what is due is announced; one that a gateway writes to
        ends by itself within a day.
        """
        before_us = self._clock() - self._keep_us - slack_us
        found = {
            segment.n: end
            for segment in self._segments(None)
            if (end := self._end_of(segment)) is not None
        }
        return {n: end for n, end in found.items() if 0 < end.at_us < before_us}

    def _end_of(self, segment: Segment) -> Tail | None:
        sealed = segment.sealed
        if sealed is not None:
            return Tail(sealed.number, bytes.fromhex(sealed.hash), sealed.size, sealed.last_us)
        if segment.opened.writer != SHARED:
            return None
        with (
            suppress(FileNotFoundError),
            file_of(self._journal.directory, segment.n).open("rb") as file,
        ):
            first = bytes.fromhex(segment.opened.hash)
            return tail_of(file.fileno(), segment.opened.number, first)
        return None

    def _may_count(self, n: int, end: Tail, window_us: int) -> bool:
        """Tell whether a call in a segment may be in a limit's window; what was refused is not."""
        shelf = self._journal.joints.segments[n].opened.shelf
        return shelf == "calls" and window_us > 0 and end.at_us >= self._clock() - window_us

    def _keep_uncopied(self, ends: dict[int, Tail]) -> None:
        """Leave out what the team's ledger lacks; what tools answered is not for it."""
        self.uncopied = 0
        if self._copied is None or not ends:
            return
        copied, segments = self._copied(), self._journal.joints.segments
        for n, end in list(ends.items()):
            if segments[n].opened.shelf != "results" and copied.get(n, 0) < end.number:
                del ends[n]
                self.uncopied += 1

    def _first(self, n: int) -> int:
        return self._journal.joints.segments[n].opened.number

    def _too_much(self, shelf: Shelf, most: int) -> dict[int, Tail]:
        """Return the oldest segments to go so that what stays is small enough."""
        held = self._segments(shelf)
        size = sum(self._size(segment) for segment in held)
        chosen: dict[int, Tail] = {}
        if most <= 0 or size <= most:
            return chosen
        for segment in held[:-1]:
            end = self._end_of(segment) if segment.sealed is not None else None
            if size <= most * _SHRINK_TO:
                break
            if end is not None:
                size -= end.size
                chosen[segment.n] = end
        return chosen

    def _segments(self, shelf: Shelf | None) -> list[Segment]:
        """Return the segments that are there, oldest first."""
        return [
            segment
            for segment in self._journal.joints.segments.values()
            if segment.pruned is None and shelf in (None, segment.opened.shelf)
        ]

    def _size(self, segment: Segment) -> int:
        if segment.sealed is not None:
            return segment.sealed.size
        try:
            return file_of(self._journal.directory, segment.n).stat().st_size
        except FileNotFoundError:
            return 0

    def _say_again(self, row: Kept) -> None:
        """Say in a new event how a row stands whose own event is to go."""
        said = said_by(self._vouchers, row.event)
        if said is None or said[2] != row.facts:
            raise self._tampered(f"{row.known.what} {row.name} does not stand as the journal says")
        self._events.say_again(row)

    def _check(self, segment: Segment) -> bool:
        """Follow a segment that is to go; False: another process has let it go meanwhile."""
        number, previous = segment.opened.number, bytes.fromhex(segment.opened.hash)
        try:
            for _, line in lines_of(file_of(self._journal.directory, segment.n)):
                number += 1
                digest = follows(line, previous) if number_of(line) == number else None
                if digest is None:
                    raise self._tampered(f"row {segment.n}:{number} is not as it was written")
                previous = digest
        except FileNotFoundError:
            if self._journal.joints.was_pruned(segment.n):
                return False
            raise self._tampered(f"segment {segment.n} is missing") from None
        sealed = segment.sealed
        if sealed is not None and (number, previous.hex()) != (sealed.number, sealed.hash):
            raise self._tampered(f"rows of segment {segment.n} are missing")
        return True

    def _tampered(self, problem: str) -> LedgerError:
        self._going = []
        return LedgerError(
            f"nothing is pruned from {self._journal.directory}: {problem}",
            "Keep a copy of it, and see pktui audit verify",
        )
