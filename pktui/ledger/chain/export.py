"""The log as JSON Lines that anyone can verify, with or without pktui.

Each line is one event with all its columns, the hash of the row before it (`prev`) and its own
(`hash`). A row's hash is the SHA-256 of the 32 bytes of `prev` followed by the JSON array of the
other fields, in the order they have in the line, without white space and in UTF-8; the first row
that was ever written has a `prev` of zeros.

What is exported whole has a line before and one after the events, `{"export": {…}}`, that say which
rows there are (`begin` or `end`, the first `seq` and the last), so that a part that was cut off at
either end is missed. Exports follow each other in one file as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pktui.errors import LedgerError
from pktui.ledger.chain.log import row_hash
from pktui.ledger.records import Event, Verification
from pktui.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pktui.ledger.chain.anchors import Anchor
    from pktui.ledger.chain.log import Events
    from pktui.ledger.database import Database

LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes; what is longer is no event."""

_AT_ONCE: Final = 100


class _Ends(msgspec.Struct, frozen=True):
    """Which rows an export has, and which of its ends is here; `last` < `first`: none."""

    at: Literal["begin", "end"]
    first: int
    last: int


class _Frame(msgspec.Struct, frozen=True):
    export: _Ends


_FRAME: Final = b'{"export":'
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode


def exported(
    database: Database, events: Events, *, since_us: int = 0, until_us: int = 0
) -> Iterator[bytes]:
    """Give the events from `since_us` to before `until_us` (0: all), one line each, oldest first.

    The rows from the first to the last of that time, so that the chain is whole whatever the
    clock did. Raises `LedgerError` where rows are pruned meanwhile, `LedgerUnavailable`.
    """
    yield from _rows(events, *_span(database, since_us, until_us))


def _rows(events: Events, seq: int, last: int) -> Iterator[bytes]:
    while seq < last:
        page = events.tail(seq, _AT_ONCE)
        if not page or page[0].seq != seq + 1:
            raise LedgerError("rows were pruned while they were exported", "Export again")
        for event in page:
            if event.seq > last:
                return
            yield escaped(_encode(event).decode()).encode() + b"\n"
        seq = page[-1].seq


def framed(
    database: Database, events: Events, *, since_us: int = 0, until_us: int = 0
) -> Iterator[bytes]:
    """Give what `exported` does between the two lines that say which rows there are."""
    first, last = _span(database, since_us, until_us)
    yield _frame(_Ends("begin", first + 1, last))
    yield from _rows(events, first, last)
    yield _frame(_Ends("end", first + 1, last))


def _frame(ends: _Ends) -> bytes:
    return _encode(_Frame(ends)) + b"\n"


def verify_lines(lines: Iterable[bytes], anchors: Sequence[Anchor] = ()) -> Verification:
    """Follow the chain of exported lines; `seq` of what is wrong is the row's or the next one's.

    Where both lines that say which rows there are (`framed`) are missing, as in exports of the
    first edition, nothing shows that nothing follows the last line or came before the first:
    compare `head_hash` with what is known from elsewhere.
    """
    reading = _Reading({anchor.seq: anchor for anchor in anchors})
    for number, line in enumerate(lines, 1):
        seq, problem = reading.take(line, number)
        if problem:
            return reading.found(seq, problem)
    return reading.found(0, reading.left_open() or ("" if reading.rows else _EMPTY))


_EMPTY: Final = "there is no event in it"


class _Reading:
    """One way along the lines."""

    def __init__(self, anchors: Mapping[int, Anchor]) -> None:
        self._anchors = anchors
        self._first: Event | None = None
        self._previous: Event | None = None
        self._ends: _Ends | None = None
        self._awaited = 0
        """The row that the export said it begins with, 0 once that was looked at."""
        self.rows = 0
        self._agreed = 0

    def take(self, line: bytes, number: int) -> tuple[int, str]:
        """Take the next line; return the row that is wrong and what with it, or an empty text."""
        if line.startswith(_FRAME):
            return self._frame(line, number)
        event, problem = _read(line, number)
        problem = problem or self._begins(event) or _fault(event, self._previous)
        anchor = self._anchors.get(event.seq)
        if not problem and anchor is not None:
            self._agreed += 1
            if anchor.hash != event.hash:
                problem = f"row {event.seq} is not the one that line {anchor.line} anchors"
        if not problem:
            self._first, self._previous = self._first or event, event
            self.rows += 1
        return event.seq, problem

    def left_open(self) -> str:
        """Return what is missing at the end, empty where that cannot be told or nothing is."""
        if self._ends is None:
            return ""
        return f"its end is missing: it was written up to row {self._ends.last}"

    def found(self, seq: int, problem: str) -> Verification:
        """Return what was found so far."""
        first, last = self._first, self._previous
        return Verification(
            ok=not problem,
            rows=self.rows,
            seq=seq,
            problem=problem,
            base_seq=first.seq - 1 if first is not None else 0,
            head_seq=last.seq if last is not None else 0,
            head_hash=last.hash if last is not None else "",
            anchors=self._agreed,
        )

    def _frame(self, line: bytes, number: int) -> tuple[int, str]:
        try:
            ends = _decode_frame(line).export
        except msgspec.DecodeError:
            return 0, f"line {number} is no event"
        if ends.at == "begin":
            problem = self.left_open()
            self._ends, self._awaited = ends, ends.first
            return ends.first, problem
        begun, self._ends = self._ends, None
        last = self._previous.seq if self._previous is not None else 0
        if ends.first <= ends.last != last:
            return ends.last, f"its end is missing: it was written up to row {ends.last}"
        if begun is None:
            return ends.first, f"its beginning is missing: it was written from row {ends.first}"
        return 0, ""

    def _begins(self, event: Event) -> str:
        awaited, self._awaited = self._awaited, 0
        if awaited and event.seq != awaited:
            return f"its beginning is missing: it was written from row {awaited}"
        return ""


def _span(database: Database, since_us: int, until_us: int) -> tuple[int, int]:
    """Return the `seq` before the first row wanted, and the last one's."""
    base, last = database.row("SELECT base_seq, seq FROM chain") or (0, 0)
    if since_us:
        first = database.row(
            "SELECT seq FROM events WHERE at_us >= ? ORDER BY seq LIMIT 1", (since_us,)
        )
        base = first[0] - 1 if first else last
    if until_us:
        newest = database.row(
            "SELECT seq FROM events WHERE at_us < ? ORDER BY seq DESC LIMIT 1", (until_us,)
        )
        last = newest[0] if newest else base
    return base, last


_NOTHING: Final = Event(0, 0, "note", "", 0, *("",) * 11, "", 0, "", "", "", "")


def _read(line: bytes, number: int) -> tuple[Event, str]:
    try:
        return _decode(line), ""
    except msgspec.DecodeError:
        return _NOTHING, f"line {number} is no event"


def _fault(event: Event, previous: Event | None) -> str:
    if previous is not None and event.seq != previous.seq + 1:
        return f"row {event.seq} follows row {previous.seq}: rows are missing or out of their order"
    if previous is not None and event.prev != previous.hash:
        return f"row {event.seq} does not follow the row before it: one of them was edited"
    *content, prev, digest = msgspec.structs.astuple(event)
    try:
        same = row_hash(bytes.fromhex(prev), content).hex() == digest
    except ValueError:
        same = False
    if not same or (event.seq == 1 and prev.strip("0")):
        return f"row {event.seq} was edited"
    return ""
