"""Following the chain from its base to its head, and naming the first thing that is wrong.

What is checked, in this order: that each row is there, in its place, as it was written; that the
head is the one that was written last; that nothing lies outside the chain; that what was pruned
was announced; that approvals and grants stand as the log says; that the file's guards are as
pktui made them. Anchors are checked with the rows they name.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pktui.errors import LedgerUnavailable
from pktui.ledger.chain.crosscheck import Recorded, Standing, read_standing
from pktui.ledger.chain.log import COLUMNS, call_keys, row_hash
from pktui.ledger.records import Verification
from pktui.ledger.schema import migration_from

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktui.ledger.chain.anchors import Anchor
    from pktui.ledger.database import Database, Row

_AT_ONCE = 2000
_STATE = """SELECT base_seq, base_hash, seq, hash, (SELECT min(seq) FROM events),
    (SELECT max(seq) FROM events) FROM chain"""
ROWS = f"""SELECT {COLUMNS}, call_us, call_tool, hash FROM events
    WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"""  # noqa: S608
"""Takes the `seq` before the first, the last, and how many at most; `row_fault` takes the rows."""
_OBJECTS = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND (type = 'trigger'"
_GUARDS = f"{_OBJECTS} OR tbl_name IN ('events', 'chain'))"


class _Fault(Exception):
    """What is wrong, and the row it was found at (0: none)."""

    def __init__(self, seq: int, problem: str) -> None:
        super().__init__(seq, problem)
        self.seq = seq
        self.problem = problem


def verify(
    database: Database,
    anchors: Sequence[Anchor] = (),
    progress: Callable[[int, int], None] | None = None,
    beside: str = "",
) -> Verification:
    """Check the log as it stood when called; rows written meanwhile are left for the next time.

    `beside` is what is wrong beside the log, said where nothing is wrong with it. `progress` is
    called with the rows done and the rows in all, every few thousand. Raises
    `LedgerUnavailable` where the file cannot be used at all.
    """
    walk = _Walk(database, anchors)
    problem, at = "", 0
    try:
        walk.run(progress)
        problem = beside
    except _Fault as fault:
        problem, at = fault.problem, fault.seq
    return Verification(
        ok=not problem,
        rows=walk.done,
        seq=at,
        problem=problem,
        base_seq=walk.base,
        head_seq=walk.seq,
        head_hash=walk.previous.hex(),
        anchors=walk.agreed,
    )


def row_fault(row: Row, expected: int, previous: bytes) -> str:
    """Return what is wrong with a row that should be `expected` and follow that hash, or ''."""
    *content, call_us, call_tool, digest = row
    seq = content[0]
    if seq != expected:
        return f"{_span(expected, seq - 1)} removed before row {seq}"
    same = row_hash(previous, content) == digest
    if not same or (call_us, call_tool) != call_keys(content):
        return f"row {seq} was edited, or another was put in its place"
    return ""


class _Walk:
    """One way along the chain."""

    def __init__(self, database: Database, anchors: Sequence[Anchor]) -> None:
        self._database = database
        self._anchors: dict[int, list[Anchor]] = {}
        for anchor in anchors:
            self._anchors.setdefault(anchor.seq, []).append(anchor)
        self._recorded = Recorded()
        self.base = 0
        self.seq = 0
        self.previous = self._base_hash = bytes(32)
        self.done = 0
        self.agreed = 0

    def run(self, progress: Callable[[int, int], None] | None) -> None:
        with self._database.snapshot():
            standing = read_standing(self._database)
            state = self._database.row(_STATE)
        if state is None:
            raise _Fault(0, "the record of the chain's head was removed")
        base, base_hash, head, head_hash, oldest, newest = state
        self._begin(base, base_hash)
        self._recorded = Recorded(base)
        if oldest is not None and oldest <= base:
            raise _Fault(oldest, f"row {oldest} was added from outside, before the chain's first")
        while self.seq < head:
            self._follow(head)
            if progress is not None:
                progress(self.done, head - self.base)
        if self.previous != head_hash:
            raise _Fault(head, f"row {head} is not the one that was written last")
        if (newest or 0) > head:
            raise _Fault(head + 1, f"row {newest} was added from outside")
        self._check_around(head, standing)

    def _begin(self, base: int, base_hash: bytes) -> None:
        self.base = self.seq = base
        self.previous = self._base_hash = base_hash
        self._compare(base, base_hash)

    def _follow(self, head: int) -> None:
        """Check the next rows; go on behind what was pruned meanwhile."""
        rows = self._read(head, _AT_ONCE)
        first = rows[0][0] if rows else head + 1
        if first != self.seq + 1 and self._pruned_to(first - 1):
            return
        if not rows:
            gone = _span(self.seq + 1, head)
            raise _Fault(self.seq + 1, f"{gone} removed from the end")
        for row in rows:
            self._step(row)

    def _step(self, row: Row) -> None:
        seq, digest = row[0], row[-1]
        problem = row_fault(row, self.seq + 1, self.previous)
        if problem:
            raise _Fault(seq, problem)
        self.seq, self.previous = seq, digest
        self.done += 1
        if seq in self._anchors:
            self._compare(seq, digest)
        self._recorded.saw(row)

    def _compare(self, seq: int, digest: bytes) -> None:
        for anchor in self._anchors.get(seq, ()):
            if anchor.hash != digest.hex():
                raise _Fault(
                    seq,
                    f"row {seq} is not the one that the anchor of line {anchor.line} names: "
                    "the log was written anew, or the anchor is of another one",
                )
            self.agreed += 1

    def _read(self, head: int, limit: int) -> Sequence[Row]:
        """Return the next rows; where not all of them can be read, those that can."""
        try:
            return self._database.rows(ROWS, (self.seq, head, limit))
        except LedgerUnavailable as error:
            if limit == 1:
                what = error.what.partition(" cannot be used: ")[2] or error.what
                raise _Fault(self.seq + 1, f"row {self.seq + 1} cannot be read: {what}") from error
            return self._read(head, limit // 8 or 1)

    def _pruned_to(self, seq: int) -> bool:
        """Take up the chain's new base where the rows up to there were pruned meanwhile."""
        state = self._database.row("SELECT base_seq, base_hash FROM chain")
        if state is None or state[0] <= max(self.base, self.seq) or state[0] < seq:
            return False
        self._begin(*state)
        return True

    def _check_around(self, head: int, standing: Standing) -> None:
        beyond = [anchor for seq in self._anchors if seq > head for anchor in self._anchors[seq]]
        if beyond:
            last = max(beyond, key=lambda anchor: anchor.seq)
            raise _Fault(
                head + 1,
                f"{_span(head + 1, last.seq)} removed from the end: "
                f"the anchor of line {last.line} names row {last.seq}",
            )
        problem = (
            self._recorded.unannounced(self.base, self._base_hash)
            or self._recorded.differs(standing, whole=self.base == 0)
            or _guards_fault(self._database)
        )
        if problem:
            raise _Fault(0, problem)


def _guards_fault(database: Database) -> str:
    """Return which table, index or trigger around the chain is not as pktui makes it."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        for statement in migration_from(0):
            fresh.execute(statement)
        made: dict[str, Any] = dict(fresh.execute(_GUARDS).fetchall())
    found: dict[str, Any] = dict(database.rows(_GUARDS))
    for name in made:
        if name not in found:
            return f"{name}, which guards the log, was removed from the file"
    for name in found:
        if name not in made:
            return f"{name}, which may act on the log, was added to the file"
        if found[name] != made[name]:
            return f"{name}, which guards the log, is not as pktui made it"
    return ""


def _span(first: int, last: int) -> str:
    return f"row {first} was" if first == last else f"rows {first} to {last} were"
