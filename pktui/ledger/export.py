"""The log as JSON Lines that anyone can verify, with or without pktui.

Each line is one event with all its columns, the hash of the row before it (`prev`) and its own
(`hash`). A row's hash is the SHA-256 of the 32 bytes of `prev` followed by the JSON array of the
other fields, in the order they have in the line, without white space and in UTF-8; the first row
that was ever written has a `prev` of zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import LedgerError
from pktui.ledger.events import row_hash
from pktui.ledger.records import Event, Verification
from pktui.text import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pktui.ledger.anchors import Anchor
    from pktui.ledger.database import Database
    from pktui.ledger.events import Events

LONGEST_LINE: Final = 64 * 1024 * 1024
"""Bytes; what is longer is no event."""

_AT_ONCE: Final = 100
_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode


def exported(
    database: Database, events: Events, *, since_us: int = 0, until_us: int = 0
) -> Iterator[bytes]:
    """Give the events from `since_us` to before `until_us` (0: all), one line each, oldest first.

    The rows from the first to the last of that time, so that the chain is whole whatever the
    clock did. Raises `LedgerError` where rows are pruned meanwhile, `LedgerUnavailable`.
    """
    seq, last = _span(database, since_us, until_us)
    while seq < last:
        page = events.tail(seq, _AT_ONCE)
        if not page or page[0].seq != seq + 1:
            raise LedgerError("rows were pruned while they were exported", "Export again")
        for event in page:
            if event.seq > last:
                return
            yield escaped(_encode(event).decode()).encode() + b"\n"
        seq = page[-1].seq


def verify_lines(lines: Iterable[bytes], anchors: Sequence[Anchor] = ()) -> Verification:
    """Follow the chain of exported lines; `seq` of what is wrong is the row's or the next one's.

    That nothing follows the last line, and nothing came before the first, no export can show:
    compare `head_hash` with what is known from elsewhere.
    """
    known = {anchor.seq: anchor for anchor in anchors}
    first: Event | None = None
    previous: Event | None = None
    rows = agreed = 0
    for number, line in enumerate(lines, 1):
        event, problem = _read(line, number)
        problem = problem or _fault(event, previous)
        anchor = known.get(event.seq)
        if not problem and anchor is not None:
            agreed += 1
            if anchor.hash != event.hash:
                problem = f"row {event.seq} is not the one that line {anchor.line} anchors"
        if problem:
            return _found(first, previous, rows, agreed, event.seq, problem)
        first, previous, rows = first or event, event, rows + 1
    problem = "" if rows else "there is no event in it"
    return _found(first, previous, rows, agreed, 0, problem)


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


def _found(
    first: Event | None, last: Event | None, rows: int, anchors: int, seq: int, problem: str
) -> Verification:
    return Verification(
        ok=not problem,
        rows=rows,
        seq=seq,
        problem=problem,
        base_seq=first.seq - 1 if first is not None else 0,
        head_seq=last.seq if last is not None else 0,
        head_hash=last.hash if last is not None else "",
        anchors=anchors,
    )
