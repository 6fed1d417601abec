"""opencode: its `opencode.db`, a SQLite file with the tables `session`, `message` and `part`.

A part is one record here: what the person or the agent said, or a tool call with its outcome. A
subagent's session is one of its own, as opencode keeps it. A part that is still being written, in
the last message of its session, is left for the next time.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from pktui.errors import StoreError
from pktui.memory.importers.calls import SETTLED_S, Call, Masks, Outcome, arguments_of, call_record
from pktui.memory.importers.lines import UNREADABLE, decode, read_part
from pktui.memory.importers.source import Rejects, key
from pktui.memory.importers.sqlite import columns, read_only
from pktui.memory.interchange import (
    MessageRecord,
    Record,
    SessionRecord,
    UsageRecord,
    check_times,
)
from pktui.memory.records import Role
from pktui.text import storable

SOURCE: Final = "opencode"
FILE: Final = "opencode.db"

# Columns without which a table cannot be read.
_NEEDED: Final = {
    "session": {"id", "parent_id", "directory", "title", "time_created", "time_updated"},
    "message": {"id", "session_id", "time_created", "data"},
    "part": {"id", "message_id", "time_created", "data"},
}
# Made beside them by newer versions, and empty in all that were seen.
_NEWER: Final = "session_message"
_ROLES: Final[dict[str, Role]] = {"user": "user", "assistant": "agent"}
# Kinds of parts that say nothing which the others don't.
_SILENT: Final = frozenset(
    (
        "agent", "compaction", "file", "patch", "reasoning", "retry", "snapshot", "step-finish",
        "step-start", "subtask",
    )
)  # fmt: skip
_SESSIONS: Final = (
    "SELECT id FROM session WHERE coalesce(time_updated, 0) >= ? ORDER BY time_created, id"
)
_MESSAGES: Final = "SELECT id FROM message WHERE session_id = ? ORDER BY time_created, id"
_PARTS: Final = "SELECT id FROM part WHERE message_id = ? ORDER BY id"

_ENDED: Final = ("completed", "error")
# What a session is called until it has a title.
_UNTITLED: Final = re.compile(r"(?:New|Child) session - \d{4}-\d\d-\d\dT")
# How opencode words a person's, or a rule's, refusal.
_REFUSED: Final = ("The user rejected permission", "The user has specified a rule which prevents")

T = TypeVar("T")


class _Time(msgspec.Struct):
    """Milliseconds since the epoch; of a message `completed`, of a part or a call `end`."""

    start: int | None = None
    end: int | None = None
    completed: int | None = None


class _Cache(msgspec.Struct):
    read: int = 0
    write: int = 0


class _Tokens(msgspec.Struct):
    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache: _Cache = msgspec.field(default_factory=_Cache)


class _MessageData(msgspec.Struct):
    role: str
    time: _Time = msgspec.field(default_factory=_Time)
    tokens: Any = None
    model: str = msgspec.field(default="", name="modelID")


class _Metadata(msgspec.Struct):
    """Of a command's call, its exit code."""

    exit: Any = None


class _State(msgspec.Struct):
    status: str
    input: Any = None
    output: str = ""
    error: str = ""
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    time: _Time = msgspec.field(default_factory=_Time)


class _PartData(msgspec.Struct):
    type: str
    text: str = ""
    synthetic: bool = False
    ignored: bool = False
    tool: str = ""
    call_id: str = msgspec.field(default="", name="callID")
    state: _State | None = None
    time: _Time = msgspec.field(default_factory=_Time)


_MESSAGE: Final = msgspec.json.Decoder(_MessageData)
_PART: Final = msgspec.json.Decoder(_PartData)


class _Message(msgspec.Struct):
    """A message as its parts need it; `settled` once nothing more is written to it."""

    session: str
    role: Role
    settled: bool
    used: UsageRecord | None


def default_place() -> Path:
    """Return the directory where opencode keeps its sessions."""
    data = os.environ.get("XDG_DATA_HOME")
    return Path(data or Path.home() / ".local/share") / "opencode"


def _file(path: Path) -> Path:
    """Return the database in a directory; builds of other channels add a name to the file's."""
    if not path.is_dir():
        return path
    usual, others = path / FILE, list(path.glob("opencode-*.db"))
    return others[0] if len(others) == 1 and not usual.exists() else usual


class OpencodeSource:
    """An `opencode.db`, or the directory it is in; `wall` tells the time in epoch seconds.

    Sessions that were not written to after `since` are left out.
    """

    def __init__(
        self,
        path: Path,
        masks: Masks,
        wall: Callable[[], float] = time.time,
        *,
        since: float = 0.0,
    ) -> None:
        self._since_ms = round(since * 1000)
        self._path = _file(path)
        self._masks = masks
        self._wall = wall
        self._read = 0
        self._parts = 0
        self.rejects = Rejects()

    @property
    def progress(self) -> tuple[int, int]:
        """Parts of messages read so far and in all."""
        return min(self._read, self._parts), self._parts

    def __iter__(self) -> Iterator[Record]:
        """Yield the records; raises `StoreError` where the file is no such database."""
        try:
            with read_only(self._path) as database:
                self._check(database)
                self._parts = database.execute("SELECT count(*) FROM part").fetchone()[0]
                for row in database.execute(_SESSIONS, (self._since_ms,)):
                    yield from self._session(database, row["id"])
        except OSError as error:
            raise StoreError(
                f"{storable(str(self._path))} cannot be read: {error.strerror or error}",
                f"Give the path of opencode's {FILE}",
            ) from error
        except sqlite3.Error as error:
            raise StoreError(
                f"{storable(str(self._path))} is no database of opencode: {error}",
                f"Give the path of its {FILE}",
            ) from error

    def _check(self, database: sqlite3.Connection) -> None:
        for table, needed in _NEEDED.items():
            missing = needed - columns(database, table)
            if missing:
                raise sqlite3.DatabaseError(f"its table {table} lacks {', '.join(sorted(missing))}")
        if columns(database, _NEWER):
            newer = database.execute(f"SELECT count(*) FROM {_NEWER}").fetchone()[0]  # noqa: S608
            self.rejects.pass_over(f"row of {_NEWER}", newer)

    def _session(self, database: sqlite3.Connection, number: object) -> Iterator[Record]:
        session = self._taken(f"session {number}", partial(_session, database, number))
        if session is None:
            return
        told = False
        written_at = session.ended_at or session.started_at
        open_end = self._wall() - written_at.timestamp() <= SETTLED_S
        messages = database.execute(_MESSAGES, (number,))
        row = messages.fetchone()
        while row is not None:
            after = messages.fetchone()
            growing = open_end and after is None
            for record in self._message(database, session, row[0], growing=growing):
                if not told:
                    yield session
                    told = True
                yield record
            row = after

    def _message(
        self, database: sqlite3.Connection, session: SessionRecord, number: object, *, growing: bool
    ) -> Iterator[Record]:
        read = partial(_message, database, session, number, growing=growing)
        message = self._taken(f"message {number}", read)
        if message is None:
            return
        for (part,) in database.execute(_PARTS, (number,)):
            self._read += 1
            record = self._taken(f"part {part}", partial(self._part, database, message, part))
            if record is not None:
                yield record
        if message.used is not None:
            yield message.used

    def _part(
        self, database: sqlite3.Connection, message: _Message, number: object
    ) -> MessageRecord | None:
        row = _row(database, "part", number)
        part = decode(_bytes(row["data"]), _PART)
        if part.type == "text":
            return _text(message, row, part)
        if part.type == "tool":
            call = _call(message, row, part)
            return call_record(SOURCE, message.session, call, self._masks) if call else None
        if part.type not in _SILENT:
            self.rejects.pass_over(f"part {part.type}")
        return None

    def _taken(self, at: str, read: Callable[[], T]) -> T | None:
        """Return what was read, None where it cannot be and was named."""
        try:
            record = read()
            if isinstance(record, SessionRecord | MessageRecord):
                check_times(record)
        except (*UNREADABLE, sqlite3.DataError) as error:
            self.rejects.add(at, str(error))
            return None
        return record


def _row(database: sqlite3.Connection, table: str, number: object) -> sqlite3.Row:
    """Return a row by its id; raises `sqlite3.DataError` for one that is too large."""
    found = database.execute(f"SELECT * FROM {table} WHERE id = ?", (number,))  # noqa: S608
    row: sqlite3.Row | None = found.fetchone()
    if row is None:
        raise ValueError("its id is no text")
    return row


def _session(database: sqlite3.Connection, number: object) -> SessionRecord:
    row = _row(database, "session", number)
    title, parent = _str(row["title"]), row["parent_id"]
    return SessionRecord(
        source=SOURCE,
        source_id=key(_str(row["id"])),
        started_at=_moment(row["time_created"]),
        ended_at=_moment(row["time_updated"]),
        name="" if _UNTITLED.match(title) else title,
        summary=f"A subagent of session {parent}" if isinstance(parent, str) else "",
        agent=SOURCE,
        project=_str(row["directory"]),
    )


def _message(
    database: sqlite3.Connection, session: SessionRecord, number: object, *, growing: bool
) -> _Message:
    row = _row(database, "message", number)
    data = decode(_bytes(row["data"]), _MESSAGE)
    role = _ROLES.get(data.role)
    if role is None:
        raise ValueError(f"role {data.role!r} is not known")
    settled = not growing or role == "user" or bool(data.time.completed)
    return _Message(session.source_id, role, settled, _used(session, row, data))


def _used(session: SessionRecord, row: sqlite3.Row, data: _MessageData) -> UsageRecord | None:
    tokens = read_part(data.tokens, _Tokens)
    if tokens is None:
        return None
    return UsageRecord(
        source=SOURCE,
        session=session.source_id,
        source_id=key(_str(row["id"])),
        created_at=_moment(row["time_created"]),
        model=data.model,
        tokens_in=tokens.input + tokens.cache.write,
        tokens_out=tokens.output + tokens.reasoning,
        cached=tokens.cache.read,
        project=session.project,
    )


def _text(message: _Message, row: sqlite3.Row, part: _PartData) -> MessageRecord | None:
    written = message.settled or part.time.end is not None
    if part.synthetic or part.ignored or not written or not part.text.strip():
        return None
    return MessageRecord(
        source=SOURCE,
        session=message.session,
        source_id=key(_str(row["id"])),
        role=message.role,
        content=part.text,
        created_at=_moment(row["time_created"]),
    )


def _call(message: _Message, row: sqlite3.Row, part: _PartData) -> Call | None:
    state = part.state or _State("")
    if state.status not in _ENDED and not message.settled:
        return None
    began = state.time.start if state.time.start is not None else row["time_created"]
    return Call(
        call_id=part.call_id or _str(row["id"]),
        tool=part.tool,
        arguments=arguments_of(state.input),
        made_at=_moment(began),
        outcome=_outcome(state),
        result=state.error or state.output,
    )


def _outcome(state: _State) -> Outcome:
    if state.status == "error":
        return "denied" if state.error.startswith(_REFUSED) else "error"
    if state.status != "completed":
        return "no result"
    return "error" if state.metadata.exit else "ok"


def _moment(milliseconds: object) -> datetime:
    if not isinstance(milliseconds, int):
        raise TypeError(f"a time is missing where {type(milliseconds).__name__} is")
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is missing where {type(value).__name__} is")
    return value


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else _str(value).encode(errors="replace")
