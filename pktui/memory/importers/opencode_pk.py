"""Opencode Personal Knowledge: its `knowledge.db`, a SQLite file, opened for reading only.

Tables `sessions`, `session_messages` and `knowledge_entries`. A session's number is unique in its
file alone, so it is known by its number and the time it was started.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from pktui.errors import StoreError
from pktui.memory.exporting import native_key
from pktui.memory.importers.source import Rejects
from pktui.memory.importers.sqlite import read_only
from pktui.memory.interchange import EntryRecord, MessageRecord, Record, SessionRecord, check_times
from pktui.memory.records import ROLES

SOURCE = "opencode-pk"
FILE = "knowledge.db"
_TABLES = ("sessions", "session_messages", "knowledge_entries")

# What a row of unlikely values raises; `IndexError` one without a column that is wanted.
_UNREADABLE = (ValueError, TypeError, OverflowError, IndexError, msgspec.MsgspecError)

R = TypeVar("R", bound=Record)


def default_place() -> Path:
    """Return the directory where that server keeps its file."""
    chosen = os.environ.get("OPENCODE_PK_DATA_DIR")
    return Path(chosen) if chosen else Path.home() / ".local/share/opencode-personal-knowledge"


class OpencodePkSource:
    """A `knowledge.db`, or the directory it is in."""

    def __init__(self, path: Path) -> None:
        self._path = path / FILE if path.is_dir() else path
        self._read = 0
        self._rows = 0
        self.rejects = Rejects()

    @property
    def progress(self) -> tuple[int, int]:
        """Rows read so far and in all."""
        return self._read, self._rows

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; raises `StoreError` where the file is no such database."""
        if not self._path.exists():
            raise StoreError(f"{self._path} does not exist", f"Give the path of its {FILE}")
        try:
            with read_only(self._path) as database:
                self._rows = sum(
                    database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
                    for table in _TABLES
                )
                yield from self._sessions(database)
                for row in database.execute("SELECT * FROM knowledge_entries ORDER BY id"):
                    yield from self._one(f"entry {row['id']}", row, _entry)
        except sqlite3.Error as error:
            raise StoreError(
                f"{self._path} is not a database of Opencode Personal Knowledge: {error}",
                f"Give the path of its {FILE}",
            ) from error

    def _sessions(self, database: sqlite3.Connection) -> Iterator[Record]:
        for row in database.execute("SELECT * FROM sessions ORDER BY id"):
            messages = database.execute(
                "SELECT * FROM session_messages WHERE session_id = ? ORDER BY id", (row["id"],)
            )
            session = next(self._one(f"session {row['id']}", row, _session), None)
            if session is not None:
                yield session
            for message in messages:
                at = f"message {message['id']}"
                if session is None:
                    self._refuse(at, f"session {row['id']} could not be read")
                else:
                    yield from self._one(at, message, partial(_message, session))
        lost = "SELECT id FROM session_messages WHERE session_id NOT IN (SELECT id FROM sessions)"
        for (number,) in database.execute(lost):
            self._refuse(f"message {number}", "its session is not in the file")

    def _one(self, at: str, row: sqlite3.Row, read: Callable[[sqlite3.Row], R]) -> Iterator[R]:
        try:
            record = read(row)
            check_times(record)
        except _UNREADABLE as error:
            self._refuse(at, str(error))
            return
        self._read += 1
        yield record

    def _refuse(self, at: str, why: str) -> None:
        self._read += 1
        self.rejects.add(at, why)


def _session(row: sqlite3.Row) -> SessionRecord:
    started = _time(row["started_at"])
    return SessionRecord(
        source=SOURCE,
        source_id=native_key(_number(row["id"]), started),
        started_at=started,
        name=row["name"] or "",
        status="active" if row["is_active"] else "ended",
        ended_at=_time(row["ended_at"]) if row["ended_at"] else None,
        summary=row["summary"] or "",
    )


def _message(session: SessionRecord, row: sqlite3.Row) -> MessageRecord:
    role = row["role"]
    if role not in ROLES:
        raise ValueError(f"role {role!r} is not known")
    return MessageRecord(
        source=SOURCE,
        session=session.source_id,
        source_id=str(_number(row["id"])),
        role=role,
        content=_text(row["content"]),
        created_at=_time(row["created_at"]),
    )


def _entry(row: sqlite3.Row) -> EntryRecord:
    return EntryRecord(
        title=_text(row["title"]),
        content=_text(row["content"]),
        created_at=_time(row["created_at"]),
        updated_at=_time(row["updated_at"]),
        source=row["source"] or "",
        tags=msgspec.json.decode(row["tags"], type=tuple[str, ...]) if row["tags"] else (),
    )


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a number is missing where {type(value).__name__} is")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is missing where {type(value).__name__} is")
    return value


def _time(value: object) -> datetime:
    when = datetime.fromisoformat(_text(value))
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
