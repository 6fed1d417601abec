"""A request that comes again, because its answer was lost, is carried out once."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from pktui.errors import NotFound
from pktui.memory.records import Message, NewMessage
from pktui.memory.store import Store, requests, schema
from pktui.memory.store.tables import Database
from tests.memory.store.conftest import ADA, BEN, embed_all, log
from tests.support.clock import Clock
from tests.support.embedder import WordsEmbedder


def append(store: Store, session_id: int, *contents: str, request: str) -> tuple[Message, ...]:
    new = [NewMessage(session_id, "user", content) for content in contents]
    return store.append(new, request=request)


def test_a_message_that_is_sent_again_is_kept_once(store: Store, place: Path) -> None:
    session = store.start_session("s", ADA)
    first = append(store, session.id, "one", "two", request="a")
    other = append(store, session.id, "one", "two", request="b")
    assert append(store, session.id, "one", "two", request="a") == first
    assert [m.seq for m in first + other] == [1, 2, 3, 4]
    store.close()
    with Store.open(place, WordsEmbedder()) as again:
        assert append(again, session.id, "one", "two", request="b") == other
        assert again.messages(session.id).total == 4


def test_the_same_request_twice_in_one_commit_is_carried_out_once(store: Store) -> None:
    session = store.start_session("s", ADA)
    found: list[tuple[Message, ...]] = []

    def send() -> None:
        found.append(append(store, session.id, "once", request="same"))

    with store._state.writing:
        threads = [threading.Thread(target=send) for _ in range(5)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 5
    assert store.messages(session.id).total == 1


def test_messages_without_a_key_are_all_kept(store: Store) -> None:
    session = store.start_session("s", ADA)
    log(store, session.id, "same")
    log(store, session.id, "same")
    assert store.messages(session.id).total == 2


def test_a_message_of_a_deleted_session_is_not_brought_back(store: Store) -> None:
    gone, kept = store.start_session("gone", ADA), store.start_session("kept", BEN)
    append(store, gone.id, "x", request="k")
    store.delete_session(gone.id)
    (message,) = append(store, kept.id, "y", request="k")
    assert (message.session_id, message.content) == (kept.id, "y")


def test_a_session_that_is_started_again_is_the_same_one(store: Store, place: Path) -> None:
    session = store.start_session("s", ADA, request="start")
    assert store.start_session("s", ADA, request="start") == session
    assert store.current_session(ADA) == session
    store.close()
    with Store.open(place) as again:
        assert again.start_session("s", ADA, request="start").id == session.id
        assert again.sessions().total == 1


def test_an_end_that_comes_again_is_the_one_that_ended_it(store: Store, place: Path) -> None:
    session = store.start_session("s", ADA, request="start")
    ended = store.end_session(session.id, "done", request="end")
    assert ended.changed
    assert store.end_session(session.id, "done", request="end") == ended
    assert not store.end_session(session.id, "other", request="another").changed
    assert store.session_of_request("end") == ended.session
    store.close()
    with Store.open(place) as again:
        assert again.end_session(session.id, "done", request="end") == ended
        reopened = again.reopen_session(session.id, request="open")
        assert again.reopen_session(session.id, request="open") == reopened
        assert not again.reopen_session(session.id).changed


def test_an_entry_that_is_stored_again_is_kept_once(store: Store, place: Path) -> None:
    entry = store.add_entry("t", "c", request="k")
    assert store.add_entry("t", "c", request="k") == entry
    embed_all(store)
    store.close()
    with Store.open(place, WordsEmbedder()) as again:
        assert again.add_entry("t", "c", request="k") == entry
        assert again.entries().total == 1
        again.delete_entry(entry.id)
        assert again.add_entry("t", "c", request="k").id == entry.id + 1


def test_a_deletion_that_comes_again_is_the_one_that_was_carried_out(
    store: Store, place: Path
) -> None:
    session, entry = store.start_session("s", ADA), store.add_entry("t", "c")
    log(store, session.id, "gone too")
    store.close()
    with Store.open(place) as first:
        for _ in range(2):
            first.delete_session(session.id, request="a b")
            first.delete_entry(entry.id, request="a b")
    with Store.open(place) as again:
        again.delete_session(session.id, request="a b")
        again.delete_entry(entry.id, request="a b")
        for other in ("", "another"):
            with pytest.raises(NotFound):
                again.delete_session(session.id, request=other)
            with pytest.raises(NotFound):
                again.delete_entry(entry.id, request=other)
        with pytest.raises(NotFound):
            again.delete_session(session.id + 1, request="a b")


def test_a_deletion_that_a_crash_cut_short_is_carried_out_when_it_comes_again(
    store: Store, place: Path
) -> None:
    session = store.start_session("s", ADA)
    store._state.keep_marks(requests.deletion_mark("deleted session", "k", session.id))
    store.close()
    with Store.open(place) as again:
        assert again.session(session.id) == session
        again.delete_session(session.id, request="k")
        with pytest.raises(NotFound):
            again.session(session.id)


def test_deletions_are_remembered_for_a_day(place: Path) -> None:
    clock = Clock()
    with Store.open(place, clock=clock) as store:
        session = store.start_session("s", ADA)
        store.delete_session(session.id, request="k")
    for passed, marks in ((timedelta(hours=23), 1), (timedelta(hours=2), 0)):
        clock.now += passed
        with Store.open(place, clock=clock):
            pass
        rows = Database(place).table("marks", schema.MARKS).read().to_pylist()
        assert sum(row["kind"].startswith("deleted ") for row in rows) == marks
        assert {"kind": "session", "value": session.id} in rows


def test_only_the_last_requests_are_remembered() -> None:
    known = requests.Requests()
    known.fill("message", ((str(n), n) for n in range(requests.REMEMBERED + 1)))
    assert (known.find("message", "0"), known.find("message", "1")) == (None, 1)
    assert known.find("entry", "1") is None


def test_a_store_of_the_first_layout_is_brought_up_to_date(place: Path) -> None:
    with Store.open(place, WordsEmbedder()) as store:
        session = store.start_session("old", ADA)
        (message,) = log(store, session.id, "kept")
        entry = store.add_entry("kept", "too")
    database = Database(place)
    for name, layout in (
        ("sessions", schema.SESSIONS),
        ("messages", schema.MESSAGES),
        ("entries", schema.ENTRIES),
    ):
        database.table(name, layout)._inner.drop_columns(["request"])
    first = pa.table({"kind": ["format"], "value": [1]}, schema=schema.MARKS)
    database.table("marks", schema.MARKS).upsert(first, "kind")
    for _ in range(2):
        with Store.open(place, WordsEmbedder()) as store:
            assert store.messages(session.id).items[0] == message
            assert store.entry(entry.id) == entry
            append(store, session.id, "new", request="k")
            append(store, session.id, "new", request="k")
            assert store.messages(session.id).total == 2
