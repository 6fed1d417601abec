"""A machine's own ledger, carried over into the one that a team shares.

Everything that decides goes over, each row with a new event of this machine, and what is in use of
limits; then the journal is copied. What the team has already stays as it is there: of a tool that
is pinned in both, the team's pin counts. It is done by whoever owns the ledger, in one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import LedgerError
from pktui.ledger.integrity.vouched_columns import BY_TABLE, Decided
from pktui.ledger.journal.journal import charges_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pktui.ledger.database import Database
    from pktui.ledger.events import Events
    from pktui.ledger.postgres.database import SharedDatabase
    from pktui.ledger.records import Charged

# In the order rows were made, where that is known.
_ORDERED: Final = frozenset({"approvals", "standing", "grants"})
_HELD: Final = "SELECT name, digest FROM grants WHERE revoked_us = 0"
_COUNTER: Final = """INSERT INTO counters (key, used) VALUES (?, 0)
    ON CONFLICT (key) DO UPDATE SET used = counters.used RETURNING n"""
_THERE: Final = "SELECT count(*) FROM charges WHERE counter = ? AND at_us = ? AND amount = ?"
_CHARGE: Final = "INSERT INTO charges VALUES (?, ?, ?)"
_USED: Final = "UPDATE counters SET used = used + ? WHERE n = ?"


class Moved(msgspec.Struct, frozen=True):
    """How many rows of each table went over, how many the team had, and how many charges."""

    rows: dict[str, int]
    there: dict[str, int]
    charges: int


def move(
    own: Database,
    shared: SharedDatabase,
    events: Events,
    journal: Path,
    clock: Callable[[], int],
) -> Moved:
    """Carry all that decides over, or nothing.

    Raises `LedgerUnavailable`, `LedgerError` where a grant's name is taken in the team.
    """
    rows: dict[str, int] = {}
    there: dict[str, int] = {}
    with own.transaction():
        taken = list(charges_of(journal, clock))  # the team's database waits for nobody so long
        with shared.transaction():
            _check_grants(own, shared)
            shared.run("ALTER TABLE approvals DISABLE TRIGGER approvals_are_decided_once")
            for table in BY_TABLE.values():
                rows[table.table], there[table.table] = _move_table(table, own, shared, events)
            shared.run("ALTER TABLE approvals ENABLE TRIGGER approvals_are_decided_once")
            charges = _move_charges(taken, shared)
    return Moved(rows, there, charges)


def _check_grants(own: Database, shared: SharedDatabase) -> None:
    """Raise where a grant that stands has a name that another of the team's has."""
    held: dict[str, bytes] = dict(shared.rows(_HELD))
    for name, digest in own.rows(_HELD):
        if held.get(name, digest) != digest:
            raise LedgerError(
                f"the team has another grant {name} already, so nothing was carried over",
                f"Revoke this machine's first: pktui grants revoke {name}",
            )


def _move_table(
    table: Decided, own: Database, shared: SharedDatabase, events: Events
) -> tuple[int, int]:
    columns = [
        row[0]
        for row in own.rows(f"SELECT name FROM pragma_table_info('{table.table}')")  # noqa: S608
        if row[0] != "event" and not (row[0] == "n" and table.table in _ORDERED)
    ]
    names, key = ", ".join(columns), [columns.index(name) for name in table.key]
    order = " ORDER BY n" if table.table in _ORDERED else ""
    moved = there = 0
    for row in own.rows(f"SELECT {names} FROM {table.table}{order}"):  # noqa: S608
        marks = ", ".join("?" * len(row))
        where = ", ".join(table.key)
        done = shared.run(
            f"INSERT INTO {table.table} ({names}) VALUES ({marks})"  # noqa: S608
            f" ON CONFLICT ({where}) DO NOTHING",
            row,
        )
        if done:
            moved += 1
            where_to = (table.table, *(row[at] for at in key))
            events.append(table.kind, effect="carried", row=where_to)
        else:
            there += 1
    return moved, there


def _move_charges(found: Sequence[Charged], shared: SharedDatabase) -> int:
    """Carry over what is taken and was not given back; windows leave out what is too old."""
    taken: dict[tuple[str, int, int], int] = {}
    for one in found:
        place = one.key, one.at_us, abs(one.amount)
        taken[place] = taken.get(place, 0) + (1 if one.amount > 0 else -1)
    count = 0
    for (key, at_us, amount), times in taken.items():
        if times <= 0:
            continue
        row = shared.row(_COUNTER, (key,))
        assert row is not None
        (there,) = shared.row(_THERE, (row[0], at_us, amount)) or (0,)
        for _ in range(times - there):
            shared.run(_CHARGE, (row[0], at_us, amount))
            shared.run(_USED, (amount, row[0]))
            count += 1
    return count
