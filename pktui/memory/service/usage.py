"""The tokens that agents' answers took, each answer once, and their sums."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.errors import StoreError
from pktui.memory.records import UsageSum
from pktui.text import storable

if TYPE_CHECKING:
    from pktui.memory.interchange import UsageRecord

_TABLE: Final = """CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, day TEXT NOT NULL, agent TEXT NOT NULL, project TEXT NOT NULL,
    model TEXT NOT NULL, session TEXT NOT NULL,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, cached INTEGER NOT NULL
) WITHOUT ROWID"""
_INDEX: Final = "CREATE INDEX IF NOT EXISTS answers_day ON answers (day)"
# An answer comes again while it is written: what it took in the end counts.
_ADD: Final = """INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET
        tokens_in = max(tokens_in, excluded.tokens_in),
        tokens_out = max(tokens_out, excluded.tokens_out),
        cached = max(cached, excluded.cached)"""
_SUMS: Final = """SELECT day, agent, project, model,
    sum(tokens_in), sum(tokens_out), sum(cached), {}
    FROM answers WHERE day >= ? GROUP BY day, agent, project, model, {} ORDER BY day, agent"""
# No answer takes more: what a file says beyond that would be more than SQLite can add up.
_MOST_TOKENS: Final = 2**40


class UsageBook:
    """One SQLite file; safe from several threads. Raises `StoreError` where it can't be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, used: Sequence[UsageRecord]) -> None:
        """Keep what answers took; one that is known already counts once."""
        rows = [
            (
                hashlib.sha256(
                    storable(f"{one.source}\0{one.session}\0{one.source_id}").encode()
                ).digest(),
                one.created_at.astimezone().date().isoformat(),
                *map(storable, (one.source, one.project, one.model, one.session)),
                *map(_counted, (one.tokens_in, one.tokens_out, one.cached)),
            )
            for one in used
        ]
        with self._open() as database, database:
            database.executemany(_ADD, rows)

    def sums(self, since: str = "", *, by_session: bool = False) -> tuple[UsageSum, ...]:
        """Return the sums of each local day from `since` on."""
        what, group = ("session", "session") if by_session else ("''", "''")
        with self._open() as database:
            rows = database.execute(_SUMS.format(what, group), (since,)).fetchall()
        return tuple(UsageSum(*row) for row in rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, closing(sqlite3.connect(self._path)) as database:
                database.execute(_TABLE)
                database.execute(_INDEX)
                yield database
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} cannot be used: {error}", "Move it away") from error


def _counted(tokens: int) -> int:
    return min(max(tokens, 0), _MOST_TOKENS)
