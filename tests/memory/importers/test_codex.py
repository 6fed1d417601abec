"""Codex's rollouts: one that version 0.171.0 wrote, shortened, and older and hostile ones."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pktui.errors import StoreError
from pktui.memory.importers import files
from pktui.memory.importers.codex import CodexSource, default_place
from pktui.memory.interchange import ImportReport, MessageRecord, SessionRecord
from pktui.memory.service.ingest import Ingest
from pktui.memory.store import Store
from tests.memory.importers import agents
from tests.memory.importers.agents import MASKS, STORES, calls_last, kept, said

STORE = STORES / "codex"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
THREAD = "01a227a9-a218-76d0-9207-d3d87a88a40b"
STATE = "CREATE TABLE threads (id TEXT PRIMARY KEY, title TEXT NOT NULL, name TEXT)"

Line = dict[str, Any] | bytes


def source(path: Path, wall: float = 0) -> CodexSource:
    return CodexSource(path, MASKS, lambda: wall)


def line(kind: str, number: int, **payload: Any) -> dict[str, Any]:
    """A line as Codex writes it, a second after the one before."""
    when = (NOON + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
    return {"timestamp": when, "ordinal": number, "type": kind, "payload": payload}


def meta(**more: Any) -> dict[str, Any]:
    told = {"id": THREAD, "timestamp": "2026-03-02T12:00:00Z", "cwd": "/home/dev/app"}
    return line("session_meta", 0, **told | more)


def event(number: int, kind: str, **more: Any) -> dict[str, Any]:
    return line("event_msg", number, type=kind, **more)


def item(number: int, kind: str, name: str, **more: Any) -> dict[str, Any]:
    return event(number, "item_completed", item={"type": kind, "id": name, **more})


def words(number: int, role: str, text: str, **more: Any) -> dict[str, Any]:
    part = "input_text" if role == "user" else "output_text"
    content = [{"type": part, "text": text}]
    return line("response_item", number, type="message", role=role, content=content, **more)


def call(number: int, name: str, tool: str = "update_plan", **arguments: Any) -> dict[str, Any]:
    told = {"call_id": name, "name": tool, "arguments": json.dumps(arguments)}
    return line("response_item", number, type="function_call", **told)


def output(number: int, name: str, text: object = "done") -> dict[str, Any]:
    return line("response_item", number, type="function_call_output", call_id=name, output=text)


def write(home: Path, *lines: Line, name: str = "rollout-2026-03-02T12-00-00-x.jsonl") -> Path:
    return agents.write(home / "sessions" / "2026" / "03" / "02" / name, *lines)


def titled(home: Path, *rows: tuple[str, str, str | None], number: int = 5) -> None:
    with closing(sqlite3.connect(home / f"state_{number}.sqlite")) as database:
        database.execute(STATE)
        database.executemany("INSERT INTO threads VALUES (?, ?, ?)", rows)
        database.commit()


def test_a_session_is_read_with_each_word_and_call_once() -> None:
    place = source(STORE)
    session, *messages = place
    assert session == SessionRecord(
        "codex",
        THREAD,
        datetime(2026, 11, 29, 14, 15, 58, 250_000, UTC),
        ended_at=datetime(2026, 11, 29, 14, 16, 22, 58_000, UTC),
        agent="codex",
        project="/home/dev/app",
    )
    told = [(one.role, one.content) for one in messages if isinstance(one, MessageRecord)]
    assert [role for role, _ in told] == [
        "user", "agent", "tool", "tool", "agent", "user", "tool", "tool", "agent",
    ]  # fmt: skip
    assert told[0][1].startswith("Remember that pktui is an MCP policy gateway")
    assert told[2][1].startswith('mcp__memory__create_entities {"entities":[{"name":"pktui"')
    assert told[3][1].startswith('apply_patch {"/home/dev/app/auth.py":{"type":"add"')
    assert told[3][1].endswith("ok\nSuccess. Updated the following files:\nA auth.py")
    assert told[7] == (
        "tool",
        'shell {"command":"python3 -m py_compile auth.py && echo compiled"}\nok\ncompiled',
    )
    report = place.rejects.report()
    assert (report.rejected, report.unknown) == (0, ())
    assert place.progress[0] == place.progress[1] > 0


def test_ids_and_times_are_those_of_the_agent() -> None:
    messages = [one for one in source(STORE) if isinstance(one, MessageRecord)]
    first, answer, made = messages[:3]
    assert first.source_id == "01a227a9-a974-75c0-bbe5-a35fdce6ee70"
    assert first.created_at == datetime(2026, 11, 29, 14, 16, 0, 118_000, UTC)
    assert answer.source_id == "msg_8849499ecfd24322ab97e153"
    assert made.source_id == "call:call_74035fcc74d740bab99e480e"
    assert len({one.source_id for one in messages}) == len(messages)


def test_an_older_file_without_items_says_the_same(tmp_path: Path) -> None:
    """The genuine file, without what older versions did not write."""
    (path,) = STORE.rglob("rollout-*.jsonl")
    kept = [
        one for one in path.read_bytes().splitlines(keepends=True) if b'"item_completed"' not in one
    ]
    write(tmp_path, *kept)
    newer = [text for role, text in said(source(STORE)) if role != "tool"]
    older = said(source(tmp_path))
    assert [text for role, text in older if role != "tool"] == newer
    assert [text.split()[0] for role, text in older if role == "tool"] == [
        "mcp__memory__create_entities", "exec_command", "exec_command", "exec_command",
    ]  # fmt: skip
    assert older[-2] == (
        "tool",
        'exec_command {"cmd":"python3 -m py_compile auth.py && echo compiled"}\nok\ncompiled',
    )


def test_a_session_that_a_newer_version_went_on_with_is_whole(tmp_path: Path) -> None:
    write(
        tmp_path,
        meta(),
        words(1, "user", "<environment_context>\n</environment_context>"),
        words(2, "user", "old question"),
        words(3, "assistant", "old answer"),
        event(4, "task_started"),
        words(5, "user", "new question", id="a"),
        item(6, "UserMessage", "b", content=[{"type": "text", "text": "new question"}]),
        item(7, "AgentMessage", "c", content=[{"type": "Text", "text": "new answer"}]),
        words(8, "assistant", "new answer", id="c"),
    )
    assert said(source(tmp_path)) == [
        ("user", "old question"),
        ("agent", "old answer"),
        ("user", "new question"),
        ("agent", "new answer"),
    ]


def test_what_codex_put_into_a_prompt_is_left_out_where_it_says_so(tmp_path: Path) -> None:
    parts = [{"type": "input_text", "text": "injected"}, {"type": "input_text", "text": "typed"}]
    kinds = {"content_item_kinds": ["agents_md.instructions", "user.text"]}
    prompt = words(1, "user", "", id="p", internal_chat_message_metadata_passthrough=kinds)
    prompt["payload"]["content"] = parts
    write(tmp_path, meta(), prompt, words(2, "assistant", "answer"))
    assert said(source(tmp_path)) == [("user", "typed"), ("agent", "answer")]


def test_a_second_import_adds_only_what_is_new(tmp_path: Path) -> None:
    (path,) = STORE.rglob("rollout-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    with Store.open(tmp_path / "memory") as store:
        write(tmp_path, *lines[:18])
        first = ImportReport(sessions=1, messages=2, calls=2)
        assert Ingest().take(store, list(source(tmp_path))) == first
        write(tmp_path, *lines)
        grown = ImportReport(messages=3, calls=2, known=5)
        assert Ingest().take(store, list(source(tmp_path))) == grown
        assert Ingest().take(store, list(source(tmp_path))) == ImportReport(known=10)
        (session,) = store.sessions().items
        assert kept(store, session.id) == calls_last(said(source(tmp_path)))


def test_a_growing_file_gives_each_piece_once(tmp_path: Path) -> None:
    (path,) = STORE.rglob("rollout-*.jsonl")
    whole = path.read_bytes()
    expected = [one for one in source(STORE) if isinstance(one, MessageRecord)]
    seen: dict[str, MessageRecord] = {}
    for end in (*range(0, len(whole), 97), len(whole)):
        write(tmp_path, whole[:end])
        growing = source(tmp_path)
        for one in growing:
            if isinstance(one, MessageRecord):
                seen.setdefault(one.source_id, one)
        assert growing.rejects.report().rejected == 0
    assert sorted(seen.values(), key=lambda one: one.source_id) == sorted(
        expected, key=lambda one: one.source_id
    )


def test_a_call_is_told_when_it_has_ended(tmp_path: Path) -> None:
    began = [meta(), words(1, "user", "go"), call(2, "one", step=1)]
    write(tmp_path, *began)
    assert said(source(tmp_path)) == [("user", "go")]
    write(tmp_path, *began, output(3, "one"))
    assert said(source(tmp_path)) == [("user", "go"), ("tool", 'update_plan {"step":1}\nok\ndone')]


def test_a_call_without_an_end_is_told_once_its_turn_is_over(tmp_path: Path) -> None:
    began = [meta(), event(1, "task_started"), words(2, "user", "go"), call(3, "one")]
    write(tmp_path, *began, event(4, "turn_aborted", reason="interrupted"))
    assert said(source(tmp_path))[1:] == [("tool", "update_plan {}\nno result")]


def test_a_call_that_was_killed_is_told_when_its_file_has_rested(tmp_path: Path) -> None:
    path = write(tmp_path, meta(), words(1, "user", "go"), call(2, "one"))
    written = path.stat().st_mtime
    assert said(source(tmp_path, written + 3_000)) == [("user", "go")]
    assert said(source(tmp_path, written + 4_000))[1:] == [("tool", "update_plan {}\nno result")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Exit code: 0\nWall time: 1 seconds\nOutput:\nfine", "ok\nfine"),
        ("Exit code: 7\nWall time: 1 seconds\nOutput:\nExit code: 0", "error\nExit code: 0"),
        ("Chunk ID: a\nProcess exited with code 1\nOutput:\nno", "error\nno"),
        ("Wall time: 0 seconds\nOutput:\nExit code: 2\nWall time: 1 s\nOutput:\nx", "error\nx"),
        ('{"output":"gone\\n","metadata":{"exit_code":1}}', "error\ngone"),
        ({"content": "refused", "success": False}, "error\nrefused"),
        ([{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "b"}], "ok\na"),
    ],
)
def test_how_a_call_of_an_older_file_ended(tmp_path: Path, text: object, told: str) -> None:
    shell = call(2, "one", "shell", cmd="x")
    write(tmp_path, meta(), words(1, "user", "go"), shell, output(3, "one", text))
    assert said(source(tmp_path))[1:] == [("tool", f'shell {{"cmd":"x"}}\n{told}')]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"status": "completed", "exit_code": 3, "aggregated_output": "x"}, "error\nx"),
        ({"status": "declined"}, "denied"),
        ({"status": "failed", "aggregated_output": None}, "error"),
    ],
)
def test_how_a_command_ended(tmp_path: Path, more: dict[str, Any], told: str) -> None:
    command = item(2, "CommandExecution", "c", command=["/bin/bash", "-lc", "make"], **more)
    write(tmp_path, meta(), words(1, "user", "go"), command)
    assert said(source(tmp_path))[1:] == [("tool", f'shell {{"command":"make"}}\n{told}')]


def test_secrets_in_calls_are_masked(tmp_path: Path) -> None:
    key = "ghp_" + "a1B2" * 9
    shell = call(2, "one", "shell", cmd=f"curl -H 'Authorization: Bearer {key}'")
    write(tmp_path, meta(), words(1, "user", "go"), shell, output(3, "one", f"token {key}"))
    assert key not in said(source(tmp_path))[1][1]


def test_titles_come_from_the_newest_state(tmp_path: Path) -> None:
    write(tmp_path, meta(), words(1, "user", "go"), words(2, "assistant", "gone"))
    titled(tmp_path, (THREAD, "old", None), number=9)
    titled(tmp_path, (THREAD, "First line\nsecond", " "), number=10)
    assert next(iter(source(tmp_path))).name == "First line"  # type: ignore[union-attr]
    titled(tmp_path, (THREAD, "prompt", "Given name"), number=11)
    one = tmp_path / "sessions/2026/03/02/rollout-2026-03-02T12-00-00-x.jsonl"
    assert next(iter(source(one))).name == "Given name"  # type: ignore[union-attr]


def test_a_broken_state_costs_the_titles_only(tmp_path: Path) -> None:
    write(tmp_path, meta(), words(1, "user", "go"), words(2, "assistant", "gone"))
    (tmp_path / "state_5.sqlite").write_bytes(b"no database" * 100)
    place = source(tmp_path)
    assert said(place) == [("user", "go"), ("agent", "gone")]
    assert [one.at for one in place.rejects.report().rejects] == ["state_5.sqlite"]


@pytest.mark.parametrize(
    "told",
    [
        {"parent_thread_id": "p"},
        {"source": {"subagent": {"thread_spawn": {"parent_thread_id": "p", "depth": 1}}}},
    ],
)
def test_a_subagent_is_a_session_that_names_its_parent(
    tmp_path: Path, told: dict[str, Any]
) -> None:
    write(tmp_path, meta(**told), words(1, "user", "go"), words(2, "assistant", "gone"))
    assert next(iter(source(tmp_path))).summary == "A subagent of session p"  # type: ignore[union-attr]


def test_archived_sessions_are_read_and_other_directories_are_not(tmp_path: Path) -> None:
    path = write(tmp_path, meta(), words(1, "user", "kept"), words(2, "assistant", "x"))
    for name in ("archived_sessions", "worktrees"):
        (tmp_path / name).mkdir()
        shutil.copyfile(path, tmp_path / name / "rollout-b.jsonl")
    sessions = [one for one in source(tmp_path) if isinstance(one, SessionRecord)]
    assert len(sessions) == 2


def test_a_place_without_sessions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        list(source(tmp_path / "nowhere"))


def test_unknown_kinds_are_counted_and_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        meta(),
        words(1, "user", "go"),
        line("hologram", 2),
        line("hologram", 3),
        event(4, "hum"),
        item(5, "Dream", "d"),
        line("response_item", 6, type="riddle"),
        words(7, "assistant", "gone"),
    )
    place = source(tmp_path)
    assert said(place) == [("user", "go"), ("agent", "gone")]
    assert {one.kind: one.records for one in place.rejects.report().unknown} == {
        "hologram": 2, "event_msg hum": 1, "item Dream": 1, "response_item riddle": 1,
    }  # fmt: skip


def test_lines_that_cannot_be_read_are_named_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 20_000)
    write(
        tmp_path,
        meta(),
        b"not json\n",
        b"[" * 15_000 + b"\n",
        b"[]\n",
        words(3, "user", "x" * 30_000),
        item(4, "UserMessage", "n", content="no list"),
        b'{"timestamp": "1", "type": "event_msg", "payload": {"type": "task_started"}}\n',
        line("response_item", 5, type="message", role="user", content=7),
        item(6, "CommandExecution", "c", command=["x"], exit_code=[]),
        words(7, "user", "still here"),
        words(8, "assistant", "yes"),
    )
    place = source(tmp_path)
    assert said(place) == [("user", "still here"), ("agent", "yes")]
    named = {one.at.rpartition(" ")[2] for one in place.rejects.report().rejects}
    assert named == {"2", "3", "4", "5", "6", "8", "9"}


def test_half_surrogates_and_odd_bytes_are_made_safe(tmp_path: Path) -> None:
    prompt = words(1, "user", "half \ud83d end")
    odd = json.dumps(words(2, "assistant", "odd @ byte")).encode().replace(b"@", b"\xff") + b"\n"
    write(tmp_path, meta(cwd="/tmp/\udc00"), prompt, odd)
    session, first, second = source(tmp_path)
    assert isinstance(session, SessionRecord)
    assert isinstance(first, MessageRecord)
    assert isinstance(second, MessageRecord)
    assert (first.content, second.content) == ("half \\ud83d end", "odd � byte")
    assert session.project.encode() == rb"/tmp/\udc00"


@pytest.mark.parametrize(
    "make",
    [
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\xfe{\x00}\x00\n\x00"),
        lambda path: path.write_bytes(json.dumps(words(0, "user", "headless")).encode() + b"\n"),
        lambda path: path.write_bytes(json.dumps(meta(timestamp="once")).encode() + b"\n"),
    ],
)
def test_what_is_no_rollout_is_passed_by(tmp_path: Path, make: Callable[[Path], None]) -> None:
    good = write(tmp_path, meta(), words(1, "user", "go"), words(2, "assistant", "gone"))
    make(good.with_name("rollout-odd.jsonl"))
    assert said(source(tmp_path)) == [("user", "go"), ("agent", "gone")]


def test_the_default_place_is_codex_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    assert default_place() == tmp_path
    monkeypatch.delenv("CODEX_HOME")
    assert default_place() == Path.home() / ".codex"
