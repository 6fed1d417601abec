"""Following the journal from joint to joint and row to row, and naming the first thing wrong.

What is checked, in this order: that each joint is there, in its place, as it was written; that each
segment begins and ends as its joints say, and each of its rows is there, in its place, as it was
written; that no row is gone that the index has; that anchors agree; that approvals, grants and all
else that decides stand as the journal says; that the file's guards are as pktui made them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pktui.errors import LedgerUnavailable
from pktui.ledger.chain.anchors.anchor import proven
from pktui.ledger.chain.crosscheck import WATCHED, Recorded, read_standing
from pktui.ledger.chain.gateway_gaps import Attendance
from pktui.ledger.journal.joints import CARRIED, Joint, Joints, Segment, joints_fault
from pktui.ledger.journal.segment import (
    decode_row,
    file_of,
    follows,
    key_of,
    lines_of,
    number_of,
    split_key,
)
from pktui.ledger.presence import process_birth
from pktui.ledger.records import Verification
from pktui.ledger.schema import migration_from
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.ledger.chain.anchors.anchor import Found
    from pktui.ledger.database import Database

# Gives number and hash of the rows of a segment that were copied.
Copied = Callable[[int], Iterator[tuple[int, bytes]]]
_EVERY = 10_000
_TRIES = 3
_OBJECTS = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND (type = 'trigger'"
_GUARDS = f"{_OBJECTS} OR tbl_name IN ('changes', 'applied'))"
# What a row says that changes something that decides, as it stands in its line.
_CHANGE = rb"\"row\":"
_KINDS = frozenset(b'"%b"' % kind.encode() for kind in WATCHED)


class _Fault(Exception):
    """What is wrong, and where it was found (0: nowhere in particular)."""

    def __init__(self, segment: int, row: int, problem: str) -> None:
        super().__init__(segment, row, problem)
        self.segment = segment
        self.row = row
        self.problem = problem


def verify(
    directory: Path,
    database: Database,
    reached: Mapping[int, int],
    anchors: Sequence[Found] = (),
    progress: Callable[[int, int], None] | None = None,
    beside: str = "",
    copied: Copied | None = None,
) -> Verification:
    """Check the journal as it stood when called; what is written meanwhile is left for later.

    `reached` is the last row of each segment that the index has; `beside` is what is wrong beside
    the journal, said where nothing is wrong with it. `copied` gives what a team's database has of a
    segment, which is compared row by row. `progress` is called now and then with the
    bytes done and the bytes in all. Raises `LedgerUnavailable` where a file cannot be used.
    """
    problem, segment, row = "", 0, 0
    for left in reversed(range(_TRIES)):
        walk = _Walk(directory, database, reached, anchors, progress, copied)
        try:
            walk.run()
            problem = beside
        except _Fault as fault:
            problem, segment, row = fault.problem, fault.segment, fault.row
        except _Overtaken:
            if not left:
                raise LedgerUnavailable(
                    f"rows of {directory} were pruned while they were looked at", "Try again"
                ) from None
            continue
        break
    return Verification(
        ok=not problem,
        rows=walk.rows,
        segment=segment,
        row=row,
        problem=problem,
        joint=walk.joint,
        hash=walk.hash,
        anchors=len(walk.agreed),
        proven=proven(anchors, walk.agreed),
        notes=tuple(walk.notes),
        gaps=walk.attendance.gaps(now_us(), _runs),
    )


class _Copy:
    """The rows of a segment in a team's database."""

    def __init__(self, segment: int, rows: Iterator[tuple[int, bytes]]) -> None:
        self._segment = segment
        self._rows = rows
        self._next = next(rows, None)

    def compare(self, number: int, digest: bytes) -> None:
        """Compare a row with its copy, if there is one by now."""
        if self._next is not None and self._next[0] == number:
            if self._next[1] != digest:
                what = f"row {self._segment}:{number}"
                raise _Fault(
                    *(self._segment, number, f"{what} is not the one the team's ledger has")
                )
            self._next = next(self._rows, None)

    def check_end(self, number: int) -> None:
        """Check that no copy is of a row behind the last one."""
        if self._next is not None:
            what = f"row {self._segment}:{self._next[0]}"
            problem = f"{what} was removed from the end: the team's ledger has it"
            raise _Fault(self._segment, number + 1, problem)


class _Overtaken(Exception):
    """Rows of what happened were pruned before they were reached."""


class _Walk:
    """One way along the journal."""

    def __init__(
        self,
        directory: Path,
        database: Database,
        reached: Mapping[int, int],
        anchors: Sequence[Found],
        progress: Callable[[int, int], None] | None,
        copied: Copied | None,
    ) -> None:
        self._copied = copied
        self._copy: _Copy | None = None
        self._directory = directory
        self._database = database
        self._reached = reached
        self._anchors = anchors
        self._progress = progress
        self._recorded = Recorded()
        # What anchors name, by its key: rows, and joints under segment 0; and which anchor does.
        self._named: dict[int, list[tuple[str, int]]] = {}
        self._done = self._total = 0
        self.rows = self.joint = 0
        # Places in `anchors` of those that agree.
        self.agreed: set[int] = set()
        self.hash = ""
        self.attendance = Attendance()
        self.notes: list[str] = []

    def run(self) -> None:
        with self._database.snapshot():
            standing = read_standing(self._database)
        self._recorded = Recorded(standing.changes)
        segments = self._follow_joints()
        sizes = {n: _size(file_of(self._directory, n)) for n in segments}
        self._total = sum(sizes.values())
        for n, segment in segments.items():
            if segment.pruned is None:
                self._follow(segment, sizes[n])
        self._check_strays(segments)
        self._check_anchors(segments)
        problem = self._recorded.differs(
            standing, lambda n: n in segments and segments[n].pruned is not None
        ) or _guards_fault(self._database)
        if problem:
            raise _Fault(0, 0, problem)

    def _follow_joints(self) -> dict[int, Segment]:
        path = self._directory / "joints.jsonl"
        try:
            joints, problem = joints_fault(line for _, line in lines_of(path))
        except FileNotFoundError:
            if any(self._directory.glob("*.jsonl")) or self._reached:
                raise _Fault(0, 0, f"the joints of the journal, {path}, were removed") from None
            return {}
        except OSError as error:
            raise _unreadable(path, error) from error
        segments: dict[int, Segment] = {}
        before = bytes(32)
        for joint, digest in joints:
            self._saw_joint(segments, joint, before)
            self.joint, self.hash = joint.n, digest.hex()
            before = digest
        if problem:
            raise _Fault(0, 0, problem)
        for at, found in enumerate(self._anchors):
            for segment, number, named in found.anchor.named(partial(_carried, segments)):
                if segment >= 0:
                    self._named.setdefault(key_of(segment, number), []).append((named, at))
        for joint, digest in joints:
            self._compare(0, joint.n, digest)
        return segments

    def _saw_joint(self, segments: dict[int, Segment], joint: Joint, before: bytes) -> None:
        known = segments.get(joint.segment)
        if joint.what == "open":
            fresh = joint.writer == CARRIED or (joint.hash, joint.number) == (before.hex(), 0)
            if known is not None or not fresh:
                raise _Fault(joint.segment, 0, f"joint {joint.n} opens another segment")
            segments[joint.segment] = Segment(joint)
        elif known is None:
            raise _Fault(joint.segment, 0, f"joint {joint.n} is of a segment never opened")
        elif joint.what == "seal":
            segments[joint.segment] = Segment(known.opened, joint, known.pruned)
            if joint.torn:
                self.notes.append(
                    f"segment {joint.segment} ended with {joint.torn:,} bytes of a torn row,"
                    " which are kept beside it"
                )
        else:
            segments[joint.segment] = Segment(known.opened, known.sealed, joint)

    def _follow(self, segment: Segment, size: int) -> None:
        opened, sealed, n = segment.opened, segment.sealed, segment.n
        path = file_of(self._directory, n)
        number, previous, end = opened.number, bytes.fromhex(opened.hash), 0
        self._compare(n, number, previous)
        last = sealed.number if sealed is not None else -1
        beside = opened.shelf == "beside"
        self._copy = self._copy_of(n)
        try:
            for offset, line in lines_of(path):
                if offset >= size:
                    break
                number, end = number + 1, offset + len(line) + 1
                previous = self._step(n, line, number, previous, end)
                if sealed is not None and number > last:
                    raise _Fault(n, number, f"row {n}:{number} was added behind the segment's seal")
                if opened.writer == CARRIED:
                    seen = not _KINDS.isdisjoint(line.split(b",", 3)[2:3])
                else:
                    seen = line.find(_CHANGE) >= 0  # `in` tries it as a number first
                attends = beside and Attendance.concerns(line)
                if seen or attends:
                    row = self._read(n, number, line)
                    self._recorded.saw(n, row)
                    if attends:
                        self.attendance.saw_row(row)
        except FileNotFoundError:
            self._check_pruned(segment)
            return
        except OSError as error:
            raise _unreadable(path, error) from error
        self._done += size
        self._check_end(segment, number, previous, size - end, end)

    def _copy_of(self, n: int) -> _Copy | None:
        """Return what a team's database has of a segment, None where that cannot be told."""
        if self._copied is None:
            return None
        try:
            return _Copy(n, self._copied(n))
        except LedgerUnavailable as error:
            self._copied = None
            self.notes.append(f"rows were not compared with the team's ledger: {error.what}")
            return None

    def _read(self, n: int, number: int, line: bytes) -> tuple[Any, ...]:
        try:
            return decode_row(line)
        except ValueError:
            raise _Fault(n, number, f"row {n}:{number} is not one that pktui writes") from None

    def _step(self, n: int, line: bytes, number: int, previous: bytes, end: int) -> bytes:
        digest = follows(line, previous) if line.startswith(b"[%d," % number) else None
        if digest is None:
            found = number_of(line)
            if found > number:
                gone = _span(n, number, found - 1)
                raise _Fault(n, found, f"{gone} removed before row {n}:{found}")
            raise _Fault(n, number, f"row {n}:{number} was edited, or another was put in its place")
        self.rows += 1
        if self._named:
            self._compare(n, number, digest)
        if self._copy is not None:
            self._copy.compare(number, digest)
        if self._progress is not None and self.rows % _EVERY == 0:
            self._progress(self._done + end, self._total)
        return digest

    def _check_end(
        self, segment: Segment, number: int, previous: bytes, torn: int, end: int
    ) -> None:
        n, sealed = segment.n, segment.sealed
        grown = _size(file_of(self._directory, n)) > end + torn
        if self._copy is not None and not grown:
            self._copy.check_end(number)
        if sealed is not None:
            if number < sealed.number:
                raise _Fault(n, number + 1, f"{_span(n, number + 1, sealed.number)} removed from"
                             " the end")  # fmt: skip
            if previous.hex() != sealed.hash:
                raise _Fault(n, number, f"row {n}:{number} is not the one that was written last")
        if self._reached.get(n, 0) > number:
            raise _Fault(
                n,
                number + 1,
                f"rows from {n}:{number + 1} on were removed from the end: the index has them",
            )
        if torn and sealed is None:
            self.notes.append(f"segment {n} ends with {torn:,} bytes of a row that is not whole")

    def _joints(self) -> Joints:
        """Return the joints as they are by now."""
        joints = Joints(self._directory, lambda: 0)
        joints.refresh()
        return joints

    def _check_pruned(self, segment: Segment) -> None:
        """Check that a segment that is not there was pruned meanwhile."""
        n, opened = segment.n, segment.opened
        if not self._joints().was_pruned(n):
            name = file_of(self._directory, n).name
            raise _Fault(n, 0, f"segment {n} of {opened.writer}, {name}, is missing")
        if opened.shelf == "calls":  # it may say how rows stand that decide
            raise _Overtaken

    def _compare(self, segment: int, number: int, digest: bytes) -> None:
        for named, at in self._named.pop(key_of(segment, number), ()):
            what = f"row {segment}:{number}" if segment else f"joint {number}"
            if named != digest.hex():
                raise _Fault(
                    segment,
                    number,
                    f"{what} is not the one that the anchor of {self._where(at)} names: "
                    "the journal was written anew, or the anchor is of another one",
                )
            self.agreed.add(at)

    def _where(self, at: int) -> str:
        found = self._anchors[at]
        return found.where if found.store.startswith("file:") else f"{found.where} of {found.store}"

    def _check_anchors(self, segments: Mapping[int, Segment]) -> None:
        for key in sorted(self._named):
            segment, number = split_key(key)
            if segment in segments and segments[segment].pruned is not None:
                continue
            where = self._where(self._named[key][0][1])
            what = f"row {segment}:{number}" if segment else f"joint {number}"
            raise _Fault(segment, number, f"{what} was removed from the end: the anchor of"
                         f" {where} names it")  # fmt: skip

    def _check_strays(self, segments: Mapping[int, Segment]) -> None:
        names = {file_of(self._directory, n).name for n in segments} | {"joints.jsonl"}
        found = sorted(self._directory.glob("*.jsonl"))
        strays = [path for path in found if path.name not in names and _size(path)]
        joints = self._joints()  # read after that: some were opened meanwhile
        names = {file_of(self._directory, n).name for n in joints.segments}
        for path in strays:
            if path.name not in names:
                raise _Fault(0, 0, f"{path.name} lies in the journal, and no joint names it")


def _carried(segments: Mapping[int, Segment], seq: int) -> int:
    """Return the segment that a row of the first edition is in; -1: it was pruned."""
    last = 0
    for n, segment in segments.items():
        if segment.opened.writer == CARRIED and segment.sealed is not None:
            last = n
            if seq <= segment.sealed.number:
                return n if seq >= segment.opened.number else -1
    return last or 1


def _guards_fault(database: Database) -> str:
    """Return which table, index or trigger around the record is not as pktui makes it."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        for statement in migration_from(0):
            fresh.execute(statement)
        made: dict[str, Any] = {
            name: sql for name, sql in fresh.execute(_GUARDS).fetchall() if " ON events" not in sql
        }
    found: dict[str, Any] = dict(database.rows(_GUARDS))
    for name in made:
        if name not in found:
            return f"{name}, which guards the ledger, was removed from the file"
    for name in found:
        if name not in made:
            return f"{name}, which may act on the ledger, was added to the file"
        if found[name] != made[name]:
            return f"{name}, which guards the ledger, is not as pktui made it"
    return ""


def _runs(pid: int, born: str) -> bool:
    """Tell whether the process of that id, begun at that time, still runs."""
    return process_birth(pid) == born


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _unreadable(path: Path, error: OSError) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"{path} cannot be read: {error.strerror or error}",
        "Check its owner and mode, and the disk",
    )


def _span(segment: int, first: int, last: int) -> str:
    if first == last:
        return f"row {segment}:{first} was"
    return f"rows {segment}:{first} to {segment}:{last} were"
