"""opencode's database: rows that version 1.18.33 wrote, shortened, and hostile ones."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pktui.errors import StoreError
from pktui.memory.importers import sqlite
from pktui.memory.importers.opencode import OpencodeSource, default_place
from pktui.memory.interchange import ImportReport, MessageRecord, SessionRecord
from pktui.memory.service.ingest import Ingest
from pktui.memory.store import Store
from tests.memory.importers.agents import LATER, MASKS, STORES, said

SCRIPT = (STORES / "opencode.sql").read_text("utf-8")
SCHEMA = SCRIPT[: SCRIPT.index("INSERT")]
NOON_MS = 1_772_452_800_000


def source(path: Path, wall: float = LATER) -> OpencodeSource:
    return OpencodeSource(path, MASKS, lambda: wall)


def make(directory: Path, script: str = SCRIPT) -> Path:
    path = directory / "opencode.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)
    return path


class Written:
    """A database with one session, to which messages and parts are added."""

    def __init__(self, directory: Path) -> None:
        self.path = make(directory, SCHEMA)
        self._count = 0
        self.session("ses_1")

    def session(self, number: object, title: str = "Given", **more: object) -> None:
        told = {"parent_id": None, "time_created": NOON_MS, "time_updated": NOON_MS} | more
        self._insert("session", id=number, project_id="p", slug="s", directory="/home/dev/app",
                     title=title, version="1", **told)  # fmt: skip

    def message(self, number: str, role: str = "assistant", *, done: bool = True) -> None:
        time = {"created": NOON_MS} | ({"completed": NOON_MS} if done else {})
        self._message(number, json.dumps({"role": role, "time": time}))

    def _message(self, number: str, data: object) -> None:
        self._count += 1
        when = NOON_MS + self._count
        self._insert("message", id=number, session_id="ses_1", time_created=when,
                     time_updated=when, data=data)  # fmt: skip

    def part(self, message: str, number: object, data: object = None, **told: Any) -> None:
        self._insert("part", id=number, message_id=message, session_id="ses_1",
                     time_created=NOON_MS, time_updated=NOON_MS,
                     data=json.dumps(told) if data is None else data)  # fmt: skip

    def raw_message(self, number: str, data: object) -> None:
        self._message(number, data)

    def _insert(self, table: str, **values: object) -> None:
        marks = ", ".join("?" * len(values))
        with closing(sqlite3.connect(self.path)) as database:
            database.execute(
                f"INSERT OR REPLACE INTO {table} ({', '.join(values)}) VALUES ({marks})",
                tuple(values.values()),
            )
            database.commit()


def test_sessions_are_read_with_their_titles_roles_and_calls(tmp_path: Path) -> None:
    place = source(make(tmp_path))
    records = list(place)
    sessions = [one for one in records if isinstance(one, SessionRecord)]
    assert [(one.source_id, one.name, one.summary) for one in sessions] == [
        ("ses_dff021b50ffeADA807aYbMWa5G", "Scripted test session", ""),
        ("ses_dff01ba5bffetmYQv5juD43ZlO", "Scripted test session", ""),
        (
            "ses_dff01a80cffe68AmxOAMR4inMX",
            "count files (@general subagent)",
            "A subagent of session ses_dff01ba5bffetmYQv5juD43ZlO",
        ),
        ("ses_dff0163eaffe7Naknwo0IHk4Tj", "Scripted test session", ""),
    ]
    first = sessions[0]
    assert (first.agent, first.project) == ("opencode", "/home/dev/app")
    assert first.started_at == datetime(2026, 11, 22, 2, 2, 48, 880_000, UTC)
    assert first.ended_at == datetime(2026, 11, 22, 2, 2, 54, 541_000, UTC)
    mine = [
        (one.role, one.content)
        for one in records
        if isinstance(one, MessageRecord) and one.session == first.source_id
    ]
    assert mine[:3] == [
        ("user", '"Run a few things that fail."'),
        ("agent", "Trying a failing command."),
        (
            "tool",
            (
                'bash {"command":"echo to-stdout; echo to-stderr >&2; exit 3",'
                '"description":"run a command"}\nerror\nto-stdout\nto-stderr'
            ),
        ),
    ]
    assert mine[4] == (
        "tool",
        'raw_fail {"msg":"denied by policy: rule-7"}\nerror\nRAW-ISERROR denied by policy: rule-7',
    )
    assert mine[6] == ("tool", 'raw_echo {"text":"one"}\nok\necho: one')
    assert mine[9] == ("agent", "Three of these failed; I'm stopping here.")
    report = place.rejects.report()
    assert (report.rejected, report.unknown) == (0, ())
    assert place.progress[0] == place.progress[1] > 0


def test_a_second_import_adds_nothing(tmp_path: Path) -> None:
    records = list(source(make(tmp_path)))
    with Store.open(tmp_path / "memory") as store:
        calls = sum(isinstance(one, MessageRecord) and one.role == "tool" for one in records)
        first = Ingest().take(store, records)
        assert first == ImportReport(sessions=4, messages=len(records) - 4 - calls, calls=calls)
        again = list(source(tmp_path))
        assert Ingest().take(store, again) == ImportReport(known=len(records))


def test_ids_and_times_are_those_of_the_agent(tmp_path: Path) -> None:
    messages = [one for one in source(make(tmp_path)) if isinstance(one, MessageRecord)]
    assert messages[1].source_id == "prt_200fdf1d800172V55lbZ3k2aUy"
    assert messages[2].source_id == "call:call_7331a1d8c3bc488b8a3d072d"
    assert messages[2].created_at == datetime(2026, 11, 22, 2, 2, 52, 340_000, UTC)
    assert len({one.source_id for one in messages}) == len(messages)


def test_a_call_that_was_killed_is_told_when_its_session_has_rested(tmp_path: Path) -> None:
    killed = ("tool", 'raw_slow {"seconds":60}\nno result')
    path = make(tmp_path)
    assert said(source(path))[-1] == killed
    soon = datetime(2026, 11, 22, 2, 10, tzinfo=UTC).timestamp()
    assert killed not in said(source(path, soon))


def test_what_is_being_written_is_left_for_the_next_time(tmp_path: Path) -> None:
    store = Written(tmp_path)
    store.message("m1", "user")
    store.part("m1", "p1", type="text", text="go")
    store.message("m2", done=False)
    store.part("m2", "p2", type="text", text="half an ans", time={"start": NOON_MS})
    running = {"status": "running", "input": {"n": 1}, "time": {"start": NOON_MS}}
    store.part("m2", "p3", type="tool", tool="t", callID="c", state=running)
    now = NOON_MS / 1000 + 10
    assert said(source(store.path, now)) == [("user", "go")]
    ended = {"start": NOON_MS, "end": NOON_MS}
    store.part("m2", "p2", type="text", text="half an answer", time=ended)
    assert said(source(store.path, now)) == [("user", "go"), ("agent", "half an answer")]
    done = running | {"status": "completed", "output": "fine"}
    store.part("m2", "p3", type="tool", tool="t", callID="c", state=done)
    assert said(source(store.path, now))[2:] == [("tool", 't {"n":1}\nok\nfine')]


def test_a_message_that_another_follows_is_not_written_any_more(tmp_path: Path) -> None:
    store = Written(tmp_path)
    store.message("m1", done=False)
    store.part("m1", "p1", type="tool", tool="t", state={"status": "running"})
    store.message("m2", "user")
    store.part("m2", "p2", type="text", text="again")
    now = NOON_MS / 1000 + 10
    assert said(source(store.path, now)) == [("tool", "t {}\nno result"), ("user", "again")]


def test_what_a_running_opencode_committed_is_read(tmp_path: Path) -> None:
    path = make(tmp_path, SCHEMA)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.executescript(SCRIPT[len(SCHEMA) :])
        names = {one.name for one in tmp_path.iterdir()}
        assert len(said(source(path))) > 10
        assert {one.name for one in tmp_path.iterdir()} == names


def test_what_opencode_says_to_the_model_is_left_out(tmp_path: Path) -> None:
    store = Written(tmp_path)
    store.message("m1", "user")
    store.part("m1", "p1", type="text", text="typed")
    store.part("m1", "p2", type="text", text="Called the Read tool", synthetic=True)
    store.part("m1", "p3", type="text", text="gone", ignored=True)
    store.part("m1", "p4", type="reasoning", text="thought")
    store.part("m1", "p5", type="text", text=" \n")
    assert said(source(store.path)) == [("user", "typed")]


def test_a_session_without_a_title_or_words(tmp_path: Path) -> None:
    store = Written(tmp_path)
    store.session("ses_1", "New session - 2026-03-02T12:00:00.000Z")
    store.session("ses_2", "Empty")
    store.message("m1", "user")
    store.part("m1", "p1", type="text", text="go")
    sessions = [one for one in source(store.path) if isinstance(one, SessionRecord)]
    assert [(one.source_id, one.name) for one in sessions] == [("ses_1", "")]


def test_how_a_call_ended(tmp_path: Path) -> None:
    store = Written(tmp_path)
    store.message("m1")
    refused = "The user rejected permission to use this specific tool call."
    failed = {"status": "completed", "output": "x", "metadata": {"exit": 2}}
    store.part("m1", "p1", type="tool", tool="a", state={"status": "error", "error": refused})
    store.part("m1", "p2", type="tool", tool="b", state=failed)
    store.part("m1", "p3", type="tool", tool="c", state={"status": "error", "error": "no"})
    assert said(source(store.path)) == [
        ("tool", f"a {{}}\ndenied\n{refused}"),
        ("tool", "b {}\nerror\nx"),
        ("tool", "c {}\nerror\nno"),
    ]


def test_secrets_in_calls_are_masked(tmp_path: Path) -> None:
    key = "ghp_" + "a1B2" * 9
    store = Written(tmp_path)
    store.message("m1")
    state = {"status": "completed", "input": {"token": key}, "output": f"token {key}"}
    store.part("m1", "p1", type="tool", tool="t", state=state)
    ((_, text),) = said(source(store.path))
    assert key not in text


def test_rows_that_cannot_be_read_are_named_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "MAX_VALUE_BYTES", 20_000)
    store = Written(tmp_path)
    store.session("ses_time", time_created="noon")
    store.session(b"\xff", time_created=NOON_MS)
    store.session("ses_far", time_created=2**62)
    store.message("m1", "wizard")
    store.raw_message("m2", "not json")
    store.raw_message("m3", b"\xff\xfe")
    store.message("m4", "user")
    store.part("m4", "p1", "[" * 15_000)
    store.part("m4", "p2", type="text", text="x" * 30_000)
    store.part("m4", "p3", type="text", text=7)
    store.part("m4", "p4", type="tool", tool="t", state="done")
    store.part("m4", "p5", type="hologram")
    store.part("m4", "p6", data='{"type": "text", "text": "half \\ud83d"}')
    store.part("m4", "p7", type="text", text="still here")
    place = source(store.path)
    assert said(place) == [("user", "half \\ud83d"), ("user", "still here")]
    report = place.rejects.report()
    named = {one.at for one in report.rejects}
    assert {"session ses_time", "session ses_far"} <= named
    assert {"message m1", "message m2", "message m3"} <= named
    assert {"part p1", "part p2", "part p3", "part p4"} <= named
    assert [(one.kind, one.records) for one in report.unknown] == [("part hologram", 1)]


def test_rows_of_a_newer_table_are_counted(tmp_path: Path) -> None:
    store = Written(tmp_path)
    with closing(sqlite3.connect(store.path)) as database:
        database.execute("INSERT INTO session_message VALUES ('a', 's', 'user', 1, 1, 1, '{}')")
        database.commit()
    place = source(store.path)
    assert list(place) == []
    assert [(one.kind, one.records) for one in place.rejects.report().unknown] == [
        ("row of session_message", 1)
    ]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("CREATE TABLE notes (word TEXT)", "its table session lacks"),
        (SCHEMA + "ALTER TABLE part DROP COLUMN data;", "its table part lacks data"),
        (SCHEMA + "DROP TABLE message; CREATE VIEW message AS SELECT * FROM part;", "message lack"),
    ],
)
def test_what_is_no_database_of_opencode_is_an_error(tmp_path: Path, script: str, why: str) -> None:
    with pytest.raises(StoreError, match=why):
        list(source(make(tmp_path, script)))


def test_a_place_without_a_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        list(source(tmp_path))
    (tmp_path / "opencode.db").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="no database of opencode"):
        list(source(tmp_path))


def test_a_directory_with_the_database_of_another_channel_is_enough(tmp_path: Path) -> None:
    make(tmp_path).rename(tmp_path / "opencode-beta.db")
    assert len(said(source(tmp_path))) > 10


def test_the_default_place_is_in_the_data_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_place() == tmp_path / "opencode"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_place() == Path.home() / ".local/share/opencode"
