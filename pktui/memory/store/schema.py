"""What the tables hold, and how a record becomes a row and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pyarrow as pa

from pktui.memory.records import Call, Entry, Message, Role, Session, SessionStatus
from pktui.memory.store.session_catalogue import Listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The layout of tables and journal; a store with a higher number was made by a newer pktui.
FORMAT = 3

_TIME = pa.timestamp("us", tz="UTC")

# `owner` is the identity whose current session it is, `touched_at` when it was (re)opened.
#
# `request`, here and below, is the key of the request that wrote the row, so that the same request
# is known when it comes again; "" for imports. It came with format 2.
SESSIONS = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("status", pa.string()),
        ("started_at", _TIME),
        ("ended_at", _TIME),
        ("summary", pa.large_string()),
        ("agent", pa.string()),
        ("project", pa.string()),
        ("source", pa.string()),
        ("source_id", pa.string()),
        ("owner", pa.string()),
        ("touched_at", _TIME),
        ("request", pa.string()),
    ]
)

MESSAGES = pa.schema(
    [
        ("id", pa.int64()),
        ("session_id", pa.int64()),
        ("seq", pa.int64()),
        ("role", pa.string()),
        ("content", pa.large_string()),
        ("created_at", _TIME),
        ("source_id", pa.string()),
        ("request", pa.string()),
    ]
)

ENTRIES = pa.schema(
    [
        ("id", pa.int64()),
        ("title", pa.large_string()),
        ("content", pa.large_string()),
        ("source", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("created_at", _TIME),
        ("updated_at", _TIME),
        ("request", pa.string()),
    ]
)

# Tool calls, since format 3; before they were messages of the role `tool`.
CALLS = pa.schema(
    [
        ("id", pa.int64()),
        ("session_id", pa.int64()),
        ("seq", pa.int64()),
        ("tool", pa.string()),
        ("arguments", pa.large_string()),
        ("outcome", pa.string()),
        ("result", pa.large_string()),
        ("created_at", _TIME),
        ("call_id", pa.string()),
    ]
)

# Numbers that must survive deletions: the highest id ever used of each kind, and the format.
MARKS = pa.schema([("kind", pa.string()), ("value", pa.int64())])


def vectors_schema(dimension: int) -> pa.Schema:
    """Return the schema for vectors of that many numbers; `start` and `end` are characters."""
    return pa.schema(
        [
            ("kind", pa.string()),
            ("ref_id", pa.int64()),
            ("session_id", pa.int64()),
            ("chunk", pa.int32()),
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("model", pa.string()),
            ("vector", pa.list_(pa.float32(), dimension)),
        ]
    )


class MessageRow(msgspec.Struct, frozen=True, array_like=True):
    """A message and the key of the request that appended it."""

    message: Message
    request: str


class CallRow(msgspec.Struct, frozen=True, array_like=True):
    """A call."""

    call: Call


class EntryRow(msgspec.Struct, frozen=True, array_like=True):
    """An entry and the key of the request that added it."""

    entry: Entry
    request: str


def session_rows(rows: Iterable[Listed]) -> pa.Table:
    """Return one row a session."""
    values = [
        {
            "id": row.session.id,
            "name": row.session.name,
            "status": row.session.status,
            "started_at": row.session.started_at,
            "ended_at": row.session.ended_at,
            "summary": row.session.summary,
            "agent": row.session.agent,
            "project": row.session.project,
            "source": row.session.source,
            "source_id": row.session.source_id,
            "owner": row.owner,
            "touched_at": row.touched_at,
            "request": row.request,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(values, schema=SESSIONS)


def read_session(row: dict[str, Any]) -> Listed:
    """Return the session with what is known of it; its messages are counted later."""
    session = Session(
        id=row["id"],
        name=row["name"],
        status=cast("SessionStatus", row["status"]),
        started_at=_utc(row["started_at"]),
        ended_at=_utc(row["ended_at"]) if row["ended_at"] is not None else None,
        summary=row["summary"],
        agent=row["agent"],
        project=row["project"],
        source=row["source"],
        source_id=row["source_id"],
        last_activity=_utc(row["touched_at"]),
        title=row["name"],
    )
    return Listed(session, row["owner"], _utc(row["touched_at"]), row["request"])


def message_rows(rows: Sequence[MessageRow]) -> pa.Table:
    """Return one row a message."""
    messages = [row.message for row in rows]
    return pa.table(
        {
            "id": [m.id for m in messages],
            "session_id": [m.session_id for m in messages],
            "seq": [m.seq for m in messages],
            "role": [m.role for m in messages],
            "content": [m.content for m in messages],
            "created_at": [m.created_at for m in messages],
            "source_id": [m.source_id for m in messages],
            "request": [row.request for row in rows],
        },
        schema=MESSAGES,
    )


def read_messages(rows: pa.Table) -> list[Message]:
    """Return the messages by their ids."""
    found = [
        Message(
            id=row["id"],
            session_id=row["session_id"],
            seq=row["seq"],
            role=cast("Role", row["role"]),
            content=row["content"],
            created_at=_utc(row["created_at"]),
            source_id=row["source_id"],
        )
        for row in rows.to_pylist()
    ]
    return sorted(found, key=lambda message: message.id)


def call_rows(rows: Sequence[CallRow]) -> pa.Table:
    """Return one row a call."""
    values = [msgspec.structs.asdict(row.call) for row in rows]
    return pa.Table.from_pylist(values, schema=CALLS)


def read_calls(rows: pa.Table) -> list[Call]:
    """Return the calls by their ids."""
    found = [Call(**row | {"created_at": _utc(row["created_at"])}) for row in rows.to_pylist()]
    return sorted(found, key=lambda call: call.id)


def entry_rows(rows: Sequence[EntryRow]) -> pa.Table:
    """Return one row an entry."""
    values = [
        {
            "id": row.entry.id,
            "title": row.entry.title,
            "content": row.entry.content,
            "source": row.entry.source,
            "tags": list(row.entry.tags),
            "created_at": row.entry.created_at,
            "updated_at": row.entry.updated_at,
            "request": row.request,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(values, schema=ENTRIES)


def read_entry(row: dict[str, Any]) -> Entry:
    """Return the entry."""
    return Entry(
        id=row["id"],
        title=row["title"],
        content=row["content"],
        source=row["source"],
        tags=tuple(row["tags"]),
        created_at=_utc(row["created_at"]),
        updated_at=_utc(row["updated_at"]),
    )


def _utc(when: datetime) -> datetime:
    return when.astimezone(UTC)
