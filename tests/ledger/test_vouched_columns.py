"""Every column of every table is vouched for by the log, or free for a reason that is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.ledger.integrity.vouched_columns import DECIDED, NOT_DECIDED

if TYPE_CHECKING:
    from pktui.ledger import Ledger


def columns_of(ledger: Ledger, table: str) -> set[str]:
    return {
        row[0] for row in ledger._database.rows("SELECT name FROM pragma_table_info(?)", (table,))
    }


def test_no_table_is_forgotten(ledger: Ledger) -> None:
    made = {
        row[0]
        for row in ledger._database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    decided = {one.table for one in DECIDED}
    assert decided | NOT_DECIDED.keys() == made
    assert not decided & NOT_DECIDED.keys()
    assert all(NOT_DECIDED.values())


def test_no_column_is_forgotten_or_named_twice(ledger: Ledger) -> None:
    for one in DECIDED:
        named = (*one.columns, *one.free)
        assert sorted(named) == sorted(columns_of(ledger, one.table)), one.table
        assert all(one.free.values())
        assert one.name in named
        assert one.since in named
        assert one.open is None or one.open[0] in one.plain
