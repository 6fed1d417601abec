"""Whether a row that decides stands as its event says: one without its event does not decide."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.ledger.approvals.decided import BY_TABLE, Facts, Key, place_of_event, row_facts
from pktui.ledger.journal.segment import CONTENT, decode_row, file_of, line_at

if TYPE_CHECKING:
    from pktui.ledger.database import Database

_DETAIL: Final = CONTENT.index("detail")


class _Said(msgspec.Struct, frozen=True):
    row: tuple[str, Key, Facts | None] | None = None


_decode = msgspec.json.Decoder(_Said).decode


def said_by(directory: Path, event: str) -> tuple[str, Key, Facts | None] | None:
    """Return the row that the event of that name says, and how it stands; None: there is none."""
    with suppress(ValueError, OSError, msgspec.DecodeError, LookupError):
        segment, number, offset, _ = place_of_event(event)
        row = decode_row(line_at(file_of(directory, segment), offset))
        if row[0] == number and row[_DETAIL]:
            said = _decode(row[_DETAIL]).row
            if said is not None and said[2] is not None:
                return said[0], said[1], BY_TABLE[said[0]].completed(said[2])
            return said
    return None


def stands(directory: Path, database: Database, table: str, *key: str | int | bytes) -> bool:
    """Tell whether a row is as the event that it names says. Raises `LedgerUnavailable`."""
    where = " AND ".join(f"{column} = ?" for column in BY_TABLE[table].key)
    row = database.row(f"SELECT event FROM {table} WHERE {where}", key)  # noqa: S608
    said = said_by(directory, row[0]) if row is not None else None
    if said is None:
        return False
    now = row_facts(database, table, *key)["row"]
    return (said[0], list(said[1]), said[2]) == now
