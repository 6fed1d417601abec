"""What an open store is made of: its tables, and what of them is at hand in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from pktui.errors import StoreError
from pktui.memory.search.corpus import Corpus
from pktui.memory.store import schema
from pktui.memory.store.requests import DELETION_KEPT, DELETION_PREFIX, Requests
from pktui.memory.store.session_catalogue import Catalogue, Listed
from pktui.memory.store.vector_table import VectorTable
from pktui.memory.store.write_behind import Kind, WriteBehind
from pktui.times import microseconds

if TYPE_CHECKING:
    from pktui.memory.records import Entry
    from pktui.memory.store.tables import Database

Clock = Callable[[], datetime]


class State:
    """Tables and memory, with the two locks that guard them.

    Rows are added through `rows`. `writing` is held around that and the change in memory that
    follows it, so that both happen in the same order. `lock` is held around every look at memory,
    and never during a commit. Who needs both takes `writing` first.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        forget_index: Callable[[], None],
        *,
        sync: bool = False,
    ) -> None:
        """`forget_index` removes the saved index, in which what is to be deleted may stand."""
        self.database = database
        self.forget_index = forget_index
        self.clock = clock
        self.writing = threading.Lock()
        self.lock = threading.RLock()
        self.marks_table = database.table("marks", schema.MARKS)
        self.sessions_table = database.table("sessions", schema.SESSIONS)
        self.messages_table = database.table("messages", schema.MESSAGES)
        self.entries_table = database.table("entries", schema.ENTRIES)
        self.calls_table = database.table("calls", schema.CALLS)
        self.tables = (
            self.marks_table,
            self.sessions_table,
            self.messages_table,
            self.calls_table,
            self.entries_table,
        )
        self.rows = WriteBehind(database, self._kinds(), sync=sync)
        self.catalogue = Catalogue()
        self.entries: dict[int, Entry] = {}
        self.messages = Corpus(keep_texts=True)
        self.calls = Corpus(keep_texts=True)
        self.knowledge = Corpus()
        self.marks: dict[str, int] = {}
        self.requests = Requests()
        self.vectors = VectorTable(database)

    def _kinds(self) -> tuple[Kind, ...]:
        """Return what the tables' rows are, those that others refer to first."""
        return (
            Kind(
                "session",
                Listed,
                self.sessions_table,
                schema.session_rows,
                id_of=lambda row: row.session.id,
                once=False,
            ),
            Kind(
                "message",
                schema.MessageRow,
                self.messages_table,
                schema.message_rows,
                id_of=lambda row: row.message.id,
                once=True,
            ),
            Kind(
                "call",
                schema.CallRow,
                self.calls_table,
                schema.call_rows,
                id_of=lambda row: row.call.id,
                once=True,
            ),
            Kind(
                "entry",
                schema.EntryRow,
                self.entries_table,
                schema.entry_rows,
                id_of=lambda row: row.entry.id,
                once=False,
            ),
        )

    def next_id(self, kind: str) -> int:
        """Return an id that was never used; the caller holds `writing`."""
        self.marks[kind] = self.marks.get(kind, 0) + 1
        return self.marks[kind]

    def keep_marks(self, deletion: str = "") -> None:
        """Commit the highest ids, before rows that bear them go; the caller holds `writing`.

        `deletion` is the mark of the request that removes them, kept with the time.
        """
        kept = self.marks | ({deletion: microseconds(self.clock())} if deletion else {})
        rows = {"kind": list(kept), "value": list(kept.values())}
        self.marks_table.upsert(pa.table(rows, schema=schema.MARKS), "kind")

    def check_format(self) -> bool:
        """Read the marks; refuse a store that a newer pktui made, sign a new one.

        Returns whether it is of an older layout: it has its columns now, and is to be signed.
        """
        rows = self.marks_table.read().to_pylist()
        for row in sorted(rows, key=lambda row: int(row["value"])):
            if row["kind"].startswith(DELETION_PREFIX):
                self.requests.fill_deletion(row["kind"])
            else:
                self.marks[row["kind"]] = row["value"]
        self._forget_deletions([row["value"] for row in rows if row["kind"] not in self.marks])
        found = self.marks.setdefault("format", schema.FORMAT)
        if found > schema.FORMAT:
            raise StoreError(
                f"the memory at {self.database.place.shown} has format {found}, this pktui reads "
                f"up to {schema.FORMAT}",
                "Use the newer pktui that made it",
            )
        if self.marks_table.count() == 0:
            self.sign()
        elif found < schema.FORMAT:
            self._add_columns()
        return found < schema.FORMAT

    def _forget_deletions(self, times: list[int]) -> None:
        """Remove the marks of requests that nobody sends again."""
        if not times:
            return
        oldest = microseconds(self.clock() - DELETION_KEPT)
        if any(time < oldest for time in times):
            self.marks_table.delete(f"kind LIKE '{DELETION_PREFIX}%' AND value < {oldest}")

    def _add_columns(self) -> None:
        """Give older tables the columns they lack."""
        for table in (self.sessions_table, self.messages_table, self.entries_table):
            if "request" not in table.schema.names:
                table.add_text_column("request")

    def sign(self) -> None:
        """Say that the store is of this layout."""
        self.marks["format"] = schema.FORMAT
        self.keep_marks()
