"""Pruning the log by age and size, in small pieces, so that the chain stays verifiable.

A prune is announced by an event of its own that names the last row to go and its hash, and that
carries on what the log says of the rows that decide and are older. Then the rows go, oldest first
and a few at a time, and with each piece the chain's base moves to the last row that went. Before
they go they are checked: a log that was tampered with is not pruned, so that the evidence stays.
Counters, pins, grants and open approvals are not touched; approvals that were answered go with the
rows of their time.

The space of what went is used again by new rows. `compact` gives it back to the disk; SQLite's
own way of doing so at once (auto_vacuum) makes every call 8 % dearer.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pktui.errors import LedgerError
from pktui.ledger.chain.crosscheck import Recorded, read_recorded
from pktui.ledger.chain.log import COLUMNS, row_weight
from pktui.ledger.chain.verify import ROWS, row_fault
from pktui.times import boot_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.chain.log import Events
    from pktui.ledger.database import Database
    from pktui.settings import AuditSettings

_DAY_US: Final = 86_400_000_000
_MEGABYTE: Final = 1_000_000
_HOUR_US: Final = 3_600_000_000
_LEAP_US: Final = 7 * _DAY_US
"""A record that nobody wrote to for longer is looked at twice before rows go for their age."""
_WITNESSED_US: Final = _DAY_US
"""For so long the clock has to go on from where it leapt to."""
_BELIEF: Final = 4
"""Both are at most this part of the time that rows are kept."""
_NOTED_US: Final = 60_000_000
_TRUSTED: Final = "SELECT trusted_us, witnessed_us FROM clock"
_TRUST: Final = "UPDATE clock SET trusted_us = ?, witnessed_us = ?"
_SLACK_US: Final = _HOUR_US
"""Rows are this much too old before they go, so that few prunes go on record."""
_SHRINK_TO: Final = 0.9
"""What a log that is too large is cut down to, of its limit."""
_FEWEST: Final = 1000
"""Rows that stay, however large they are."""
_PIECE: Final = 200
"""Rows that go at once: some milliseconds in which a decision may have to wait."""
_CONTENT: Final = f"SELECT {COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
_AT_ONCE: Final = 1000
_COMPACT_PAGES: Final = 4096
_COMPACT_SHARE: Final = 0.25
_ANNOUNCED: Final = """SELECT detail FROM events
    WHERE kind = 'prune' AND kind NOT IN ('decision', 'outcome') ORDER BY seq DESC LIMIT 1"""
_ANSWERED: Final = """DELETE FROM approvals WHERE n IN (
    SELECT n FROM approvals WHERE status NOT IN ('pending', 'allowed') AND expires_us < ?1
    AND created_us < ?1 ORDER BY n LIMIT ?2)"""

Why = Literal["age", "size"]


class Prune(msgspec.Struct, frozen=True):
    """What is to go: every row up to `base_seq`."""

    base_seq: int
    base_hash: str
    rows: int
    why: Why
    until_us: int = 0
    """When the last of them was written."""

    def __str__(self) -> str:
        until = datetime.fromtimestamp(self.until_us / 1_000_000, UTC)
        which = f"the {self.rows:,} oldest rows of the record, up to {until:%Y-%m-%d %H:%M} UTC,"
        if self.why == "age":
            return f"{which} are removed: they are older than audit.keep_days"
        why = "the record is larger than audit.max_megabytes"
        return f"{which} are removed, whatever their age: {why}"


class Space(msgspec.Struct, frozen=True):
    """Bytes of the file that hold something, and bytes that new rows will use."""

    used: int
    free: int


class Retention:
    """Keeps the log within the age and size that the settings give."""

    def __init__(
        self,
        database: Database,
        events: Events,
        audit: AuditSettings,
        clock: Callable[[], int],
        ticks: Callable[[], int] = lambda: boot_ns() // 1000,
    ) -> None:
        """`ticks`: microseconds that pass whatever the clock says."""
        self._database = database
        self._events = events
        self._clock = clock
        self._ticks = ticks
        self._ticked = 0
        self._keep_us = round(audit.keep_days * _DAY_US)
        self._max_bytes = round(audit.max_megabytes * _MEGABYTE)

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
        row = self._database.row(
            "SELECT at_us FROM events WHERE at_us <= ? ORDER BY seq DESC LIMIT 1", (now - _HOUR_US,)
        )
        return int(row[0]) if row else now

    def due(self, *, slack_us: int = _SLACK_US, by_age: bool = True) -> Prune | None:
        """Return what the settings want gone and was not announced yet, None where all may stay.

        `slack_us`: how much too old the oldest row may be. By the clock as it is: see `witness`.
        """
        row = self._database.row("SELECT base_seq, seq FROM chain")
        if row is None:
            return None
        base, head = row
        old = self._too_old(base, slack_us) if by_age else 0
        much = self._too_much(base, head)
        last = max(old, much)
        if last <= max(base, self._announced()):
            return None
        found = self._database.row("SELECT hash, at_us FROM events WHERE seq = ?", (last,))
        digest, until_us = (found[0].hex(), found[1]) if found else ("", 0)
        return Prune(last, digest, last - base, "age" if old >= much else "size", until_us)

    def pruned_for_size(self, days: float = 30) -> str:
        """Return a sentence about the last prune, where it was for size and so lately."""
        row = self._database.row(_ANNOUNCED.replace("detail", "detail, at_us", 1))
        if row is None or self._clock() - row[1] > days * _DAY_US:
            return ""
        last = msgspec.json.decode(row[0], type=Prune)
        return str(last) if last.why == "size" else ""

    def announce(
        self, *, slack_us: int = _SLACK_US, by: str = "", by_age: bool = True
    ) -> Prune | None:
        """Put on record what is due to go and return it; `step` removes it."""
        prune = self.due(slack_us=slack_us, by_age=by_age)
        if prune is None:
            return None
        base, head = self._base()[0], self._events.last_seq()
        recorded = Recorded(base)
        read_recorded(self._database, base, head, recorded)
        with self._database.transaction():
            if self._announced() >= prune.base_seq:
                return None  # another was quicker
            read_recorded(self._database, head, self._events.last_seq(), recorded)
            carried = msgspec.to_builtins(recorded.carried(prune.base_seq))
            detail = msgspec.structs.asdict(prune) | {"by": by} | carried
            self._events.append("prune", detail=detail)
        return prune

    def step(self) -> bool:
        """Remove some of what was announced; False where nothing of it is left.

        Raises `LedgerError` where the rows to go are not as they were written, `LedgerUnavailable`.
        """
        last = self._announced()
        if self._base()[0] >= last:
            return False
        with self._database.transaction():
            base, base_hash = self._base()
            if base < last:
                self._remove(base, base_hash, min(last, base + _PIECE))
        return True

    def space(self) -> Space:
        """Return how much of the file is used."""
        pages, free, size = (
            int((self._database.row(f"PRAGMA {name}") or (0,))[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return Space((pages - free) * size, free * size)

    def wasteful(self) -> bool:
        """Tell whether so much of the file is unused that it is worth to compact it."""
        space = self.space()
        return space.free > max(_COMPACT_PAGES * 4096, _COMPACT_SHARE * (space.used + space.free))

    def compact(self) -> None:
        """Give unused space back to the disk; nothing can be written meanwhile.

        Needs as much free space as is in use. Raises `LedgerUnavailable`.
        """
        self._database.run("VACUUM")
        self._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def _base(self) -> tuple[int, bytes]:
        row = self._database.row("SELECT base_seq, base_hash FROM chain")
        return (row[0], row[1]) if row else (0, b"")

    def _announced(self) -> int:
        row = self._database.row(_ANNOUNCED)
        return int(msgspec.json.decode(row[0])["base_seq"]) if row else 0

    def _too_old(self, base: int, slack_us: int) -> int:
        """Return the last of the oldest rows that are all too old, 0 where none is."""
        if self._keep_us <= 0:
            return 0
        oldest_us = self._clock() - self._keep_us
        first = self._database.row(
            "SELECT seq FROM events WHERE seq = ? AND at_us < ?", (base + 1, oldest_us - slack_us)
        )
        if first is None:
            return 0
        young = self._database.row(
            "SELECT seq FROM events WHERE seq > ? AND at_us >= ? ORDER BY seq LIMIT 1",
            (base, oldest_us),
        )
        return young[0] - 1 if young else self._events.last_seq()

    def _too_much(self, base: int, head: int) -> int:
        """Return the last row to go so that what happened is small enough, 0 where it is.

        What was refused or asked does not count, so that it never makes the rest go.
        """
        row = self._database.row("SELECT bytes FROM chain")
        held = row[0] if row else 0
        rows = head - base
        if self._max_bytes <= 0 or held <= self._max_bytes or rows <= _FEWEST:
            return 0
        return min(self._after(base, held - round(self._max_bytes * _SHRINK_TO)), head - _FEWEST)

    def _after(self, seq: int, going: int) -> int:
        """Return the row up to which so many bytes of what happened were written."""
        while going > 0 and (rows := self._database.rows(_CONTENT, (seq, _AT_ONCE))):
            for row in rows:
                seq = row[0]
                going -= row_weight(row)[0]
                if going <= 0:
                    break
        return seq

    def _remove(self, base: int, base_hash: bytes, last: int) -> None:
        rows = self._database.rows(ROWS, (base, last, _PIECE))
        previous = base_hash
        for expected, row in enumerate(rows, base + 1):
            problem = row_fault(row, expected, previous)
            if problem:
                raise LedgerError(
                    f"nothing is pruned from {self._database.path}: {problem}",
                    "Keep a copy of the file, and see pktui audit verify",
                )
            previous = row[-1]
        if len(rows) != last - base:
            raise LedgerError(
                f"nothing is pruned from {self._database.path}: rows are missing",
                "Keep a copy of the file, and see pktui audit verify",
            )
        weights = [row_weight(row[:-3]) for row in rows]
        self._database.run(
            "UPDATE chain SET base_seq = ?, base_hash = ?, bytes = max(0, bytes - ?),"
            " beside_bytes = max(0, beside_bytes - ?)",
            (last, previous, *(sum(part) for part in zip(*weights, strict=True))),
        )
        self._database.run("DELETE FROM events WHERE seq <= ?", (last,))
        self._database.run(_ANSWERED, (rows[-1][1], _PIECE))
