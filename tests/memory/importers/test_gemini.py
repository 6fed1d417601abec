"""Gemini CLI's chats: a session that version 0.61.0 wrote and resumed twice, and hostile ones."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pktui.memory.importers import gemini
from pktui.memory.importers.gemini import GeminiSource, default_place
from pktui.memory.interchange import ImportReport, MessageRecord, SessionRecord
from pktui.memory.service.ingest import Ingest
from pktui.memory.store import Store
from tests.memory.importers.agents import LATER, MASKS, STORES, calls_last, kept, said, write

if TYPE_CHECKING:
    import pytest

STORE = STORES / "gemini"
CHAT = "tmp/work-fx-gemini/chats/session-2026-11-29T14-29-0f3bd227.jsonl"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def source(path: Path, wall: float = LATER) -> GeminiSource:
    return GeminiSource(path, MASKS, lambda: wall)


def head(session: str = "s1") -> dict[str, Any]:
    return {"sessionId": session, "startTime": "2026-03-02T12:00:00Z", "kind": "main"}


def user(number: int, text: str) -> dict[str, Any]:
    return told(number, "user", content=[{"text": text}])


def told(number: int, kind: str, **more: Any) -> dict[str, Any]:
    when = (NOON + timedelta(seconds=number)).isoformat()
    return {"id": f"m{number}", "timestamp": when, "type": kind, **more}


def tool(call_id: str, status: str, output: str = "done") -> dict[str, Any]:
    answer = {"functionResponse": {"id": call_id, "name": "sh", "response": {"output": output}}}
    args = {"command": call_id}
    return {"id": call_id, "name": "sh", "args": args, "result": [answer], "status": status}


def chat(root: Path, *rows: dict[str, Any] | bytes, name: str = "session-1.jsonl") -> Path:
    return write(root / "tmp/p/chats" / name, *rows)


def test_a_resumed_session_is_read_as_it_was_told_first() -> None:
    reading = source(STORE)
    session, *messages = list(reading)
    assert isinstance(session, SessionRecord)
    assert session.source_id == "0f3bd227-ba8b-4664-905d-f2f824ba19d0"
    assert session.project == "/home/ada/work-fx-gemini"
    assert session.started_at == datetime(2026, 11, 29, 14, 29, 15, 204_000, UTC)
    assert [(role, text.splitlines()[0][:40]) for role, text in said(messages)] == [
        ("user", "Remember that pktui is an MCP policy gat"),
        ("agent", "I'll record that first."),
        ("tool", 'mcp_memory_create_entities {"entities":['),
        ("tool", 'write_file {"file_path":"/home/ada/work-'),
        ("agent", "Recorded the project and wrote auth.py."),
        ("user", "Now make login() use an allow list and c"),
        ("tool", 'read_file {"file_path":"/home/ada/work-f'),
        ("tool", 'replace {"file_path":"/home/ada/work-fx-'),
        ("tool", 'run_shell_command {"command":"python3 -m'),
        ("agent", "login() now checks an allow list. TODO: "),
        ("user", "What did we decide about storage?"),
        ("tool", "mcp_memory_read_graph {}"),
        ("agent", "We decided on SQLite; login() uses an al"),
    ]
    times = [one.created_at for one in messages if isinstance(one, MessageRecord)]
    assert times == sorted(times)
    assert said(messages)[8][1].splitlines()[1:3] == ["ok", "Output: compiled"]
    assert reading.rejects.report() == ImportReport()
    assert reading.progress[0] == reading.progress[1] > 0


def test_a_session_imported_at_every_line_is_the_same_as_one_imported_at_its_end(
    tmp_path: Path,
) -> None:
    whole = (STORE / CHAT).read_bytes()
    path = tmp_path / CHAT
    with Store.open(tmp_path / "memory") as store:
        ingest = Ingest()
        for end in [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]:
            write(path, whole[: end + 7])
            reading = source(tmp_path, wall=0)
            ingest.take(store, list(reading))
            assert reading.rejects.report().rejected == 0
        (session,) = store.sessions().items
        grown = kept(store, session.id)
        assert session.title.startswith("Remember that pktui is an MCP policy gateway")
        assert ingest.take(store, list(source(tmp_path))).messages == 0
    assert grown == calls_last(said(source(STORE)))


def test_the_last_telling_of_a_message_counts(tmp_path: Path) -> None:
    chat(
        tmp_path,
        head(),
        told(1, "gemini", content="draft"),
        told(1, "gemini", content="final", toolCalls=[tool("a", "success")]),
    )
    assert said(source(tmp_path)) == [("agent", "final"), ("tool", 'sh {"command":"a"}\nok\ndone')]


def test_what_was_rewound_is_gone(tmp_path: Path) -> None:
    rows = [head(), user(1, "one"), user(2, "two"), user(3, "three"), {"$rewindTo": "m2"}]
    chat(tmp_path, *rows, {"$rewindTo": "unheard of"}, user(4, "four"))
    assert said(source(tmp_path)) == [("user", "one"), ("user", "four")]


def test_a_patch_replaces_the_conversation_and_names_the_session(tmp_path: Path) -> None:
    chat(
        tmp_path,
        head(),
        user(1, "one"),
        user(2, "two"),
        {"$set": {"messages": [user(2, "poorer"), user(3, "three")], "summary": "Counting"}},
    )
    session, *messages = source(tmp_path)
    assert isinstance(session, SessionRecord)
    assert session.name == "Counting"
    assert said(messages) == [("user", "two"), ("user", "three")]


def test_calls_that_only_a_patch_tells_are_joined_to_their_results(tmp_path: Path) -> None:
    called = {"functionCall": {"id": "c", "name": "ls", "args": {"path": "/"}}}
    answer = {"functionResponse": {"id": "c", "name": "ls", "response": {"error": "not allowed"}}}
    messages = [
        user(1, "<session_context>\nthe time is now"),
        told(2, "gemini", content=[called]),
        told(3, "user", content=[answer]),
        told(4, "user", content=[answer]),
        told(5, "gemini", content=[{"functionCall": {"name": "lost"}}]),
    ]
    chat(tmp_path, head(), {"$set": {"messages": messages}})
    expected = [("tool", 'ls {"path":"/"}\nerror\nnot allowed'), ("tool", "lost {}\nno result")]
    assert said(source(tmp_path)) == expected
    assert said(source(tmp_path, wall=0)) == expected[:1]


def test_a_call_is_taken_when_it_has_ended(tmp_path: Path) -> None:
    running = told(1, "gemini", content="", toolCalls=[tool("a", "executing", "")])
    path = chat(tmp_path, head(), running)
    os.utime(path, (1_000_000, 1_000_000))
    assert said(source(tmp_path, wall=1_000_001)) == []
    assert said(source(tmp_path)) == [("tool", 'sh {"command":"a"}\nno result')]
    chat(tmp_path, head(), running, told(1, "gemini", toolCalls=[tool("a", "cancelled", "")]))
    assert said(source(tmp_path, wall=0)) == [("tool", 'sh {"command":"a"}\ncancelled')]


def test_a_subagent_is_a_session_that_names_its_parent(tmp_path: Path) -> None:
    chat(tmp_path, head("inner"), user(1, "look"), name="s1/inner.jsonl")
    (tmp_path / "tmp/p/.project_root").write_text("/home/ada/p\n")
    session = next(iter(source(tmp_path)))
    assert isinstance(session, SessionRecord)
    assert (session.source_id, session.summary) == ("s1/inner", "A subagent of session s1")
    assert session.project == "/home/ada/p"


def test_broken_and_unknown_lines_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    chat(
        tmp_path,
        b"\xef\xbb\xbf" + json.dumps(head()).encode() + b"\n",
        user(1, "half \ud800"),
        b"no json\n",
        b'{"id":7}\n',
        b'{"$set":{"messages":' + b"[" * 100_000 + b"\n",
        {"$set": {"lastUpdated": "x", "novelty": {"a": 1}}},
        {"type": "novelty"},
        told(2, "vision", content="?"),
        told(3, "info", content="an update is there"),
        told(4, "gemini", content=["plain ", {"text": "parts"}, {"text": "!", "thought": True}]),
        b'{"id":"m5","type":"us',
    )
    reading = source(tmp_path)
    assert said(reading) == [("user", r"half \ud800"), ("agent", "plain parts")]
    report = reading.rejects.report()
    name = "p/chats/session-1.jsonl"
    assert [one.at for one in report.rejects] == [f"{name} line {n}" for n in (3, 4, 5)]
    assert {(one.kind, one.records) for one in report.unknown} == {("novelty", 1), ("vision", 1)}


def test_a_file_of_messages_without_end_is_taken_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemini, "MAX_MESSAGES", 3)
    chat(tmp_path, head(), *[user(n, str(n)) for n in range(6)])
    reading = source(tmp_path)
    assert [text for _, text in said(reading)] == ["0", "1", "2"]
    (reject,) = reading.rejects.report().rejects
    assert "the last of 3 messages" in reject.why


def test_only_chats_are_read(tmp_path: Path) -> None:
    write(tmp_path / "tmp/p/logs.jsonl", head(), user(1, "x"))
    assert list(source(tmp_path)) == []


def test_the_place_follows_gemini_clis_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_CLI_HOME", "/srv/gemini")
    assert default_place() == Path("/srv/gemini/.gemini/tmp")
    monkeypatch.delenv("GEMINI_CLI_HOME")
    assert default_place() == Path.home() / ".gemini/tmp"
