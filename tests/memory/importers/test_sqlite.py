"""Reading another tool's database while it is written, after its writer was killed, and at rest."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pktui.memory.importers.sqlite import columns, read_only


def written(path: Path) -> sqlite3.Connection:
    """Return a writer that has its one row in the log only."""
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("CREATE TABLE notes (word TEXT)")
    writer.execute("INSERT INTO notes VALUES ('first')")
    writer.commit()
    return writer


def words(path: Path) -> list[str]:
    with read_only(path) as database:
        return [row["word"] for row in database.execute("SELECT word FROM notes ORDER BY rowid")]


def traces(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_what_a_running_writer_committed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(written(path)) as writer:
        assert words(path) == ["first"]
        writer.execute("INSERT INTO notes VALUES ('second')")
        writer.commit()
        assert words(path) == ["first", "second"]


@pytest.mark.parametrize("endings", [("", "-wal", "-shm"), ("", "-wal")])
def test_the_log_of_a_killed_writer_is_read_and_left(
    tmp_path: Path, endings: tuple[str, ...]
) -> None:
    left = tmp_path / "left"
    left.mkdir()
    with closing(written(tmp_path / "store.db")):
        for ending in endings:
            shutil.copyfile(tmp_path / f"store.db{ending}", left / f"store.db{ending}")
    before = traces(left)
    assert words(left / "store.db") == ["first"]
    assert traces(left) == before


def test_nothing_is_made_beside_a_database_at_rest(tmp_path: Path) -> None:
    written(tmp_path / "store.db").close()
    assert words(tmp_path / "store.db") == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


def test_nothing_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with (
        closing(written(path)),
        read_only(path) as database,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        database.execute("INSERT INTO notes VALUES ('ours')")


def test_a_view_does_not_stand_for_a_table(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(written(path)) as writer:
        writer.execute("CREATE VIEW session AS SELECT word AS id FROM notes")
    with read_only(path) as database:
        assert columns(database, "session") == frozenset()
        assert columns(database, "notes") == {"word"}


def test_a_name_with_question_marks_and_odd_bytes_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=rwc#\udcff%.db"
    written(path).close()
    assert words(path) == ["first"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda _: None])
def test_what_is_no_plain_file_is_not_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "store.db")
    with pytest.raises(OSError, match="no plain file is there"), read_only(tmp_path / "store.db"):
        pass


def test_a_link_to_a_database_is_read_with_the_log_beside_the_database(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "store.db").symlink_to(tmp_path / "store.db")
    with closing(written(tmp_path / "store.db")):
        assert words(tmp_path / "links" / "store.db") == ["first"]
    assert [path.name for path in (tmp_path / "links").iterdir()] == ["store.db"]
