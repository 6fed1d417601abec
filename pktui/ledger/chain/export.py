"""The journal as JSON Lines that anyone can verify, with or without pktui.

Each line is one event with all its members, the hash of the row before it in its segment (`prev`)
and its own (`hash`). A row's hash is the SHA-256 of the 32 bytes of `prev` followed by the JSON
array of the other members, in the order they have in the line, but for `segment`, which is in none,
and `charges`, which is there as JSON where it is not empty; without white space and in UTF-8.

Before the events stands which rows there are, `{"export": {…}}`, after them the joints, each as it
is in the journal (`{"joint": […]}`, bound to each other like rows), and at the end the first line
again, with the number of joints by then, so that a part that was cut off at either end is missed.
A segment that is pruned while it is exported is in the first line and not among the events; its
joint says so. Exports follow each other in one file as they are. Those of the first edition, of one
chain with a `seq`, are verified as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from pktui.errors import LedgerError
from pktui.ledger.chain import first_edition
from pktui.ledger.chain.anchors.anchor import proven
from pktui.ledger.chain.gateway_gaps import Attendance
from pktui.ledger.journal.joints import Joints, read_joint
from pktui.ledger.journal.segment import (
    CHARGES,
    decode_row,
    file_of,
    follows,
    lines_of,
    row_hash,
)
from pktui.ledger.records import Event, Verification
from pktui.text import escaped

if TYPE_CHECKING:
    from pktui.ledger.chain.anchors.anchor import Found

# Bytes; what is longer is no event.
LONGEST_LINE: Final = 64 * 1024 * 1024


class Rows(msgspec.Struct, frozen=True, array_like=True):
    """The rows of a segment that an export has."""

    segment: int
    first: int
    last: int


class _Ends(msgspec.Struct, frozen=True):
    """Which rows an export has, and how many joints; which of its ends is here."""

    at: Literal["begin", "end"]
    rows: tuple[Rows, ...]
    joints: int


class _Frame(msgspec.Struct, frozen=True):
    export: _Ends


class _Jointed(msgspec.Struct, frozen=True):
    joint: msgspec.Raw


# What the line of an event begins with.
EVENT: Final = b'{"segment":'

_FRAME: Final = b'{"export":'
_JOINT: Final = b'{"joint":'
_FIRST_EDITION: Final = (
    b'{"seq":',
    b'{"export":{"at":"begin","first"',
    b'{"export":{"at":"end","first"',
)
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_joint = msgspec.json.Decoder(_Jointed).decode
_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode


def framed(
    directory: Path,
    clock: Callable[[], int],
    *,
    since_us: int = 0,
    until_us: int = 0,
    whole: bool = True,
) -> Iterator[bytes]:
    """Give the events from `since_us` to before `until_us` (0: all), segment by segment.

    Of each segment the rows from the first to the last of that time, so that its chain is whole
    whatever the clock did. What is pruned meanwhile is left out: an agent that has what was refused
    pruned all the time keeps nobody from exporting. Raises `LedgerError` where one is missing;
    where not `whole`, those count that are there, pruned by their machine or not.
    """
    joints = Joints(directory, clock)
    joints.refresh()
    rows = [
        found
        for segment in list(joints.segments.values())
        if (segment.pruned is None if whole else file_of(directory, segment.n).exists())
        for found in _span(directory, joints, segment.n, since_us, until_us)
    ]
    ends = _Ends("begin", tuple(rows), joints.n)
    yield _encode(_Frame(ends)) + b"\n"
    for one in rows:
        yield from _events(directory, joints, one)
    joints.refresh()
    if joints.n:
        for at, (_, line) in enumerate(lines_of(joints.path), 1):
            if at <= joints.n:
                yield b'{"joint":%b}\n' % line
    yield _encode(_Frame(msgspec.structs.replace(ends, at="end", joints=joints.n))) + b"\n"


def _span(
    directory: Path, joints: Joints, segment: int, since_us: int, until_us: int
) -> Iterator[Rows]:
    first = last = 0
    try:
        for _, line in lines_of(file_of(directory, segment)):
            number, at_us = _place(segment, line)
            if at_us >= since_us and not first:
                first = number
            if not until_us or at_us < until_us:
                last = number
    except FileNotFoundError:
        _check_pruned(joints, segment)
    if first and last >= first:
        yield Rows(segment, first, last)


def _check_pruned(joints: Joints, segment: int) -> None:
    if not joints.was_pruned(segment):
        raise LedgerError(f"segment {segment} of the journal is missing", "See pktui audit verify")


def _place(segment: int, line: bytes) -> tuple[int, int]:
    """Return a row's number and time, without a look at the rest."""
    try:
        number, at_us = line[1:].split(b",", 2)[:2]
        return int(number), int(at_us)
    except ValueError as error:
        raise _no_row(segment) from error


def _row(segment: int, line: bytes) -> tuple[Any, ...]:
    try:
        return decode_row(line)
    except ValueError as error:
        raise _no_row(segment) from error


def _no_row(segment: int) -> LedgerError:
    return LedgerError(
        f"segment {segment} of the journal has a line that is no row", "See pktui audit verify"
    )


def _events(directory: Path, joints: Joints, rows: Rows) -> Iterator[bytes]:
    previous = joints.segments[rows.segment].opened.hash
    try:
        for _, line in lines_of(file_of(directory, rows.segment)):
            row = _row(rows.segment, line)
            if rows.first <= row[0] <= rows.last:
                charges = _encode(row[CHARGES]).decode() if len(row) > CHARGES + 1 else ""
                values = [rows.segment, *row[:CHARGES], charges, previous, row[-1]]
                event = Event(*values)
                yield escaped(_encode(event).decode()).encode() + b"\n"
            previous = row[-1]
    except FileNotFoundError:
        _check_pruned(joints, rows.segment)


def verify_lines(lines: Iterable[bytes], anchors: Sequence[Found] = ()) -> Verification:
    """Follow the chains of exported lines, of this edition or the first."""
    lines = iter(lines)
    head = next(lines, b"")
    together = _chain(head, lines)
    if head.startswith(_FIRST_EDITION):
        return first_edition.verify_lines(together, anchors)
    reading = _Reading(anchors)
    for number, line in enumerate(together, 1):
        event, problem = reading.take(line, number)
        if problem:
            return reading.found(problem, event)
    return reading.found(reading.left_open() or ("" if reading.rows else "there is no event in it"))


def _chain(head: bytes, lines: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from lines


class _Reading:
    """One way along the lines."""

    def __init__(self, anchors: Sequence[Found]) -> None:
        self._anchors = anchors
        # What anchors name, and which one does; those of the first edition name rows of its chain.
        self._named: dict[tuple[int, int], list[tuple[str, int]]] = {}
        for at, found in enumerate(anchors):
            for segment, number, digest in found.anchor.named() if not found.anchor.seq else ():
                if number:  # else a segment without a row
                    self._named.setdefault((segment, number), []).append((digest, at))
        self._ends: _Ends | None = None
        self._last: dict[int, Event] = {}
        self._joint = bytes(32)
        self._pruned: set[int] = set()
        self._attendance = Attendance()
        # The time of the newest row: who is silent then is not late yet.
        self._until_us = 0
        self.rows = self._joints = 0
        self._compared: set[tuple[int, int]] = set()

    def take(self, line: bytes, number: int) -> tuple[Event | None, str]:
        """Take the next line; return its event, if it is one, and what is wrong with it."""
        try:
            if line.startswith(_FRAME):
                return None, self._take_frame(_decode_frame(line).export)
            if line.startswith(_JOINT):
                return None, self._take_joint(bytes(_decode_joint(line).joint))
            event = _decode(line)
        except (msgspec.DecodeError, RecursionError):
            return None, f"line {number} is no event"
        problem = self._begins(event) or _fault(event, self._last.get(event.segment))
        problem = problem or self._compare(event.segment, event.number, event.hash)
        if not problem:
            self._last[event.segment] = event
            self.rows += 1
            self._until_us = max(self._until_us, event.at_us)
            if event.kind in ("gateway", "end"):
                self._attendance.saw(
                    *(event.at_us, event.kind, event.call_id),
                    *(event.server, event.effect, event.detail),
                )
        return event, problem

    def left_open(self) -> str:
        """Return what is missing at the end, empty where nothing is."""
        return "its end is missing" if self._ends is not None else ""

    def found(self, problem: str, at: Event | None = None) -> Verification:
        """Return what was found so far."""
        agreed, absent = self._agreed()
        return Verification(
            ok=not problem,
            rows=self.rows,
            segment=at.segment if at is not None else 0,
            row=at.number if at is not None else 0,
            problem=problem,
            joint=self._joints,
            hash=self._joint.hex() if self._joints else "",
            anchors=len(agreed),
            proven=proven(self._anchors, agreed),
            notes=(absent,) if absent and not problem else (),
            gaps=self._attendance.gaps(self._until_us),
        )

    def _agreed(self) -> tuple[set[int], str]:
        """Return which anchors have all that they name in it, and what to say of the others.

        What was pruned cannot be in it.
        """
        absent = [key for key in self._named
                  if key not in self._compared and key[0] not in self._pruned]  # fmt: skip
        lacking = {at for key in absent for _, at in self._named[key]}
        named = {at for named in self._named.values() for _, at in named}
        if not lacking:
            return named, ""
        segment, number = min(absent)
        what = f"row {segment}:{number}" if segment else f"joint {number}"
        many = "1 anchor names" if len(lacking) == 1 else f"{len(lacking):,} anchors name"
        return named - lacking, (
            f"{many} what is not in it, such as {what}: it is an export of a time, was made before,"
            " or its end was cut off"
        )

    def _take_frame(self, ends: _Ends) -> str:
        if ends.at == "begin":
            problem = self.left_open()
            self._ends = ends
            self._last.clear()
            self._pruned.clear()
            self._joint, self._joints = bytes(32), 0
            return problem
        begun, self._ends = self._ends, None
        if begun is None:
            return "its beginning is missing"
        for rows in begun.rows:
            last = self._last.get(rows.segment)
            if last is None and rows.segment in self._pruned:
                continue
            if last is None or last.number != rows.last:
                return f"rows of segment {rows.segment} are missing, up to {rows.last}"
        return (
            "" if begun.joints <= self._joints == ends.joints else "joints are missing at its end"
        )

    def _take_joint(self, line: bytes) -> str:
        digest = follows(line, self._joint)
        if digest is None:
            return f"joint {self._joints + 1} was edited, or one before it was removed"
        self._joint = digest
        self._joints += 1
        joint = read_joint(line)
        if joint is not None and joint.what == "prune":
            self._pruned.add(joint.segment)
        return self._compare(0, self._joints, digest.hex())

    def _begins(self, event: Event) -> str:
        if self._ends is None:
            return "its beginning is missing"
        known = {rows.segment: rows for rows in self._ends.rows}.get(event.segment)
        if known is None:
            return f"row {event.segment}:{event.number} is of a segment it does not have"
        if event.segment not in self._last and event.number != known.first:
            return f"rows of segment {event.segment} are missing, from {known.first} on"
        return ""

    def _compare(self, segment: int, number: int, digest: str) -> str:
        if (segment, number) not in self._named:
            return ""
        self._compared.add((segment, number))
        what = f"row {segment}:{number}" if segment else f"joint {number}"
        for named, at in self._named[segment, number]:
            if named != digest:
                return f"{what} is not the one that {self._anchors[at].where} anchors"
        return ""


def _fault(event: Event, previous: Event | None) -> str:
    what = f"row {event.segment}:{event.number}"
    if previous is not None and event.number != previous.number + 1:
        return f"{what} follows row {previous.segment}:{previous.number}: rows are missing"
    if previous is not None and event.prev != previous.hash:
        return f"{what} does not follow the row before it: one of them was edited"
    _segment, *content, charges, prev, digest = msgspec.structs.astuple(event)
    whole: list[Any] = content
    try:
        if charges:
            whole = [*content, msgspec.json.decode(charges)]
        same = row_hash(bytes.fromhex(prev), whole).hex() == digest
    except (ValueError, msgspec.DecodeError, RecursionError):
        same = False
    return "" if same else f"{what} was edited"
