"""Events whose change was not committed: their process died, or the disk failed, in between.

Of a change of a row that decides the event is written first. Whoever opens the ledger next makes
the change, once: a question that was answered stays answered, an approval that was used stays
used. What the event cannot tell in full (it keeps arguments masked, and no secret) never was, and
another event says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.ledger.arguments.canonical import is_hash_of
from pktui.ledger.integrity.vouched_columns import (
    APPLIED,
    BY_TABLE,
    Decided,
    Facts,
    Key,
    place_of_event,
    row_facts,
)
from pktui.ledger.integrity.vouching import read_said
from pktui.ledger.journal.segment import CONTENT, decode_row, file_of, lines_of
from pktui.ledger.records import EventKind

if TYPE_CHECKING:
    from pktui.ledger.database import Database
    from pktui.ledger.events import Events
    from pktui.ledger.journal.joints import Segment
    from pktui.ledger.journal.journal import Journal

_KIND, _DETAIL = CONTENT.index("kind"), CONTENT.index("detail")
# What a row that says how another one stands has in its line.
_CHANGE: Final = rb"\"row\":"
_WATCHED: Final = frozenset({"approval", "grant", "pin", "note"})
_NOTHING: Final = hashlib.sha256(b"").hexdigest()
# More than this of a segment is not looked through twice.
_NOTED_BYTES: Final = 256 * 1024
_BLOBS: Final = frozenset({("grants", "key"), ("grants", "digest")})


class _Change(msgspec.Struct, frozen=True):
    """A change that an event says and that may not be made yet."""

    segment: int
    number: int
    offset: int
    kind: EventKind
    table: str
    key: Key
    facts: Facts | None
    change: int


class Applying:
    """Makes the changes that events say."""

    def __init__(self, database: Database, journal: Journal, events: Events) -> None:
        self._database = database
        self._journal = journal
        self._events = events

    def catch_up(self) -> None:
        """Make what is left of changes in segments that nobody holds; seal those of the dead.

        Raises `LedgerUnavailable`.
        """
        if self._is_new():
            self._number_changes()
        shared = [segment for segment in self._unsealed() if self._is_left(segment)]
        if shared or self._journal.has_dead():
            with self._database.transaction():
                for segment in shared:
                    self.apply(file_of(self._journal.directory, segment.n), segment)
                self._journal.seal_dead(self.apply)

    def _is_new(self) -> bool:
        """Tell whether `ledger.db` was made anew beside a journal that was there before."""
        self._journal.joints.refresh()
        return bool(self._journal.joints.segments) and self._database.row(
            "SELECT n FROM changes"
        ) == (0,)

    def _number_changes(self) -> None:
        """Let changes be numbered after all that the journal has, so that `verify` misses them."""
        newest = 0
        for segment in self._journal.joints.segments.values():
            if segment.opened.shelf == "calls" and segment.pruned is None:
                path = file_of(self._journal.directory, segment.n)
                changes = (change for change, _ in _changes(path, segment.n, 0) if change)
                newest = max(newest, *(change.change for change in changes), 0)
        if newest:
            with self._database.transaction():
                self._database.run("UPDATE changes SET n = max(n, ?)", (newest,))

    def mend(self) -> None:
        """Make what is left of changes everywhere: a commit of this process failed.

        To be called in a transaction that has the write lock, which no writer of such events is
        without.
        """
        for segment in self._unsealed():
            self.apply(file_of(self._journal.directory, segment.n), segment)

    def apply(self, path: Path, segment: Segment) -> None:
        """Make what is left of the changes of a segment."""
        number, offset = self._applied(segment.n)
        end = offset
        for change, reached in _changes(path, segment.n, offset):
            end = reached
            if change is not None and change.number > number:
                self._apply(change)
        if end - offset > _NOTED_BYTES:
            self._database.run(APPLIED, (segment.n, number, end))

    def _unsealed(self) -> list[Segment]:
        self._journal.joints.refresh()
        return [
            segment
            for segment in self._journal.joints.segments.values()
            if segment.sealed is None and segment.opened.shelf == "calls"
        ]

    def _is_left(self, segment: Segment) -> bool:
        """Tell whether a shared segment may have changes that are not made."""
        if segment.opened.writer.isdigit():
            return False  # it is its writer's, dead or alive
        number, offset = self._applied(segment.n)
        path, end = file_of(self._journal.directory, segment.n), offset
        for change, reached in _changes(path, segment.n, offset):
            end = reached
            if change is not None and change.number > number:
                return True
        return end - offset > _NOTED_BYTES

    def _applied(self, segment: int) -> tuple[int, int]:
        row = self._database.row("SELECT number, offset FROM applied WHERE segment = ?", (segment,))
        return (row[0], row[1]) if row else (0, 0)

    def _apply(self, change: _Change) -> None:
        known = BY_TABLE[change.table]
        key = _stored(known, known.key, change.key)
        where = known.where
        row = self._database.row(f"SELECT event FROM {known.table} WHERE {where}", key)  # noqa: S608
        made = place_of_event(row[0])[3] if row else 0
        self._database.run("UPDATE changes SET n = max(n, ?)", (change.change,))
        if made < change.change:
            self._database.run("SAVEPOINT applying")
            self._make(known, change.facts, key, where, there=row is not None)
            if row_facts(self._database, known.table, *key)["row"] == (
                known.table, change.key, change.facts
            ):  # fmt: skip
                self._database.run("RELEASE applying")
                event = f"{change.segment}:{change.number}:{change.offset}:{change.change}"
                self._database.run(
                    f"UPDATE {known.table} SET event = ? WHERE {where}",  # noqa: S608
                    (event, *key),
                )
            else:
                self._database.run("ROLLBACK TO applying")
                self._database.run("RELEASE applying")
                self._events.append(change.kind, effect="undone", row=(known.table, *key))
        self._database.run(APPLIED, (change.segment, change.number, change.offset))

    def _make(
        self, known: Decided, facts: Facts | None, key: tuple[Any, ...], where: str, *, there: bool
    ) -> None:
        """Change a row as far as its event tells; what comes of it is compared."""
        table, run = known.table, self._database.run
        if facts is None:
            run(f"DELETE FROM {table} WHERE {where}", key)  # noqa: S608
            return
        if not there and any(facts[column] != _NOTHING for column in known.digested):
            return
        if table == "tools" and not self._is_defined_so(facts, key):
            return
        columns = known.plain if there else (*known.key, *known.plain)
        values = _stored(known, columns, [facts[column] for column in columns])
        if there:
            sets = ", ".join(f"{column} = ?" for column in columns)
            run(f"UPDATE {table} SET {sets} WHERE {where}", (*values, *key))  # noqa: S608
        else:
            extra = {"standing": ("uses", "used_us")}.get(table, ())
            names = ", ".join((*columns, *known.digested, *extra))
            row = (*values, *("" for _ in known.digested), *(0 for _ in extra))
            marks = ", ".join("?" * len(row))
            run(f"INSERT INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608
        if table == "approvals" and facts["status"] not in ("pending", "allowed"):
            run(
                "UPDATE approvals SET arguments = masked, beside = masked_beside,"
                " changed = masked_changed, look = masked_look WHERE id = ?",
                key,
            )
        elif table == "tools" and facts["pinned_hash"] == facts["hash"]:
            run(
                "UPDATE tools SET pinned_definition = definition WHERE server = ? AND name = ?", key
            )

    def _is_defined_so(self, facts: Facts, key: tuple[Any, ...]) -> bool:
        """Tell whether the definition that is there is the one the event speaks of."""
        row = self._database.row("SELECT definition FROM tools WHERE server = ? AND name = ?", key)
        return row is not None and is_hash_of(str(facts["hash"]), row[0])


def _changes(path: Path, segment: int, offset: int) -> Iterator[tuple[_Change | None, int]]:
    """Give each row's change, None where it says none, with where the row ends."""
    with suppress(FileNotFoundError):
        for begin, line in lines_of(path, offset):
            end = begin + len(line) + 1
            yield _change(segment, begin, line) if _CHANGE in line else None, end


def _change(segment: int, offset: int, line: bytes) -> _Change | None:
    with suppress(ValueError, TypeError, LookupError):  # what is none is for `audit verify`
        row = decode_row(line)
        if row[_KIND] in _WATCHED and row[_DETAIL]:
            said = read_said(row[_DETAIL])
            if said.row is not None and said.change and not said.team:
                table, key, facts = said.row
                known = BY_TABLE[table]
                _stored(known, known.key, key)
                if facts is not None:
                    facts = known.completed(facts)
                    _stored(known, known.columns, [facts[column] for column in known.columns])
                return _Change(segment, row[0], offset, row[_KIND], table, key, facts, said.change)
    return None


def _stored(known: Decided, columns: Sequence[str], values: Sequence[Any]) -> tuple[Any, ...]:
    """Return values as their columns have them: blobs, and the number of a single row."""
    return tuple(
        bytes.fromhex(value)
        if (known.table, column) in _BLOBS
        else int(value)
        if column == "one"
        else value
        for column, value in zip(columns, values, strict=True)
    )
