"""Exports of the first edition, which had one chain: they verify as they did.

A row's hash is the SHA-256 of the 32 bytes of `prev` followed by the JSON array of the other
members, in the order they have in the line; the first row has a `prev` of zeros. What was exported
whole has a line before and one after the events, `{"export": {…}}`, that say which rows there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pktui.ledger.journal.segment import row_hash
from pktui.ledger.records import Verification

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pktui.ledger.chain.anchors.anchor import Found


class Row(msgspec.Struct, frozen=True):
    """A row of that chain."""

    seq: int
    at_us: int
    kind: str
    call_id: str
    ref_seq: int
    server: str
    tool: str
    agent: str
    grant: str
    session: str
    project: str
    effect: str
    rule: str
    reason: str
    args_hash: str
    arguments: str
    outcome: str
    duration_us: int
    approval_id: str
    detail: str
    prev: str
    hash: str


class _Ends(msgspec.Struct, frozen=True):
    """Which rows an export has, and which of its ends is here; `last` < `first`: none."""

    at: Literal["begin", "end"]
    first: int
    last: int


class _Frame(msgspec.Struct, frozen=True):
    export: _Ends


_FRAME: Final = b'{"export":'
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode = msgspec.json.Decoder(Row).decode


def verify_lines(lines: Iterable[bytes], anchors: Sequence[Found] = ()) -> Verification:
    """Follow the chain of exported lines; `seq` of what is wrong is the row's or the next one's.

    Where both lines that say which rows there are are missing, as in its oldest exports, nothing
    shows that nothing follows the last line or came before the first: compare `hash` with what is
    known from elsewhere.
    """
    reading = _Reading({found.anchor.seq: found for found in anchors})
    for number, line in enumerate(lines, 1):
        seq, problem = reading.take(line, number)
        if problem:
            return reading.found(seq, problem)
    return reading.found(0, reading.left_open() or ("" if reading.rows else _EMPTY))


_EMPTY: Final = "there is no event in it"


class _Reading:
    """One way along the lines."""

    def __init__(self, anchors: Mapping[int, Found]) -> None:
        self._anchors = anchors
        self._previous: Row | None = None
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
        anchored = self._anchors.get(event.seq)
        if not problem and anchored is not None:
            self._agreed += 1
            if anchored.anchor.hash != event.hash:
                problem = f"row {event.seq} is not the one that {anchored.where} anchors"
        if not problem:
            self._previous = event
            self.rows += 1
        return event.seq, problem

    def left_open(self) -> str:
        """Return what is missing at the end, empty where that cannot be told or nothing is."""
        if self._ends is None:
            return ""
        return f"its end is missing: it was written up to row {self._ends.last}"

    def found(self, seq: int, problem: str) -> Verification:
        """Return what was found so far."""
        last = self._previous
        return Verification(
            ok=not problem,
            rows=self.rows,
            row=seq,
            problem=problem,
            joint=last.seq if last is not None else 0,
            hash=last.hash if last is not None else "",
            anchors=self._agreed,
        )

    def _frame(self, line: bytes, number: int) -> tuple[int, str]:
        try:
            ends = _decode_frame(line).export
        except (msgspec.DecodeError, RecursionError):
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

    def _begins(self, event: Row) -> str:
        awaited, self._awaited = self._awaited, 0
        if awaited and event.seq != awaited:
            return f"its beginning is missing: it was written from row {awaited}"
        return ""


_NOTHING: Final = Row(0, 0, "note", "", 0, *("",) * 11, "", 0, "", "", "", "")


def _read(line: bytes, number: int) -> tuple[Row, str]:
    try:
        return _decode(line), ""
    except (msgspec.DecodeError, RecursionError):
        return _NOTHING, f"line {number} is no event"


def _fault(event: Row, previous: Row | None) -> str:
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
