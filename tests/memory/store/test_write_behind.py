"""The journal in front of the tables: what it promises when disks fill and processes die."""

from __future__ import annotations

import errno
import os
import shutil
import zlib
from typing import TYPE_CHECKING

import pytest

from pktui.errors import StoreError
from pktui.memory.store import Store, schema
from pktui.memory.store.journal import DIRECTORY
from pktui.memory.store.tables import Database, Table
from tests.memory.store.conftest import ADA, embed_all, log
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

    from pktui.memory.records import Session


def contents(store: Store, session: Session) -> list[str]:
    return [message.content for message in store.messages(session.id, limit=1000).items]


def segments(place: Path) -> list[Path]:
    return sorted((place / DIRECTORY).glob("*.journal"))


def rows_in(place: Path, name: str, columns: pa.Schema) -> int:
    return Database(place).table(name, columns).count()


def test_what_no_table_has_yet_is_found_before_and_after_a_kill(place: Path) -> None:
    killed = Store.open(place, WordsEmbedder())
    session = killed.start_session("kept", ADA)
    log(killed, session.id, "a stoat in winter", "an otter")
    entry = killed.add_entry("weasels", "they are small", tags=("animals",))
    killed.update_entry(entry.id, content="they are very small")
    killed.end_session(session.id, "about animals")
    assert [hit.message.content for hit in killed.search("stoat").hits if hit.message] == [
        "a stoat in winter"
    ]
    assert killed.status().journaled == 6
    assert rows_in(place, "messages", schema.MESSAGES) == 0
    known = (
        killed.session(session.id),
        killed.messages(session.id),
        killed.entry(entry.id),
        killed.current_session(ADA),
    )
    with Store.open(place, WordsEmbedder()) as store:
        assert known == (
            store.session(session.id),
            store.messages(session.id),
            store.entry(entry.id),
            store.current_session(ADA),
        )
        assert store.search("stoat").hits[0].message == known[1].items[0]
        assert store.status().journaled == 0
        assert segments(place) == []
        assert rows_in(place, "messages", schema.MESSAGES) == 2
        embed_all(store)
        (third,) = log(store, store.start_session("next", ADA).id, "third")
        assert third.id == 3


def test_a_request_that_only_the_journal_knows_is_carried_out_once(place: Path) -> None:
    killed = Store.open(place)
    session = killed.start_session("kept", ADA, request="started")
    assert killed.start_session("kept", ADA, request="started").id == session.id
    with Store.open(place) as store:
        assert store.start_session("kept", ADA, request="started").id == session.id


def test_a_kill_between_the_commit_and_the_end_of_its_segment_doubles_nothing(place: Path) -> None:
    killed = Store.open(place)
    session = killed.start_session("kept", ADA)
    log(killed, session.id, "one", "two")
    killed.end_session(session.id)
    kept = [(path, path.read_bytes()) for path in segments(place)]
    killed.flush()
    assert segments(place) == []
    for path, data in kept:
        path.write_bytes(data)
    with Store.open(place) as store:
        assert contents(store, session) == ["one", "two"]
        assert store.session(session.id).status == "ended"
    assert rows_in(place, "messages", schema.MESSAGES) == 2
    assert rows_in(place, "sessions", schema.SESSIONS) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-20],
        lambda data: data.replace(b'"two"', b'"TWO"'),
        lambda data: data + b"garbage\n\x00\x00\x00",
        lambda data: data + journal_line(b'["a kind of tomorrow",[[1]]]'),
    ],
)
def test_a_damaged_line_harms_only_itself_and_is_kept_aside(
    place: Path, damage: Callable[[bytes], bytes]
) -> None:
    killed = Store.open(place)
    session = killed.start_session("kept", ADA)
    log(killed, session.id, "one")
    log(killed, session.id, "two")
    (segment,) = segments(place)
    damaged = damage(segment.read_bytes())
    segment.write_bytes(damaged)
    with Store.open(place) as store:
        assert contents(store, session) in (["one"], ["one", "two"])
        assert "kept aside" in store.damage
        log(store, session.id, "after")
        assert contents(store, session)[-1] == "after"
    aside = [path.read_bytes() for path in (place / DIRECTORY).glob("*.damaged")]
    assert len(aside) == 1
    assert all(line in damaged for line in aside[0].split(b"\n"))
    with Store.open(place) as store:
        assert (contents(store, session)[-1], store.damage) == ("after", "")


def journal_line(body: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(body), body)


def test_a_full_disk_refuses_the_append_and_leaves_nothing_half(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(place) as store:
        session = store.start_session("full", ADA)
        log(store, session.id, "before")
        write = os.write

        def full(file: int, data: memoryview) -> int:
            if len(data) > 10:
                return write(file, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(StoreError) as failure:
                log(store, session.id, "12345")
        assert "No space left on device" in failure.value.what
        assert "free some space" in failure.value.cure
        assert store.search("12345", "words").hits == ()
        (after,) = log(store, session.id, "after")
        assert after.seq == 2
        assert b"12345" not in segments(place)[0].read_bytes()
    with Store.open(place) as store:
        assert (contents(store, session), store.damage) == (["before", "after"], "")


class Full:
    """A table's library on a full disk; `done` says whether it wrote all the same."""

    def __init__(self, inner: object, *, done: bool) -> None:
        self._inner = inner
        self._done = done

    def add(self, rows: pa.Table) -> None:
        if self._done:
            self._inner.add(rows)  # type: ignore[attr-defined]
        raise RuntimeError("lance error: LanceError(IO): No space left on device")

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


@pytest.mark.parametrize("done", [False, True])
def test_a_commit_that_fails_is_made_up_for_and_nothing_is_doubled(
    place: Path, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    with Store.open(place) as store:
        session = store.start_session("full", ADA)
        log(store, session.id, "one")
        table: Table = store._state.messages_table
        with monkeypatch.context() as patched:
            patched.setattr(table, "_inner", Full(table._inner, done=done))
            with pytest.raises(StoreError, match="No space left on device"):
                store.flush()
        log(store, session.id, "two")
        assert contents(store, session) == ["one", "two"]
        assert len(segments(place)) == 2
        store.flush()
        assert segments(place) == []
        assert rows_in(place, "messages", schema.MESSAGES) == 2
    with Store.open(place) as store:
        assert contents(store, session) == ["one", "two"]


def test_a_store_that_cannot_be_written_when_it_closes_is_whole_at_the_next_start(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(place)
    session = store.start_session("full", ADA)
    log(store, session.id, "one")
    table = store._state.messages_table
    monkeypatch.setattr(table, "_inner", Full(table._inner, done=False))
    store.close()
    with Store.open(place) as again:
        assert contents(again, session) == ["one"]


def test_a_store_that_was_removed_is_not_made_again(place: Path) -> None:
    with Store.open(place) as store:
        session = store.start_session("lost", ADA)
        shutil.rmtree(place)
        with pytest.raises(StoreError, match=r"journal in .* could not be written"):
            log(store, session.id, "lost")
        with pytest.raises(StoreError, match="was removed"):
            store.flush()
    assert not place.exists()


def test_a_segment_that_somebody_removed_takes_nothing_more(place: Path) -> None:
    with Store.open(place) as store:
        session = store.start_session("kept", ADA)
        segments(place)[0].unlink()
        log(store, session.id, "after")
        assert b"after" in segments(place)[0].read_bytes()
    with Store.open(place) as store:
        assert contents(store, session) == ["after"]


def test_what_was_deleted_does_not_come_back_from_the_journal(place: Path) -> None:
    killed = Store.open(place)
    gone, kept = killed.start_session("gone", ADA), killed.start_session("kept", ADA)
    log(killed, gone.id, "goes")
    entry = killed.add_entry("goes", "too")
    killed.delete_session(gone.id)
    killed.delete_entry(entry.id)
    log(killed, kept.id, "stays")
    with Store.open(place) as store:
        assert [one.id for one in store.sessions().items] == [kept.id]
        assert store.entries().total == 0
        assert store.search("goes", "exact").hits == ()
    assert all(b"goes" not in path.read_bytes() for path in (place / DIRECTORY).iterdir())


def test_the_index_on_disk_holds_nothing_that_the_tables_do_not(place: Path) -> None:
    killed = Store.open(place, WordsEmbedder())
    session = killed.start_session("many", ADA)
    log(killed, session.id, *(str(number) for number in range(1_200)))
    embed_all(killed)
    assert killed.save_index(quiet=True)
    log(killed, session.id, "after")
    with Store.open(place, WordsEmbedder()) as store:
        assert store._index._size > 0  # the file was taken
        assert store.pending_vectors() == 1


def test_waiting_for_the_disk_is_a_setting(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []
    monkeypatch.setattr(os, "fdatasync", waited.append)
    with Store.open(place) as store:
        store.start_session("", ADA)
    assert waited == []
    with Store.open(place, sync=True) as store:
        log(store, store.start_session("", ADA).id, "one")
        assert len(waited) == 2
