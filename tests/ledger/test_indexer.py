"""What is read of the journal: brought up to date by whoever reads, made anew at any time."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pktui.ledger import FeedFilter, Ledger
from pktui.ledger.journal.indexer import Index
from pktui.settings import AuditSettings
from tests.ledger.conftest import CLAUDE, Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def fill(ledger: Ledger, count: int = 10, first: int = 0) -> None:
    for number in range(first, first + count):
        seq = ledger.events.append(
            "decision", caller=CLAUDE, call_id=f"c{number}", server="s", tool="t", effect="allow"
        )
        ledger.events.append("outcome", call_id=f"c{number}", outcome="error", ref_seq=seq)


@pytest.fixture
def index(file: Path, ledger: Ledger, clock: Clock) -> Iterator[Index]:
    made = Index(file.with_name("index.db"), file.parent / "journal", clock)
    yield made
    made.close()


def rows(index: Index) -> int:
    row = index.database().row("SELECT count(*) FROM events")
    assert row is not None
    return int(row[0])


def test_rows_are_taken_in_once_and_only_the_new_ones(ledger: Ledger, index: Index) -> None:
    assert index.refresh() == 0
    fill(ledger, 3)
    assert index.refresh() == 6
    assert index.refresh() == 0
    fill(ledger, 2, 3)
    assert index.refresh() == 4
    assert rows(index) == 10


def test_a_long_journal_can_be_taken_in_a_part_at_a_time(
    ledger: Ledger, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.ledger.journal.indexer._PIECE_BYTES", 1024)
    fill(ledger, 20)
    left = [index.unread()]
    taken = 0
    while left[-1]:
        taken += index.refresh(0)
        left.append(index.unread())
    assert taken == 40
    assert len(left) > 3
    assert left == sorted(left, reverse=True)


def test_two_indexers_take_turns(ledger: Ledger, file: Path, clock: Clock) -> None:
    several = [Index(file.with_name("index.db"), file.parent / "journal", clock) for _ in range(3)]
    failed: list[BaseException] = []
    ending = threading.Event()

    def work(index: Index) -> None:
        try:
            while not ending.is_set():
                index.refresh()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(index,)) for index in several]
    for thread in threads:
        thread.start()
    fill(ledger, 200)
    ending.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert [rows(index) for index in several] == [400] * 3
    seqs = [event.seq for event in ledger.events.tail(0, 1000)]
    assert seqs == list(range(1, 401))
    for index in several:
        index.close()


def test_a_row_that_is_being_written_is_taken_once_it_is_whole(
    ledger: Ledger, file: Path, index: Index
) -> None:
    fill(ledger, 1)
    index.refresh()
    segment = file.parent / "journal" / "00000001.jsonl"
    line = segment.read_bytes().splitlines(keepends=True)[-1].replace(b"[2,", b"[3,", 1)
    with segment.open("ab", buffering=0) as writer:
        writer.write(line[:40])
        assert index.refresh() == 0
        writer.write(line[40:])
        assert index.refresh() == 1


def test_an_index_that_was_deleted_is_made_anew_under_whoever_reads(
    ledger: Ledger, file: Path
) -> None:
    fill(ledger)
    last = ledger.feed.page()[-1]
    for part in file.parent.glob("index.db*"):
        part.unlink()
    assert ledger.feed.count() == 10
    assert ledger.feed.page(after_seq=last.seq) == ()
    fill(ledger, 1, 10)
    assert [row.call_id for row in ledger.feed.page(after_seq=last.seq)] == ["c10"]


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_an_index_that_is_no_index_is_made_anew(file: Path, content: bytes) -> None:
    with closing(Ledger.open(file)) as ledger:
        fill(ledger)
        ledger.feed.count()
    file.with_name("index.db").write_bytes(content)
    with closing(Ledger.open(file)) as ledger:
        assert ledger.feed.count() == 10


def test_cursors_survive_a_reindex(file: Path, clock: Clock) -> None:
    writers = [Ledger.open(file, own=True, clock=clock) for _ in range(3)]
    reader = Ledger.open(file, clock=clock)
    for number in range(30):
        fill(writers[number % 3], 1, number)
        reader.feed.count()
        clock.forward(1)
    before = reader.feed.page(limit=100)
    cursor = before[14].seq
    assert reader.index.rebuild() == 60
    assert reader.feed.page(limit=100) == before
    assert reader.feed.page(after_seq=cursor, limit=100) == before[15:]
    assert reader.feed.page(before_seq=cursor, limit=100) == before[:14]
    failed = FeedFilter.parse("outcome:error", now_us=clock())[0]
    assert reader.feed.count(failed) == 30
    assert reader.verify().ok
    for ledger in (*writers, reader):
        ledger.close()


def test_a_reindex_changes_nothing_of_the_journal(ledger: Ledger, file: Path) -> None:
    fill(ledger)
    before = {path: path.read_bytes() for path in (file.parent / "journal").iterdir()}
    head = ledger.anchors.head()
    ledger.index.rebuild()
    assert {path: path.read_bytes() for path in (file.parent / "journal").iterdir()} == before
    assert ledger.anchors.head().heads == head.heads


def test_a_row_nobody_can_read_does_not_keep_the_others_out(
    ledger: Ledger, file: Path, index: Index
) -> None:
    fill(ledger, 1)
    with (file.parent / "journal" / "00000001.jsonl").open("ab") as segment:
        segment.write(b'no row\n[7]\n{"a":1}\n')
    assert rows(index) == 2


def test_one_keeps_it_up_in_the_background(ledger: Ledger, index: Index, file: Path) -> None:
    ending = threading.Event()
    thread = threading.Thread(target=index.keep_up, args=(ending,))
    thread.start()
    fill(ledger, 2)
    while not file.with_name("index.db").exists() or rows(index) < 4:
        pass
    ending.set()
    thread.join()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_where_nothing_can_be_written_it_is_made_in_memory(file: Path) -> None:
    with closing(Ledger.open(file)) as ledger:
        fill(ledger)
    file.parent.chmod(0o500)
    with closing(Ledger.open(file, read_only=True)) as reader:
        assert reader.feed.count() == 10
    file.parent.chmod(0o700)


def test_what_was_pruned_leaves_an_index_that_had_it(file: Path, clock: Clock) -> None:
    """One that lives on, as a gateway's does, and had taken the segment in whole."""
    ledger = Ledger.open(file, clock=clock, audit=AuditSettings(keep_days=1))
    fill(ledger, 5)
    clock.forward(3 * 86_400)
    fill(ledger, 1, 5)
    ledger.retention.announce()
    index = Index(file.with_name("index.db"), file.parent / "journal", clock)
    for _ in range(3):
        index.refresh()
    while ledger.retention.step():
        pass
    assert rows(index) == 3
    assert len(ledger.events.tail()) == 3
    index.close()
    ledger.close()
