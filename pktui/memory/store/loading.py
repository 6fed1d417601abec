"""Reading a store into memory, and clearing away what a crash left half-removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pktui.memory.interchange import CALL_MARK, call_of_message
from pktui.memory.search.corpus import Document
from pktui.memory.store import schema
from pktui.memory.store.calls import document as call_document
from pktui.memory.store.calls import moved_call
from pktui.memory.store.messages import document
from pktui.memory.store.requests import REMEMBERED
from pktui.memory.store.session_catalogue import Listed, grown, with_messages
from pktui.times import from_microseconds, microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.memory.records import Entry
    from pktui.memory.store.saved_index import SavedIndex
    from pktui.memory.store.state import State
    from pktui.memory.store.tables import Table

_BATCH = 4096


def load(state: State, index: SavedIndex) -> None:
    """Fill the memory from the tables; called once, before anyone else can use the state."""
    outdated = state.check_format()
    state.rows.recover()
    if outdated:
        _move_calls(state)
        state.sign()
    _load_sessions(state)
    last_message, last_call = index.restore(state)
    _load_messages(state, index, last_message)
    _load_calls(state, last_call)
    _load_entries(state)


def _load_sessions(state: State) -> None:
    rows = state.sessions_table.read().to_pylist()
    listed = [schema.read_session(row) for row in rows]
    listed.sort(key=lambda one: one.session.id)
    state.catalogue.fill(listed)
    state.requests.fill("session", ((one.request, one.session.id) for one in listed))
    _raise_mark(state, "session", [one.session.id for one in listed])


def _load_messages(state: State, index: SavedIndex, last: int) -> None:
    """Count every message into its session; a session's row is removed first, so that messages
    without one belong to a deletion that a crash cut short, or to an import that never ended.
    """
    _raise_mark(state, "message", [last])
    _count_restored(state, index)
    orphaned: set[int] = set()
    grown_sessions: dict[int, Listed] = {}
    for batch in _by_id(state.messages_table, last):
        messages = schema.read_messages(batch)
        _raise_mark(state, "message", [message.id for message in messages])
        kept = []
        for message in messages:
            if not state.catalogue.has(message.session_id):
                orphaned.add(message.session_id)
                continue
            known = grown_sessions.get(message.session_id)
            listed = known or state.catalogue.get(message.session_id)
            grown_sessions[message.session_id] = grown(listed, (message,))
            kept.append(document(message))
        state.messages.add(kept)
    state.catalogue.fill(grown_sessions.values())
    _load_requests(state)
    if orphaned:
        state.keep_marks()
        state.messages_table.delete(f"session_id IN ({_list(orphaned)})")


def _load_calls(state: State, last: int) -> None:
    """Take in the calls; those of a session that is gone are removed."""
    orphaned: set[int] = set()
    _raise_mark(state, "call", [last])
    for batch in _by_id(state.calls_table, last):
        calls = schema.read_calls(batch)
        _raise_mark(state, "call", [call.id for call in calls])
        orphaned |= {one.session_id for one in calls if not state.catalogue.has(one.session_id)}
        state.calls.add([call_document(one) for one in calls if one.session_id not in orphaned])
    state.calls.pending.clear()
    if orphaned:
        state.keep_marks()
        state.calls_table.delete(f"session_id IN ({_list(orphaned)})")


def _move_calls(state: State) -> None:
    """Make calls of the messages that were calls before there was a kind for them.

    Calls that were moved before a crash are known by their session and the agent's id.
    """
    rows = state.messages_table.read(where=f"role = 'tool' AND source_id LIKE '{CALL_MARK}%'")
    found = [
        (one, call_of_message(one.role, one.source_id, one.content, one.created_at))
        for one in schema.read_messages(rows)
    ]
    there = state.calls_table.read(["id", "session_id", "call_id"])
    known = set(zip(there["session_id"].to_pylist(), there["call_id"].to_pylist(), strict=True))
    _raise_mark(state, "call", there["id"].to_pylist())
    moved: list[int] = []
    made: list[schema.CallRow] = []
    for message, new in found:
        if new is None:
            continue
        moved.append(message.id)
        if (message.session_id, new.call_id) not in known:
            made.append(schema.CallRow(moved_call(new, state.next_id("call"), message)))
    if not moved:
        return
    _raise_mark(state, "message", [max(state.messages_table.read(["id"])["id"].to_pylist())])
    state.forget_index()
    if made:
        state.calls_table.append(schema.call_rows(made))
    state.keep_marks()
    for first in range(0, len(moved), _BATCH):
        state.messages_table.delete(f"id IN ({_list(set(moved[first : first + _BATCH]))})")


def _load_requests(state: State) -> None:
    """Take in the requests that appended the last messages."""
    after = state.marks.get("message", 0) - REMEMBERED
    rows = state.messages_table.read(["id", "request"], f"id > {after} AND request <> ''")
    known = sorted(zip(rows["id"].to_pylist(), rows["request"].to_pylist(), strict=True))
    state.requests.fill("message", ((key, message_id) for message_id, key in known))


def _count_restored(state: State, index: SavedIndex) -> None:
    """Count the messages that came from the saved index into their sessions."""
    corpus = state.messages
    counts = np.bincount(corpus.facts["slots"][corpus.facts["alive"]], minlength=len(corpus.groups))
    latest = np.full(len(corpus.groups), np.iinfo(np.int64).min)
    np.maximum.at(
        latest,
        corpus.facts["slots"][corpus.facts["alive"]],
        corpus.facts["times"][corpus.facts["alive"]],
    )
    counted = [
        with_messages(state.catalogue.get(group), count, from_microseconds(last), index.titles)
        for group, count, last in zip(
            corpus.groups["ids"].tolist(), counts.tolist(), latest.tolist(), strict=True
        )
        if count and state.catalogue.has(group)
    ]
    state.catalogue.fill(counted)


def _by_id(table: Table, last: int) -> Iterator[pa.Table]:
    """Yield the rows after the id `last` in parts, in the order of their ids."""
    where = f"id > {last}"
    ids = table.read(["id"], where)["id"].to_numpy()
    if np.all(ids[1:] > ids[:-1]):
        columns = [name for name in table.schema.names if name != "request"]
        for batch in table.batches(columns, where):
            yield pa.Table.from_batches([batch])
        return
    rows = table.read(where=where).sort_by("id")
    for start in range(0, len(rows), _BATCH):
        yield rows.slice(start, _BATCH)


def _load_entries(state: State) -> None:
    rows = sorted(state.entries_table.read().to_pylist(), key=lambda row: row["id"])
    entries = [schema.read_entry(row) for row in rows]
    state.entries.update((entry.id, entry) for entry in entries)
    state.knowledge.add([entry_document(entry) for entry in entries])
    state.requests.fill("entry", ((row["request"], row["id"]) for row in rows))
    _raise_mark(state, "entry", [entry.id for entry in entries])


def entry_document(entry: Entry) -> Document:
    """Return the entry as the search sees it: a group of its own."""
    time_us = microseconds(entry.updated_at)
    return Document(entry.id, entry.id, 0, time_us, entry_text(entry))


def entry_text(entry: Entry) -> str:
    """Return what an entry is found by: its title, its content and its tags."""
    return "\n".join(part for part in (entry.title, entry.content, " ".join(entry.tags)) if part)


def _raise_mark(state: State, kind: str, ids: list[int]) -> None:
    state.marks[kind] = max([state.marks.get(kind, 0), *ids])


def _list(ids: set[int]) -> str:
    return ",".join(str(one) for one in sorted(ids))
