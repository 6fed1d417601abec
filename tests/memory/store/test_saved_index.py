"""The search index on disk: what is found after an opening is the same with it and without it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from pktui.memory.records import NewCall, NewMessage
from pktui.memory.search import passages, words
from pktui.memory.search.archive import write_archive
from pktui.memory.search.corpus import Corpus
from pktui.memory.store import Store, saved_index, tables
from pktui.memory.store.vector_table import VectorTable
from tests.memory.store.conftest import ADA, BEN, embed_all, log
from tests.memory.store.test_meaning import ByLines
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pktui.memory.records import Role, SearchAnswer
    from pktui.memory.search.archive import Arrays
    from pktui.memory.search.corpus import Document

QUERIES = ("apple", "number 7", '"pear number 12"', "plum role:agent", 'pear -"apple"', "ADA")
WORDS = ("apple", "pear", "plum")


class Other(WordsEmbedder):
    name = "other/64"


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_index, "_WORTH_IT", 1)


def fill(store: Store, first: int = 0, count: int = 40) -> None:
    sessions = [store.start_session("", ADA).id, store.start_session("named", BEN).id]
    for number in range(first, first + count):
        role: Role = "agent" if number % 3 else "user"
        text = f"{WORDS[number % 3]} number {number}\ncafé of Ada"
        store.append([NewMessage(sessions[number % 2], role, text, source_id=f"key {number}")])
    embed_all(store)


def everything(store: Store) -> list[SearchAnswer]:
    answers = [store.search(q, m) for q in QUERIES for m in ("hybrid", "words", "exact", "meaning")]
    return [*answers, *(store.search_entries(query) for query in QUERIES)]


def reopened(place: Path, index: bool = True) -> tuple[list[SearchAnswer], object, int]:
    """Return what a newly opened store says."""
    file = place / saved_index.NAME
    aside = place.with_name("aside")
    if not index and file.exists():
        file.rename(aside)
    with Store.open(place, WordsEmbedder()) as store:
        sessions = store.sessions()
        messages = [store.messages(one.id) for one in sessions.items]
        said = everything(store), (sessions, messages), store.pending_vectors()
    if aside.exists():
        aside.rename(file)
    return said


def change_nothing(store: Store) -> None:
    pass


def add_more(store: Store) -> None:
    fill(store, 40, 20)


def leave_some_pending(store: Store) -> None:
    log(store, 1, "apple without a vector", "pear without")
    store.embed_pending(1)


def delete_one(store: Store) -> None:
    store.delete_session(1)


def change_an_entry(store: Store) -> None:
    store.update_entry(1, content="now about apple number 99")


@pytest.mark.parametrize(
    "change", [change_nothing, add_more, leave_some_pending, delete_one, change_an_entry]
)
@pytest.mark.parametrize("saved_again", [False, True])
def test_a_store_says_the_same_with_its_saved_index_as_without(
    place: Path, change: Callable[[Store], None], saved_again: bool
) -> None:
    with Store.open(place, WordsEmbedder()) as store:
        fill(store)
        store.add_entry("An entry", "of the apple")
        embed_all(store)
        assert store.save_index(quiet=True)
        before = everything(store)
        change(store)
        if change is change_nothing:
            assert everything(store) == before
        if saved_again:
            store.save_index(quiet=True)
            change(store) if change is add_more else None
    assert reopened(place) == reopened(place, index=False)


def test_an_opening_reads_no_text_that_the_saved_index_holds(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(place, WordsEmbedder()) as store:
        fill(store)
        store.save_index(quiet=True)
        log(store, 1, "the only new one")
    read: list[str] = []
    add = Corpus.add

    def watched(corpus: Corpus, documents: Sequence[Document]) -> None:
        read.extend(document.text for document in documents)
        add(corpus, documents)

    monkeypatch.setattr(Corpus, "add", watched)
    with Store.open(place, WordsEmbedder()) as store:
        assert read == ["the only new one"]
        assert store.pending_vectors() == 1


def test_parts_of_a_text_that_lie_in_several_batches_are_all_read(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(place, ByLines()) as store:
        fill(store)
        store.save_index(quiet=True)
        rows = store.status().vectors
        log(store, 1, "\n".join(f"line {number}" for number in range(10)))
        embed_all(store)
        assert store.status().vectors == rows + 10
    monkeypatch.setattr(tables, "_BATCH_ROWS", 4)
    with Store.open(place, ByLines()) as store:
        assert store.status().vectors == rows + 10


def test_nothing_deleted_stays_in_the_file(place: Path) -> None:
    file = place / saved_index.NAME
    with Store.open(place, WordsEmbedder()) as store:
        fill(store)
        gone = store.start_session("gone", ADA)
        log(store, gone.id, "hunter2secret is the password")
        embed_all(store)
        store.save_index(quiet=True)
        assert b"hunter2secret" in file.read_bytes()
        store.delete_session(gone.id)
        assert not file.exists()
        assert store.save_index(quiet=True)
        assert b"hunter2secret" not in file.read_bytes()
        assert b"is the password" not in file.read_bytes()
        assert store.search("hunter2secret", "words").hits == ()
        assert store.search("apple", "words").total == 14


@pytest.mark.parametrize("harm", ["cut", "other version", "empty", "of another store"])
def test_a_file_that_cannot_be_used_is_passed_over(place: Path, tmp_path: Path, harm: str) -> None:
    file = place / saved_index.NAME
    with Store.open(place, WordsEmbedder()) as store:
        fill(store)
        store.save_index(quiet=True)
    expected = reopened(place, index=False)
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif harm == "other version":
        file.write_bytes(file.read_bytes().replace(b'"version":2', b'"version":9'))
    elif harm == "empty":
        file.write_bytes(b"")
    else:
        with Store.open(tmp_path / "other", WordsEmbedder()) as other:
            fill(other, 5)
            other.save_index(quiet=True)
        raw = (tmp_path / "other" / saved_index.NAME).read_bytes()
        file.write_bytes(raw)
    assert reopened(place) == expected


def test_vectors_of_another_model_in_the_file_are_not_used(place: Path) -> None:
    with Store.open(place, WordsEmbedder()) as store:
        fill(store)
        store.save_index(quiet=True)
    with Store.open(place, Other()) as store:
        assert store.status().model_state == "mismatch"
        assert store.reindex() == 40
        embed_all(store)
        assert store.search("apple").mode == "hybrid"
        store.save_index(quiet=True)
    with Store.open(place, Other()) as store:
        assert (store.pending_vectors(), store.status().vectors) == (0, 40)


def test_the_file_is_written_when_enough_is_new(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_index, "_WORTH_IT", 10)
    with Store.open(place) as store:
        session = store.start_session("s", ADA)
        log(store, session.id, *("text",) * 9)
        assert not store.save_index(quiet=True)
        log(store, session.id, "text")
        assert store.save_index(quiet=False)
        assert not store.save_index(quiet=True)
        assert (place / saved_index.NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("count", [3, 40])
def test_what_is_added_while_the_file_is_written_stays_and_the_rest_is_read_from_it(
    place: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(words, "_OPEN_DOCUMENTS", 8)
    monkeypatch.setattr(passages, "_BLOCK_ROWS", 16)
    meanwhile: list[SearchAnswer] = []

    def written_slowly(path: Path, facts: bytes, arrays: Arrays) -> None:
        write_archive(path, facts, arrays)
        fill(store, 100, count)
        meanwhile.extend(everything(store))

    monkeypatch.setattr(saved_index, "write_archive", written_slowly)
    with Store.open(place, WordsEmbedder()) as store:
        fill(store)
        assert store.save_index(quiet=True)
        assert len(store._state.messages.texts._new) == count
        assert len(store._state.messages.texts) == 40 + count
        assert everything(store) == meanwhile
        monkeypatch.setattr(saved_index, "write_archive", write_archive)
        fill(store, 200, 10)
        assert store.save_index(quiet=True)
        assert not store._state.messages.texts._new
    assert reopened(place) == reopened(place, index=False)


def test_vectors_that_are_dropped_while_the_file_is_written_do_not_come_back(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropping, writing = threading.Event(), threading.Event()
    flush, clear = Store.flush, VectorTable.clear

    def flushed(store: Store) -> None:
        flush(store)
        if not reindexing.ident:
            reindexing.start()
            dropping.wait(10)

    def cleared(table: VectorTable) -> None:
        held_off = store._state.writing.locked()
        dropping.set()
        if not held_off:
            writing.wait(10)
        clear(table)

    def written(path: Path, facts: bytes, arrays: Arrays) -> None:
        writing.set()
        reindexing.join(10)
        write_archive(path, facts, arrays)

    with Store.open(place, WordsEmbedder()) as store:
        fill(store)
        before = everything(store)
        reindexing = threading.Thread(target=store.reindex)
        monkeypatch.setattr(Store, "flush", flushed)
        monkeypatch.setattr(VectorTable, "clear", cleared)
        monkeypatch.setattr(saved_index, "write_archive", written)
        store.save_index(quiet=True)
        assert not len(store._state.messages.passages)
        embed_all(store)
        assert everything(store) == before


def test_calls_come_from_the_file_too(place: Path) -> None:
    with Store.open(place, WordsEmbedder()) as store:
        session = store.start_session("s", ADA)
        calls = [NewCall("Bash", f'{{"command":"make target{n}"}}') for n in range(600)]
        store.append_calls(session.id, calls)
        store.append([NewMessage(session.id, "user", f"message {n}") for n in range(600)])
        assert store.save_index(quiet=True)
        (found,) = store.search("target77 in:calls", "exact").hits
        store.append_calls(session.id, [NewCall("Bash", '{"command":"make later"}')])
    with Store.open(place, WordsEmbedder()) as store:
        assert store.search("target77 in:calls", "exact").hits == (found,)
        assert store.search("make later", "exact").total == 1
        assert [call.seq for call in store.calls(session.id, after=599).items] == [600, 601]
        store.delete_session(session.id)
    with Store.open(place, WordsEmbedder()) as store:
        assert store.status().calls == 0
