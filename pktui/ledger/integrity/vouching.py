"""Whether a row that decides stands as its event says: one without its event does not decide."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from pktui.ledger.integrity.vouched_columns import (
    APPLIED,
    BY_TABLE,
    Facts,
    Key,
    as_said,
    place_of_event,
)
from pktui.ledger.journal.segment import CONTENT, decode_row, file_of, line_at, split_key
from pktui.ledger.schema import VERSION

if TYPE_CHECKING:
    from pktui.ledger.transaction import Deciding

_DETAIL: Final = CONTENT.index("detail")
_NEXT: Final = f"UPDATE changes SET n = n + 1, schema = {VERSION} RETURNING n"  # noqa: S608


class Said(msgspec.Struct, frozen=True):
    """What an event's detail says of a row: its table, its key, and how it stands (None: gone).

    `change` is which change of all it is; `team` names the ledger that has the row, empty where
    that is `ledger.db`.
    """

    row: tuple[str, Key, Facts | None] | None = None
    change: int = 0
    team: str = ""


# Takes the text of a detail; raises `msgspec.DecodeError`.
read_said = msgspec.json.Decoder(Said).decode


class Vouchers(Protocol):
    """Where the events are found that say how rows stand. Raises `LedgerUnavailable`."""

    @property
    def team(self) -> str:
        """The name of the team's ledger that has the rows; empty: it is this machine's."""

    def next_change(self) -> int:
        """Count a change of a row, in the transaction that makes it; return which one it is."""

    def keep(self, key: int, offset: int, line: bytes, change: int) -> str:
        """Note that the event of a change is in these tables; return what its row knows it by.

        `key` is the event's, `offset` where its line begins.
        """

    def detail(self, event: str) -> str:
        """Return the detail of the event of that name, empty where there is none."""


class JournalVouchers:
    """The events of `ledger.db`'s rows, which are in the journal beside it."""

    team = ""

    def __init__(self, database: Deciding, directory: Path) -> None:
        self._database = database
        self._directory = directory

    def next_change(self) -> int:
        """Count a change."""
        row = self._database.row(_NEXT)
        assert row is not None
        return int(row[0])

    def keep(self, key: int, offset: int, line: bytes, change: int) -> str:
        """Note that the event's change is made; name its segment, number, offset and change."""
        segment, number = split_key(key)
        self._database.run(APPLIED, (segment, number, offset))
        return f"{segment}:{number}:{offset}:{change}"

    def detail(self, event: str) -> str:
        """Return what the journal says."""
        with suppress(ValueError, OSError, IndexError):
            segment, number, offset, _ = place_of_event(event)
            row = decode_row(line_at(file_of(self._directory, segment), offset))
            if row[0] == number:
                return str(row[_DETAIL])
        return ""


def said_by(vouchers: Vouchers, event: str) -> tuple[str, Key, Facts | None] | None:
    """Return the row that the event of that name says, and how it stands; None: there is none."""
    detail = vouchers.detail(event)
    with suppress(msgspec.DecodeError, LookupError):
        said = read_said(detail) if detail else Said()
        row = said.row if said.team == vouchers.team else None
        if row is not None and row[2] is not None:
            return row[0], row[1], BY_TABLE[row[0]].completed(row[2])
        return row
    return None


def stands(vouchers: Vouchers, database: Deciding, table: str, *key: str | int | bytes) -> bool:
    """Tell whether a row is as the event that it names says. Raises `LedgerUnavailable`."""
    known = BY_TABLE[table]
    columns = ", ".join(known.columns)
    row = database.row(
        f"SELECT event, {columns} FROM {table} WHERE {known.where}",  # noqa: S608
        key,
    )
    return row is not None and said_by(vouchers, row[0]) == as_said(known, key, row[1:])
