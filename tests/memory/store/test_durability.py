"""What a crash, a full disk or a newer pktui may not break."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from pktui.errors import StoreError
from pktui.memory.store import Store, schema
from pktui.memory.store.lance import lancedb
from pktui.memory.store.tables import Database, Table
from tests.memory.store.conftest import ADA, embed_all, log
from tests.support.embedder import WordsEmbedder

if TYPE_CHECKING:
    from pathlib import Path

_WRITER = """
import sys, threading
from pathlib import Path
from pktui.memory.records import Identity, NewMessage
from pktui.memory.store import Store

store = Store.open(Path(sys.argv[1]))
sessions = [store.start_session(str(n), Identity(str(n))).id for n in range(3)]

def write(session_id):
    number = 0
    while True:
        (message,) = store.append([NewMessage(session_id, "user", f"text {number}")])
        sys.stdout.write(f"{session_id} {message.seq} {message.id}\\n")
        sys.stdout.flush()
        number += 1
        if number % 20 == 0:
            store.optimize()

for session_id in sessions:
    threading.Thread(target=write, args=(session_id,), daemon=True).start()
threading.Event().wait()
"""


@pytest.mark.parametrize("acknowledged", [1, 40, 90])
def test_a_kill_at_any_moment_loses_no_acknowledged_message(place: Path, acknowledged: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(place)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    seen = [writer.stdout.readline() for _ in range(acknowledged)]
    writer.send_signal(signal.SIGKILL)
    seen += [line for line in writer.stdout.read().splitlines(keepends=True) if line[-1] == "\n"]
    writer.wait()
    writer.stdout.close()
    with Store.open(place, WordsEmbedder()) as store:
        kept = {
            (m.session_id, m.seq, m.id)
            for session in store.sessions().items
            for m in store.messages(session.id, limit=1000).items
        }
        told = {tuple(int(part) for part in line.split()) for line in seen}
        assert told <= kept
        assert len(kept) - len(told) <= 3
        assert store.pending_vectors() == len(kept)
        embed_all(store)
        assert store.status().vectors == len(kept)


def test_what_a_deletion_left_behind_is_cleared_at_the_next_start(place: Path) -> None:
    with Store.open(place, WordsEmbedder()) as store:
        kept, cut_short = store.start_session("kept", ADA), store.start_session("gone", ADA)
        log(store, kept.id, "stays")
        (last,) = log(store, cut_short.id, "goes")
        entry = store.add_entry("goes", "too")
        embed_all(store)
    database = Database(place)
    database.table("sessions", schema.SESSIONS).delete(f"id = {cut_short.id}")
    database.table("entries", schema.ENTRIES).delete(f"id = {entry.id}")
    for _ in range(2):
        with Store.open(place, WordsEmbedder()) as store:
            assert (store.status().messages, store.status().vectors) == (1, 1)
            assert store.search("goes", "exact").hits == ()
    assert database.table("messages", schema.MESSAGES).count() == 1
    with Store.open(place) as store:
        assert log(store, kept.id, "next")[0].id == last.id + 1


def test_a_directory_that_cannot_be_written_is_named(place: Path) -> None:
    place.write_text("a file where the directory should be")
    with pytest.raises(StoreError, match=f"the memory at {place} cannot be used"):
        Store.open(place)


@pytest.mark.parametrize("part", ["_versions", "data"])
def test_damaged_vectors_leave_the_words_and_are_made_anew(place: Path, part: str) -> None:
    with Store.open(place, WordsEmbedder()) as store:
        session = store.start_session("kept", ADA)
        log(store, session.id, "a stoat in winter")
        embed_all(store)
        store.optimize()
    _damage(place / "vectors.lance" / part)
    with Store.open(place, WordsEmbedder()) as store:
        status = store.status()
        assert (status.model_state, status.pending_vectors) == ("mismatch", 1)
        assert "memory table vectors in" in status.note
        assert ".rs:" not in status.note
        assert status.note.endswith("Run pktui memory reindex to make them anew")
        answer = store.search("stoat")
        assert (answer.mode, len(answer.hits)) == ("words", 1)
        log(store, session.id, "another stoat")
        store.delete_session(store.start_session("other", ADA).id)
        store.reindex()
        embed_all(store)
        assert store.search("stoat").mode == "hybrid"
    with Store.open(place, WordsEmbedder()) as store:
        assert store.status().vectors == 2


@pytest.mark.parametrize("part", ["_versions", "data"])
def test_damaged_messages_are_named_with_what_to_do(place: Path, part: str) -> None:
    with Store.open(place) as store:
        log(store, store.start_session("lost", ADA).id, "words")
    _damage(place / "messages.lance" / part)
    with pytest.raises(StoreError, match=r"memory table messages in .*a backup or an export"):
        Store.open(place)


def _damage(directory: Path) -> None:
    """Cut every file in two."""
    for file in directory.iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def test_a_store_of_a_newer_layout_is_refused(place: Path) -> None:
    Store.open(place).close()
    marks = Database(place).table("marks", schema.MARKS)
    newer = {"kind": ["format"], "value": [schema.FORMAT + 1]}
    marks.upsert(pa.table(newer, schema=schema.MARKS), "kind")
    with pytest.raises(StoreError, match=f"has format {schema.FORMAT + 1}"):
        Store.open(place)


def test_rows_that_are_not_in_the_order_of_their_ids_are_read_in_order(place: Path) -> None:
    with Store.open(place) as store:
        session = store.start_session("mixed", ADA)
        log(store, session.id, "one", "two", "three")
    table = Database(place).table("messages", schema.MESSAGES)
    rows = table.read().sort_by([("id", "descending")])
    table.delete("id > 0")
    table.append(rows)
    with Store.open(place) as store:
        contents = [message.content for message in store.messages(session.id).items]
        assert contents == ["one", "two", "three"]


def test_single_appends_leave_few_files_before_any_upkeep(place: Path) -> None:
    with Store.open(place, WordsEmbedder()) as store:
        session = store.start_session("many", ADA)
        for number in range(1500):
            log(store, session.id, str(number))
            if number % 32 == 0:
                store.embed_pending(32)
        embed_all(store)
        store.flush()
        assert store.status().files_on_disk <= 60
        assert store.messages(session.id, limit=1000).total == 1500


def test_a_large_table_is_compacted_more_seldom(place: Path) -> None:
    database = Database(place)
    table = database.table("marks", schema.MARKS)
    for _ in range(3):
        table.append(pa.table({"kind": ["x"], "value": [1]}, schema=schema.MARKS))
    assert table.wear(quiet=True, weight=1) == 3
    assert table.wear(quiet=False, weight=1) == 3 / 40
    many = {"kind": ["x"] * 300_000, "value": [1] * 300_000}
    table.append(pa.table(many, schema=schema.MARKS))
    assert table.wear(quiet=True, weight=1) == 4 / 12
    assert table.wear(quiet=True, weight=5) == 4 / 60
    assert table.wear(quiet=False, weight=1) == 4 / 60
    table.compact()
    assert table.wear(quiet=True, weight=1) == 0


def test_what_the_last_owner_did_not_compact_is_due_at_the_next_opening(place: Path) -> None:
    with Store.open(place) as store:
        gone = store.start_session("gone", ADA)
        log(store, gone.id, "secret words")
        store.delete_session(gone.id)
    with Store.open(place) as store:
        assert store.upkeep_due(quiet=True)
        store.optimize()
    assert not any(b"secret words" in one.read_bytes() for one in place.rglob("*.lance/*/*"))
    with Store.open(place) as store:
        assert not store.upkeep_due(quiet=True)


def test_a_compaction_that_fails_or_leaves_an_older_version_stays_due(place: Path) -> None:
    class Failing:
        versions = 1

        def optimize(self, **_: object) -> None:
            if not self.versions:
                raise RuntimeError("No space left on device")

        def list_versions(self) -> list[int]:
            return list(range(self.versions))

    inner = Failing()
    table = Table(inner, "marks", Database(place))
    table.commits = 3
    inner.versions = 0
    with pytest.raises(StoreError, match="could not be compacted"):
        table.compact()
    inner.versions = 2
    table.compact()
    assert table.commits == 3
    inner.versions = 1
    table.compact()
    assert table.commits == 0


def test_a_read_that_loses_its_files_to_a_compaction_is_repeated(place: Path) -> None:
    class Vanishing:
        tries = 0

        def search(self) -> Vanishing:
            return self

        def to_arrow(self) -> str:
            self.tries += 1
            if self.tries < 3:
                raise RuntimeError("Object at location x.lance not found")
            return "rows"

    assert Table(Vanishing(), "here", Database(place)).read() == "rows"


def test_a_directory_that_may_not_be_read_is_told_in_plain_words(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    structures = (
        'Invalid input, Failed to connect: IO { source: Generic { source: Io { path: Some("/far/'
        'memory"), err: Os { code: 13, kind: PermissionDenied, message: "Permission denied" } } } }'
    )

    def refuse(*_given: object, **_named: object) -> None:
        raise ValueError(structures)

    monkeypatch.setattr(lancedb, "connect", refuse)
    with pytest.raises(StoreError) as caught:
        Database(place)
    assert str(caught.value) == (
        f"the memory at {place} cannot be used: /far/memory: Permission denied. "
        "Make the directory readable and writable for you"
    )
