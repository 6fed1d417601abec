"""The log of the first edition, carried over into the journal row by row, with its hashes.

It was one chain in a table of `ledger.db`. Its rows become segments that follow each other as the
chain did, so that its exports and anchors go on to hold. What decides and stands as that log said
gets an event of its own; what does not is left without one, which `audit verify` names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import LedgerUnavailable
from pktui.files import make_private_directory, open_private
from pktui.ledger.chain.crosscheck import Recorded, difference, read_standing
from pktui.ledger.database import has_table, unavailable
from pktui.ledger.integrity.vouched_columns import BY_TABLE, kept_rows
from pktui.ledger.journal.joints import CARRIED
from pktui.ledger.journal.journal import MOST_BYTES
from pktui.ledger.journal.segment import CONTENT, decode_row, file_of, lines_of
from pktui.ledger.records import Charged

if TYPE_CHECKING:
    from pktui.ledger.database import Database
    from pktui.ledger.events import Events
    from pktui.ledger.journal.journal import Journal

_AT_ONCE: Final = 2000
_COLUMNS: Final = ", ".join(("seq", *CONTENT[1:]))
_ROWS: Final = f"SELECT {_COLUMNS}, hash FROM events WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
_encode = msgspec.json.Encoder().encode


def carry_over(database: Database, journal: Journal, events: Events) -> None:
    """Move the log into the journal; begun and not ended, it is gone on with.

    Raises `LedgerUnavailable`.
    """
    with database.transaction():
        if has_table(database, "charges"):
            _carry_charges(database, events)
        if not has_table(database, "events"):
            return
        row = database.row("SELECT base_seq, base_hash, seq FROM chain")
        if row is not None and row[2] > row[0]:
            try:
                _carry_rows(database, journal, row[0], row[1])
            except OSError as error:
                raise unavailable(error, journal.directory) from error
            first = database.row("SELECT at_us FROM events WHERE seq > ? ORDER BY seq", row[:1])
            first_us = first[0] if first is not None else 0
            _say_again(database, journal, events, whole=row[0] == 0, first_us=first_us)
        database.run("DROP TABLE events")
        database.run("DROP TABLE chain")


def _carry_charges(database: Database, events: Events) -> None:
    """Put on record what was taken from limits: the counters are made of that now."""
    rows = database.rows("SELECT key, amount, at_us FROM charges WHERE amount > 0 ORDER BY at_us")
    for start in range(0, len(rows), _AT_ONCE):
        charges = [Charged(*row) for row in rows[start : start + _AT_ONCE]]
        events.append("note", detail={"carried": "charges"}, charges=charges)
    database.run("DROP TABLE charges")


def _carry_rows(database: Database, journal: Journal, seq: int, previous: bytes) -> None:
    """Write the rows into segments, behind those that were written when this was begun before."""
    make_private_directory(journal.directory)
    journal.joints.refresh()
    for segment in journal.joints.segments.values():
        if segment.opened.writer == CARRIED and segment.sealed is not None:
            seq, previous = segment.sealed.number, bytes.fromhex(segment.sealed.hash)
    lines: list[bytes] = []
    before, size, last_us = (seq, previous), 0, 0
    while rows := database.rows(_ROWS, (seq, _AT_ONCE)):
        for *content, digest in rows:
            line = b'%b,"%b"]\n' % (_encode(content)[:-1], digest.hex().encode())
            lines.append(line)
            size += len(line)
            seq, last_us, previous = content[0], content[1], digest
            if size >= MOST_BYTES:
                _write_segment(journal, lines, before, (seq, previous), last_us)
                lines, before, size = [], (seq, previous), 0
    if lines:
        _write_segment(journal, lines, before, (seq, previous), last_us)


def _write_segment(
    journal: Journal,
    lines: list[bytes],
    before: tuple[int, bytes],
    last: tuple[int, bytes],
    last_us: int,
) -> None:
    with journal.joints.locked() as adding:
        begun = [
            segment.n
            for segment in journal.joints.segments.values()
            if segment.opened.writer == CARRIED and segment.sealed is None
        ]
        n = begun[0] if begun else journal.joints.n + 1
        path = file_of(journal.directory, n)
        data = b"".join(lines)
        descriptor = open_private(path, os.O_WRONLY | os.O_TRUNC)
        try:
            done = os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if done != len(data):
            path.unlink()
            raise LedgerUnavailable(
                f"the ledger cannot be carried over into {journal.directory}: the disk is full",
                "Free as much space as the ledger takes, then start pktui again",
            )
        if not begun:
            adding.add("open", n, "calls", CARRIED, before[0], before[1].hex())
        adding.add("seal", n, "calls", CARRIED, last[0], last[1].hex(), len(data), last_us)


def _say_again(
    database: Database, journal: Journal, events: Events, *, whole: bool, first_us: int
) -> None:
    """Give what decides an event, as far as it stands as the log said."""
    recorded = Recorded()
    for segment in journal.joints.segments.values():
        if segment.opened.writer == CARRIED:
            for _, line in lines_of(file_of(journal.directory, segment.n)):
                recorded.saw(segment.n, decode_row(line))
    said = recorded.facts()
    asked = read_standing(database).arguments
    for row in kept_rows(database):
        place = (row.known.table, row.key)
        facts = said.pop(place, None)
        if facts is None:
            older = not whole and row.since_us <= first_us
            if older or not row.known.decides(row.facts):
                events.say_again(row)
            continue
        arguments = asked.get(row.key[-1]) if row.known.table == "approvals" else None
        if difference(row, facts, arguments):
            _contradict(events, row.known.table, row.key, facts)
        else:
            events.say_again(row)
    for (table, key), facts in said.items():
        if facts is not None and BY_TABLE[table].decides(facts):
            _contradict(events, table, key, facts)


def _contradict(events: Events, table: str, key: tuple[str, ...], facts: object) -> None:
    """Say what the log said of a row that stands otherwise, or is gone."""
    detail = {"row": (table, key, facts)}  # of no change: nobody makes it
    events.append(BY_TABLE[table].kind, effect="carried", detail=detail)
