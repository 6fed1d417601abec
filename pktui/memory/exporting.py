"""Records on their way through the client: batches going in, pages coming out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from pktui.memory.interchange import (
    CALL_MARK,
    EntryRecord,
    MessageRecord,
    Record,
    Reject,
    SessionRecord,
    UsageRecord,
    call_content,
)
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.memory.records import Call, Entry, Message, Page, Session

T = TypeVar("T")

PAGE = 200
# The service takes 16 MiB at once.
MAX_RECORD_BYTES = 8 * 1024 * 1024


class Readable(Protocol):
    """The part of the client that an export reads."""

    def session(self, session_id: int) -> Session:
        """Return a session."""

    def sessions(self, query: str = "", *, cursor: str | None = None, limit: int) -> Page[Session]:
        """List sessions."""

    def messages(self, session_id: int, *, after: int | None, limit: int) -> Page[Message]:
        """Return messages after a place in the session."""

    def calls(self, session_id: int, *, after: int, limit: int) -> Page[Call]:
        """Return calls after a place in the session."""

    def entries(self, *, cursor: str | None = None, limit: int) -> Page[Entry]:
        """List knowledge."""


def batches(
    records: Iterable[Record],
    most_records: int,
    most_bytes: int,
    refuse: Callable[[Reject], None],
) -> Iterator[list[bytes]]:
    """Split records into lists of JSON objects, each list within both limits where it can be.

    One that is larger than `MAX_RECORD_BYTES` is refused.
    """
    batch: list[bytes] = []
    size = 0
    for record in records:
        line = msgspec.json.encode(record)
        if len(line) > MAX_RECORD_BYTES:
            refuse(Reject(_place(record), f"is larger than {MAX_RECORD_BYTES} bytes"))
            continue
        if batch and (len(batch) >= most_records or size + len(line) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch


def _place(record: Record) -> str:
    match record:
        case SessionRecord(source=source, source_id=number):
            text = f"session {number} of {source}"
        case (
            MessageRecord(source=source, session=session, source_id=number)
            | UsageRecord(source=source, session=session, source_id=number)
        ):
            text = f"message {number} of {source} {session}"
        case EntryRecord(title=title):
            text = f"entry {title}"
    return one_line(text, 100)


def export(memory: Readable, session_id: int | None) -> Iterator[Record]:
    """Yield a session with its messages, or all sessions with theirs and then all knowledge."""
    if session_id is not None:
        yield from _session(memory, memory.session(session_id))
        return
    for session in _all(lambda cursor: memory.sessions(cursor=cursor, limit=PAGE)):
        yield from _session(memory, session)
    for entry in _all(lambda cursor: memory.entries(cursor=cursor, limit=PAGE)):
        yield _entry(entry)


def _all(page: Callable[[str | None], Page[T]]) -> Iterator[T]:
    cursor: str | None = None
    while True:
        part = page(cursor)
        yield from part.items
        if not part.cursor:
            return
        cursor = part.cursor


def native_key(number: int, made_at: datetime) -> str:
    """Return a name for a record of this store that no other store gives to one of its own."""
    return f"{number}-{int(made_at.timestamp() * 1_000_000)}"


def session_key(session: Session) -> str:
    """Return the `source_id` that a session is exported with."""
    return session.source_id or native_key(session.id, session.started_at)


def message_key(message: Message) -> str:
    """Return the `source_id` that a message is exported with: its own, else its place."""
    return message.source_id or str(message.seq)


def _session(memory: Readable, session: Session) -> Iterator[Record]:
    key = session_key(session)
    yield SessionRecord(
        source=session.source,
        source_id=key,
        started_at=session.started_at,
        name=session.name,
        status=session.status,
        ended_at=session.ended_at,
        summary=session.summary,
        agent=session.agent,
        project=session.project,
    )
    after = 0
    while page := memory.messages(session.id, after=after, limit=PAGE).items:
        for message in page:
            yield MessageRecord(
                source=session.source,
                session=key,
                source_id=message_key(message),
                role=message.role,
                content=message.content,
                created_at=message.created_at,
            )
        after = page[-1].seq
    seen = 0
    while calls := memory.calls(session.id, after=seen, limit=PAGE).items:
        for call in calls:
            yield MessageRecord(
                source=session.source,
                session=key,
                source_id=f"{CALL_MARK}{call.call_id or native_key(call.id, call.created_at)}",
                role="tool",
                content=call_content(call),
                created_at=call.created_at,
            )
        seen = calls[-1].seq


def _entry(entry: Entry) -> EntryRecord:
    return EntryRecord(
        title=entry.title,
        content=entry.content,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        source=entry.source,
        tags=entry.tags,
    )
