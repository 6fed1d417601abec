"""The record of all machines, followed in the database, and what decides compared with it.

What is checked: that each machine's joints and rows follow each other as its files' do, as far as
they were copied; that no segment ends before its joints or a checkpoint say; that the checkpoints
are one chain; that every row that decides stands as the event that it names says. What this machine
has in its own journal is compared row by row, so that a chain made anew in either place is found.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.ledger.chain.crosscheck import difference, name_of
from pktui.ledger.integrity.vouched_columns import BY_TABLE, Facts, Key, kept_rows
from pktui.ledger.integrity.vouching import Said, read_said, said_by
from pktui.ledger.journal.joints import Joints, Segment, joints_fault
from pktui.ledger.journal.segment import CONTENT, file_of, follows, lines_of, row_hash
from pktui.ledger.postgres.database import NUL

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.ledger.postgres.database import SharedDatabase, SharedVouchers
    from pktui.ledger.transaction import Row

_MACHINES: Final = "SELECT n, name FROM machines ORDER BY n"
_JOINTS: Final = "SELECT line FROM joints WHERE machine = %s ORDER BY n"
_COLUMNS: Final = ", ".join((*CONTENT, "charges", "hash"))
_PIECE: Final = 1000
_ROWS: Final = f"""SELECT {_COLUMNS} FROM events
    WHERE machine = %s AND segment = %s AND number > %s ORDER BY number LIMIT {_PIECE}"""  # noqa: S608
_HASHES: Final = f"""SELECT number, hash FROM events
    WHERE machine = %s AND segment = %s AND number > %s ORDER BY number LIMIT {10 * _PIECE}"""  # noqa: S608
_COPIED: Final = "SELECT segment, number FROM copied WHERE machine = %s"
_CHECKPOINTS: Final = "SELECT n, machine, at_us, heads, hash FROM checkpoints ORDER BY n"
# What a checkpoint names: a segment, the number of a row in it, its hash.
_HEAD: Final = re.compile(r"([0-9]{1,18}):([0-9]{1,18}):([0-9a-f]{64})")
_HASH: Final = "SELECT hash FROM events WHERE machine = %s AND segment = %s AND number = %s"
_CHANGES: Final = """SELECT change, detail FROM made
    LEFT JOIN events USING (machine, segment, number) ORDER BY change"""
_decode_charges = msgspec.json.Decoder(list[Any]).decode


class MachineVerified(msgspec.Struct, frozen=True):
    """What was found of one machine; `problem` is empty where nothing is wrong."""

    machine: str
    rows: int
    problem: str = ""


class TeamVerified(msgspec.Struct, frozen=True):
    """What was found of all; `problem` is of no single machine, empty where nothing is wrong."""

    machines: tuple[MachineVerified, ...]
    checkpoints: int
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem and not any(one.problem for one in self.machines)


class _Fault(Exception):
    """What is wrong."""


def verify_team(database: SharedDatabase, vouchers: SharedVouchers, journal: Path) -> TeamVerified:
    """Follow all that is in the database; raises `LedgerUnavailable`.

    `journal` is the directory of this machine's.
    """
    here = database.machine_number
    with database.snapshot():
        machines: dict[int, str] = dict(database.rows(_MACHINES))
        found = tuple(
            MachineVerified(name, *_Walk(database, n, journal if n == here else None).run())
            for n, name in machines.items()
        )
        checkpoints, problem = _follow_checkpoints(database, machines)
        return TeamVerified(found, checkpoints, problem or _decided_fault(database, vouchers))


def copied_hashes(
    database: SharedDatabase, machine: int, segment: int
) -> Iterator[tuple[int, bytes]]:
    """Give the number and hash of each row of a machine's segment that is in the database."""
    number = 0
    while rows := database.rows(_HASHES, (machine, segment, number)):
        yield from ((one, bytes(digest)) for one, digest in rows)
        number = rows[-1][0]


class _Walk:
    """One way along the rows of a machine."""

    def __init__(self, database: SharedDatabase, machine: int, journal: Path | None) -> None:
        """`journal` is where the machine's own is, None where that is elsewhere."""
        self._database = database
        self._journal = journal
        self._machine = machine
        self._rows = 0
        # What the machine pruned before all of it was copied; what follows it can be sound.
        self._lost = ""
        self._segments: dict[int, Segment] = {}

    def run(self) -> tuple[int, str]:
        """Return how many rows are as they were written, and what is wrong."""
        try:
            self._follow_joints()
            copied: dict[int, int] = dict(self._database.rows(_COPIED, (self._machine,)))
            for n, reached in copied.items():
                if n not in self._segments:
                    raise _Fault(f"segment {n} has no joint")  # noqa: TRY301
                self._follow(self._segments[n], reached)
        except _Fault as fault:
            return self._rows, str(fault)
        return self._rows, self._lost

    def _follow_joints(self) -> None:
        lines = [row[0].encode() for row in self._database.rows(_JOINTS, (self._machine,))]
        self._compare_joints(lines)
        joints, problem = joints_fault(iter(lines))
        for joint, _ in joints:
            known = self._segments.get(joint.segment)
            if joint.what == "open":
                self._segments[joint.segment] = Segment(joint)
            elif known is not None and joint.what == "seal":
                self._segments[joint.segment] = Segment(known.opened, joint, known.pruned)
            elif known is not None:
                self._segments[joint.segment] = Segment(known.opened, known.sealed, joint)
        if problem:
            raise _Fault(problem)

    def _follow(self, segment: Segment, reached: int) -> None:
        n, number = segment.n, segment.opened.number
        previous = bytes.fromhex(segment.opened.hash)
        own = self._own_lines(n)
        for row in rows_of(self._database, self._machine, n, number):
            if row[0] > reached:
                break  # a decision whose rows before it are still to come
            if row[0] != number + 1:
                raise _Fault(f"row {n}:{number + 1} was removed")
            number, before = row[0], previous
            previous = _checked(row, before, n)
            if own is not None and follows(next(own, b""), before) != previous:
                raise _Fault(f"row {n}:{number} is not the one in this machine's own journal")
            self._rows += 1
        if number < reached:
            raise _Fault(f"row {n}:{number + 1} was removed from the end")
        pruned, sealed = segment.pruned, segment.sealed
        if pruned is not None and number < pruned.number:
            span = f"rows {n}:{number + 1} to {n}:{pruned.number}"
            self._lost = self._lost or f"{span} were pruned before they were copied"
        last = sealed is not None and number == sealed.number
        if last and sealed is not None and previous.hex() != sealed.hash:
            raise _Fault(f"row {n}:{number} is not the one that was written last")

    def _compare_joints(self, lines: list[bytes]) -> None:
        """Compare with this machine's own, which may have more of them by now."""
        if self._journal is None:
            return
        own = [line for _, line in lines_of(Joints(self._journal, int).path)]
        for n, (line, mine) in enumerate(zip_longest(lines, own[: len(lines)]), 1):
            if line != mine:
                raise _Fault(f"joint {n} is not the one in this machine's own journal")

    def _own_lines(self, segment: int) -> Iterator[bytes] | None:
        """Return the lines of this machine's own journal, None where it has none of them."""
        if self._journal is None or not file_of(self._journal, segment).exists():
            return None
        return (line for _, line in lines_of(file_of(self._journal, segment)))


def _checked(row: Row, previous: bytes, segment: int) -> bytes:
    """Return the hash of a row that follows that hash."""
    digest = bytes(row[-1])
    with suppress(msgspec.DecodeError):
        if row_hash(previous, content_of(row)) == digest:
            return digest
    raise _Fault(f"row {segment}:{row[0]} was edited, or another was put in its place")


def rows_of(database: SharedDatabase, machine: int, segment: int, number: int) -> Iterator[Row]:
    """Give the rows of a segment after that number, in order, hash last."""
    while rows := database.rows(_ROWS, (machine, segment, number)):
        yield from rows
        number = rows[-1][0]


def content_of(row: Row) -> list[Any]:
    """Return what the hash of a row covers; raises `msgspec.DecodeError` where it is no row."""
    *members, charges, _ = row
    content: list[Any] = [
        part.replace(NUL, "\0") if isinstance(part, str) else part for part in members
    ]
    if charges:
        content.append(_decode_charges(charges))
    return content


def _follow_checkpoints(database: SharedDatabase, machines: dict[int, str]) -> tuple[int, str]:
    """Return how many checkpoints agree, and what is wrong with the next."""
    previous, count = b"", 0
    for n, machine, at_us, heads, digest in database.rows(_CHECKPOINTS):
        said = f"{n} {machine} {at_us} {heads}".encode()
        if n != count + 1 or hashlib.sha256(previous + said).digest() != bytes(digest):
            return count, f"checkpoint {count + 1} was edited, or one before it was removed"
        for head in heads.split(" "):
            found = _HEAD.fullmatch(head)
            if found is None:
                return count, f"checkpoint {n} names no row"
            segment, number, named = found.groups()
            row = database.row(_HASH, (machine, int(segment), int(number)))
            if row is None or bytes(row[0]).hex() != named:
                where = f"row {segment}:{number} of {machines.get(machine, machine)}"
                return count, f"{where} is not the one that checkpoint {n} names"
        previous, count = bytes(digest), n
    return count, ""


def _decided_fault(database: SharedDatabase, vouchers: SharedVouchers) -> str:
    """Return which row that decides does not stand as the record says; empty: all do."""
    newest = _newest_said(database)
    for row in kept_rows(database):
        said = said_by(vouchers, row.event)
        if said is None:
            return f"{name_of(row)} is not in the record"
        if said[2] is None or said[:2] != (row.known.table, row.key):
            return f"{name_of(row)} names an event of another"
        if problem := difference(row, said[2], None):
            return f"{name_of(row)}: {problem}"
        newest.pop((row.known.table, row.key), None)
    for (table, key), facts in newest.items():
        known = BY_TABLE[table]
        if facts is not None and (table != "approvals" or known.decides(facts)):
            return f"{known.what} {facts.get(known.name, key[-1])} was removed"
    return ""


def _newest_said(database: SharedDatabase) -> dict[tuple[str, Key], Facts | None]:
    """Return how each row stands by the last change of it that was made."""
    found: dict[tuple[str, Key], Facts | None] = {}
    for change, detail in database.rows(_CHANGES):
        try:
            said = read_said(detail or "")
        except (msgspec.DecodeError, RecursionError):
            said = Said()
        if said.row is None or said.row[0] not in BY_TABLE or said.change != change:
            continue  # the row that it was made of has no event: that is found with the row
        found[said.row[:2]] = said.row[2]
    return found
