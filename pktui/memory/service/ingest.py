"""Taking records in: what is known is found by its source, what is new is added, in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pktui.errors import NotFound
from pktui.memory.exporting import message_key, native_key
from pktui.memory.interchange import (
    EntryRecord,
    ImportReport,
    MessageRecord,
    Record,
    Reject,
    SessionRecord,
    UsageRecord,
    call_of_message,
    check_times,
)
from pktui.memory.records import Entry, Message, NewCall, NewMessage, Session
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.memory.service.usage import UsageBook
    from pktui.memory.store import Store

PAGE = 1000
_REMEMBERED_SESSIONS = 64


class Ingest:
    """Imports, one batch at a time. What a batch reports as added is on disk.

    A message is known by its key in its session; the keys of the sessions met last are kept, so
    that a session in many batches is read once.
    """

    def __init__(self, usage: UsageBook | None = None) -> None:
        self._usage = usage
        self._lock = threading.Lock()
        self._keys: dict[int, set[str]] = {}

    def take(self, store: Store, records: Sequence[Record]) -> ImportReport:
        """Add what is new among the records: sessions first, then messages, then knowledge."""
        records, refused = _in_time(records)
        with self._lock:
            sessions = _take_sessions(store, [r for r in records if isinstance(r, SessionRecord)])
            messages = self._take_messages(
                store, [r for r in records if isinstance(r, MessageRecord)]
            )
            entries = _take_entries(store, [r for r in records if isinstance(r, EntryRecord)])
            used = [r for r in records if isinstance(r, UsageRecord)]
            if self._usage is not None and used:
                self._usage.add(used)
        return refused.plus(sessions).plus(messages).plus(entries)

    def _take_messages(self, store: Store, records: Sequence[MessageRecord]) -> ImportReport:
        homes = _Homes(store)
        rejects: list[Reject] = []
        new: list[NewMessage] = []
        new_keys: dict[int, set[str]] = {}
        calls: dict[int, list[NewCall]] = {}
        for record in records:
            session = homes.find(record.source, record.session)
            if session is None:
                rejects.append(_homeless(record))
                continue
            call = call_of_message(record.role, record.source_id, record.content, record.created_at)
            if call is not None:
                calls.setdefault(session.id, []).append(call)
                continue
            fresh = new_keys.setdefault(session.id, set())
            if record.source_id not in fresh and record.source_id not in self._known(
                store, session
            ):
                fresh.add(record.source_id)
                new.append(_message(session, record))
        store.append(new, allow_ended=True)
        for session_id, keys in new_keys.items():
            self._keys[session_id] |= keys
        self._forget_oldest()
        added = sum(_append_calls(store, number, its) for number, its in calls.items())
        known = len(records) - len(rejects) - len(new) - added
        return ImportReport(
            messages=len(new),
            calls=added,
            known=known,
            rejected=len(rejects),
            rejects=tuple(rejects),
        )

    def _known(self, store: Store, session: Session) -> set[str]:
        keys = self._keys.get(session.id)
        if keys is None or len(keys) != session.message_count:
            keys = {message_key(message) for message in _messages(store, session.id)}
            self._keys[session.id] = keys
        return keys

    def _forget_oldest(self) -> None:
        for session_id in list(self._keys)[:-_REMEMBERED_SESSIONS]:
            del self._keys[session_id]


def _append_calls(store: Store, session_id: int, calls: Sequence[NewCall]) -> int:
    """Append the calls that the session does not have; returns how many those were."""
    before = store.calls(session_id, limit=1).total
    store.append_calls(session_id, calls)
    return store.calls(session_id, limit=1).total - before


class _Homes:
    """Sessions by where they come from, looked up once a batch."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: dict[tuple[str, str], Session | None] = {}

    def find(self, source: str, key: str) -> Session | None:
        """Return the session of that source, or the one of this store that is exported so."""
        place = (source, key)
        if place not in self._found:
            self._found[place] = self._store.session_from(*place) or self._own(source, key)
        return self._found[place]

    def _own(self, source: str, key: str) -> Session | None:
        number = key.partition("-")[0]
        if not (number.isascii() and number.isdigit()):
            return None
        try:
            session = self._store.session(int(number))
        except NotFound:
            return None
        exported_as = (session.source, native_key(session.id, session.started_at))
        return session if not session.source_id and exported_as == (source, key) else None


def _in_time(records: Sequence[Record]) -> tuple[Sequence[Record], ImportReport]:
    """Return the records whose times can be shown, and a report of the others."""
    kept: list[Record] = []
    rejects: list[Reject] = []
    for record in records:
        try:
            check_times(record)
        except ValueError as error:
            rejects.append(Reject(type(record).__name__, str(error)))
        else:
            kept.append(record)
    return kept, ImportReport(rejected=len(rejects), rejects=tuple(rejects))


def _take_sessions(store: Store, records: Sequence[SessionRecord]) -> ImportReport:
    homes = _Homes(store)
    new: dict[tuple[str, str], SessionRecord] = {}
    for record in records:
        known = homes.find(record.source, record.source_id)
        if known is None:
            new.setdefault((record.source, record.source_id), record)
        elif record.status == "ended" and known.status == "active":
            ended_at = record.ended_at or known.last_activity
            store.end_session(known.id, record.summary or None, ended_at=ended_at)
        elif record.ended_at is not None:
            store.grow_session(known.id, record.name, record.ended_at)
    store.add_sessions([_session(record) for record in new.values()])
    return ImportReport(sessions=len(new), known=len(records) - len(new))


def _take_entries(store: Store, records: Sequence[EntryRecord]) -> ImportReport:
    if not records:
        return ImportReport()
    known: dict[datetime, list[Entry]] = {}
    for entry in store.entries_made({record.created_at for record in records}):
        known.setdefault(entry.created_at, []).append(entry)
    new: list[Entry] = []
    for record in records:
        beside = known.setdefault(record.created_at, [])
        if not any(record.title == one.title or record.content == one.content for one in beside):
            beside.append(_entry(record))
            new.append(beside[-1])
    store.add_entries(new)
    return ImportReport(entries=len(new), known=len(records) - len(new))


def _messages(store: Store, session_id: int) -> Iterator[Message]:
    after = 0
    while page := store.messages(session_id, after=after, limit=PAGE).items:
        yield from page
        after = page[-1].seq


def _session(record: SessionRecord) -> Session:
    ended = record.status == "ended"
    return Session(
        id=0,
        name=record.name,
        status=record.status,
        started_at=record.started_at,
        ended_at=(record.ended_at or record.started_at) if ended else None,
        summary=record.summary,
        agent=record.agent,
        project=record.project,
        source=record.source,
        source_id=record.source_id,
    )


def _message(session: Session, record: MessageRecord) -> NewMessage:
    return NewMessage(
        session.id,
        record.role,
        record.content,
        created_at=record.created_at,
        source_id=record.source_id,
    )


def _entry(record: EntryRecord) -> Entry:
    return Entry(
        id=0,
        title=record.title,
        content=record.content,
        source=record.source,
        tags=record.tags,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def _homeless(record: MessageRecord) -> Reject:
    at = one_line(f"message {record.source_id} of {record.source} {record.session}", 100)
    return Reject(at, "its session is not known; it must come before its messages")
