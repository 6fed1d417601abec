"""Opencode Personal Knowledge's `knowledge.db`, with the tables that version 1.0.10 makes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pktui.errors import StoreError
from pktui.memory.importers.opencode_pk import OpencodePkSource, default_place
from pktui.memory.interchange import EntryRecord, MessageRecord, SessionRecord

SCHEMA = """
CREATE TABLE knowledge_entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, content TEXT NOT NULL, source TEXT,
  tags TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, started_at TEXT NOT NULL, ended_at TEXT,
  summary TEXT, is_active INTEGER DEFAULT 1);
CREATE TABLE session_messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT, session_id INTEGER NOT NULL REFERENCES sessions(id),
  role TEXT NOT NULL, content TEXT NOT NULL, created_at TEXT NOT NULL);
"""
ROWS = """
INSERT INTO sessions VALUES
  (1, 'debugging auth', '2026-11-22T01:26:44.126Z', '2026-11-22T01:26:44.202Z', 'summary 0', 0),
  (2, NULL, '2026-11-22T01:26:44.263Z', NULL, NULL, 1);
INSERT INTO session_messages VALUES
  (1, 1, 'user', 'The JWT token expires too fast', '2026-11-22T01:26:44.146Z'),
  (2, 2, 'user', 'キャッシュ', '2026-11-22T01:26:44.266Z'),
  (3, 1, 'agent', 'The TTL is 60', '2026-11-22T01:26:44.177Z');
INSERT INTO knowledge_entries VALUES
  (1, 'React', 'Runs after render.', 'https://react.dev', '["react","tips"]',
   '2026-11-22T01:26:44.291Z', '2026-11-22T01:26:45Z'),
  (2, 'Deploy', 'On Thursdays.', NULL, NULL, '2026-11-22T01:26:44.299Z', '2026-11-22T01:26:44.3Z');
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-22T01:26:{text}").replace(tzinfo=UTC)


def make(directory: Path, *scripts: str) -> Path:
    path = directory / "knowledge.db"
    with closing(sqlite3.connect(path)) as database:
        for script in (SCHEMA, *scripts):
            database.executescript(script)
    return path


def test_everything_in_the_file_is_read(tmp_path: Path) -> None:
    make(tmp_path, ROWS)
    source = OpencodePkSource(tmp_path)
    first, second = "1-1795310804126000", "2-1795310804263000"
    assert list(source) == [
        SessionRecord(
            "opencode-pk",
            first,
            at("44.126"),
            name="debugging auth",
            ended_at=at("44.202"),
            summary="summary 0",
        ),
        MessageRecord(
            "opencode-pk", first, "1", "user", "The JWT token expires too fast", at("44.146")
        ),
        MessageRecord("opencode-pk", first, "3", "agent", "The TTL is 60", at("44.177")),
        SessionRecord("opencode-pk", second, at("44.263"), status="active"),
        MessageRecord("opencode-pk", second, "2", "user", "キャッシュ", at("44.266")),
        EntryRecord(
            "React",
            "Runs after render.",
            at("44.291"),
            at("45"),
            source="https://react.dev",
            tags=("react", "tips"),
        ),
        EntryRecord("Deploy", "On Thursdays.", at("44.299"), at("44.300")),
    ]
    assert source.progress == (7, 7)
    assert source.rejects.report().rejected == 0


def test_rows_that_cannot_be_read_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        ROWS,
        """
        INSERT INTO sessions VALUES
          (3, 'no time', 'yesterday', NULL, NULL, 0),
          (4, 'before time', '0001-01-01T00:00:00+14:00', NULL, NULL, 0),
          (5, 'after time', '9999-12-31T23:59:59Z', NULL, NULL, 0);
        INSERT INTO session_messages VALUES
          (4, 3, 'user', 'in a lost session', '2026-11-22T01:26:44.146Z'),
          (5, 1, 'wizard', 'x', '2026-11-22T01:26:44.146Z'),
          (6, 1, 'user', x'ff41', '2026-11-22T01:26:44.146Z'),
          (7, 99, 'user', 'nowhere', '2026-11-22T01:26:44.146Z'),
          (8, 1, 'user', 'later', '2026-11-22T01:26:44.146');
        INSERT INTO knowledge_entries VALUES
          (3, 'Tags', 'x', NULL, 'not json', '2026-11-22T01:26:44Z', '2026-11-22T01:26:44Z');
        """,
    )
    source = OpencodePkSource(path)
    found = list(source)
    assert [one.source_id for one in found if isinstance(one, MessageRecord)] == [
        "1",
        "3",
        "8",
        "2",
    ]
    assert {reject.at for reject in source.rejects.report().rejects} == {
        "session 3",
        "session 4",
        "session 5",
        "message 4",
        "message 5",
        "message 6",
        "message 7",
        "entry 3",
    }
    assert source.progress == (16, 16)


def test_a_file_with_other_columns_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            """
            CREATE TABLE sessions (id, started_at, ended_at, is_active, name, summary);
            CREATE TABLE session_messages (id, session_id);
            CREATE TABLE knowledge_entries (id);
            INSERT INTO sessions VALUES ('one', '2026-11-22T01:26:44Z', NULL, 1, '', '');
            INSERT INTO knowledge_entries VALUES (7);
            """
        )
    source = OpencodePkSource(path)
    assert list(source) == []
    assert [one.at for one in source.rejects.report().rejects] == ["session one", "entry 7"]


def test_the_file_is_never_written(tmp_path: Path) -> None:
    path = make(tmp_path, ROWS)
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir()))
    list(OpencodePkSource(path))
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir())) == before


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_what_is_no_such_database_is_said_so(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other # file.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is not a database of Opencode|does not exist"):
        list(OpencodePkSource(path))
    assert path.exists() is (content is not None)


def test_the_place_follows_that_servers_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCODE_PK_DATA_DIR", "/srv/pk")
    assert default_place() == Path("/srv/pk")
    monkeypatch.delenv("OPENCODE_PK_DATA_DIR")
    assert default_place() == Path.home() / ".local/share/opencode-personal-knowledge"
