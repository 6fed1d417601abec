from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING

import pytest

from pktui.errors import StoreError
from pktui.memory.importers.calls import Masks
from pktui.memory.importers.following import Follower
from pktui.memory.interchange import MessageRecord, Record, SessionRecord

if TYPE_CHECKING:
    from pktui.memory.importers.source import Source

pytestmark = pytest.mark.timeout(60)
STORES = Path(__file__).parent / "stores"
MASKS = Masks(lambda arguments: json.dumps(dict(arguments), default=str), str)


class Following:
    """A follower at work; what it takes in comes out of `taken`, a list a source."""

    def __init__(self, stores: dict[str, Path]) -> None:
        self.taken: Queue[list[Record]] = Queue()
        self.stop = threading.Event()
        follower = Follower(lambda: stores, MASKS, self._take, print, self.stop)
        self._thread = threading.Thread(target=follower.run)
        self._thread.start()

    def _take(self, source: Source) -> None:
        self.taken.put(list(source))

    def end(self) -> None:
        self.stop.set()
        self._thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STORES / "claude", tmp_path / "claude"))


@pytest.fixture
def following(store: Path) -> Iterator[Following]:
    made = Following({"claude-code": store})
    yield made
    made.end()


def test_what_is_there_comes_first_and_then_what_is_written(
    following: Following, store: Path
) -> None:
    assert any(isinstance(record, MessageRecord) for record in following.taken.get())
    file = next(store.rglob("*.jsonl"))
    row = {
        "type": "user",
        "uuid": "new-1",
        "timestamp": "2026-11-30T01:00:00Z",
        "message": {"role": "user", "content": "and one more thing"},
    }
    with file.open("a") as written:
        written.write(json.dumps(row) + "\n")
    records = following.taken.get()
    assert [one.content for one in records if isinstance(one, MessageRecord)][-1] == (
        "and one more thing"
    )
    assert len([one for one in records if isinstance(one, SessionRecord)]) == 1


def test_a_new_session_is_followed(following: Following, store: Path) -> None:
    following.taken.get()
    made = store / "-new" / "11111111-2222-3333-4444-555555555555.jsonl"
    made.parent.mkdir()
    row = {"type": "user", "uuid": "n", "timestamp": "2026-11-30T01:00:00Z",
           "message": {"role": "user", "content": "hello"}}  # fmt: skip
    made.write_text(json.dumps(row) + "\n")
    records = following.taken.get()
    assert isinstance(records[0], SessionRecord)
    assert records[0].source_id == made.stem


def test_a_store_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    said: Queue[str] = Queue()
    stop = threading.Event()
    (tmp_path / "opencode.db").write_text("no database")

    def take(source: Source) -> None:
        list(source)

    follower = Follower(lambda: {"opencode": tmp_path / "opencode.db"}, MASKS, take, said.put, stop)
    thread = threading.Thread(target=follower.run)
    thread.start()
    assert "opencode" in said.get()
    stop.set()
    thread.join()


def test_what_could_not_be_taken_in_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "opencode.db"
    with sqlite3.connect(file) as database:
        database.executescript((STORES / "opencode.sql").read_text())
    database.close()
    said: Queue[str] = Queue()
    taken: Queue[list[Record]] = Queue()
    stop = threading.Event()

    def take(source: Source) -> None:
        if said.empty():
            raise StoreError("the disk is full", "Free some space")
        taken.put(list(source))

    def say(words: str) -> None:
        said.put(words)
        os.utime(file)

    follower = Follower(lambda: {"opencode": file}, MASKS, take, say, stop)
    thread = threading.Thread(target=follower.run)
    thread.start()
    records = taken.get()
    stop.set()
    thread.join()
    assert any(isinstance(record, MessageRecord) for record in records)
