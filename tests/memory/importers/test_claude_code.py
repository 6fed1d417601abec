"""Claude Code's transcripts: a store that version 2.1.332 wrote, shortened, and hostile ones."""

from __future__ import annotations

import codecs
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.memory.importers import files
from pktui.memory.importers.claude_code import ClaudeCodeSource, default_place
from pktui.memory.interchange import ImportReport, MessageRecord, SessionRecord
from pktui.memory.service.ingest import Ingest
from pktui.memory.service.requests import MAX_BODY_BYTES
from pktui.memory.store import Store
from tests.memory.importers.agents import LATER, MASKS, STORES, said, write

if TYPE_CHECKING:
    import pytest

STORE = STORES / "claude"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def source(path: Path, wall: float = LATER) -> ClaudeCodeSource:
    return ClaudeCodeSource(path, MASKS, lambda: wall)


def row(kind: str, number: int, content: Any, **more: Any) -> dict[str, Any]:
    """A line as Claude Code writes it, a second after the one before."""
    when = (NOON + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
    message = {"role": kind, "content": content}
    return {"type": kind, "uuid": f"u{number}", "timestamp": when, "message": message, **more}


def call(number: int, call_id: str) -> dict[str, Any]:
    block = {"type": "tool_use", "id": call_id, "name": "Bash", "input": {"command": call_id}}
    return row("assistant", number, [block])


def result(number: int, call_id: str, **more: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": call_id, "content": f"out {call_id}"} | more
    return row("user", number, [block])


def test_a_store_is_read_with_titles_order_roles_times_and_calls() -> None:
    reading = source(STORE)
    records = list(reading)
    sessions = {one.source_id[:4]: one for one in records if isinstance(one, SessionRecord)}
    assert sorted(sessions) == ["7efb", "e38f"]
    assert sessions["7efb"].name == "Scripted test session"
    assert sessions["e38f"].name == ""
    assert sessions["e38f"].project == "/home/ada/work-fx-claude"
    assert sessions["e38f"].started_at == datetime(2026, 11, 29, 14, 8, 54, 998_000, UTC)
    assert sessions["e38f"].ended_at == datetime(2026, 11, 29, 14, 13, 50, 246_000, UTC)
    work = [m for m in records if isinstance(m, MessageRecord) and m.session.startswith("e38f")]
    assert [(one.role, one.content.splitlines()[0][:40]) for one in work] == [
        ("user", "Remember that pktui is an MCP policy gat"),
        ("agent", "I'll record that first."),
        ("tool", 'mcp__memory__create_entities {"entities"'),
        ("tool", 'Write {"file_path":"/home/ada/work-fx-cl'),
        ("agent", "Recorded the project and wrote auth.py."),
        ("user", "Now make login() use an allow list and c"),
        ("tool", 'Read {"file_path":"/home/ada/work-fx-cla'),
        ("tool", 'Edit {"replace_all":false,"file_path":"/'),
        ("tool", 'Bash {"command":"python3 -m py_compile a'),
        ("agent", "login() now checks an allow list. TODO: "),
        ("user", "What did we decide about storage?"),
        ("tool", "mcp__memory__read_graph {}"),
        ("agent", "We decided on SQLite; login() uses an al"),
        ("system", "This session is being continued from a p"),
        ("system", "/compact"),
    ]
    bash = next(one for one in work if one.content.startswith("Bash"))
    assert bash.source_id.startswith("call:toolu_")
    assert bash.content.splitlines()[1:] == ["ok", "compiled"]
    assert reading.rejects.report() == ImportReport()
    assert reading.progress[0] == reading.progress[1] > 0


def test_a_store_taken_in_twice_stands_once(tmp_path: Path) -> None:
    with Store.open(tmp_path / "memory") as store:
        first = Ingest().take(store, list(source(STORE)))
        assert (first.sessions, first.rejected) == (2, 0)
        again = Ingest().take(store, list(source(STORE)))
        assert (again.sessions, again.messages) == (0, 0)
        assert again.known == first.sessions + first.messages + first.calls
        titles = {one.title for one in store.sessions().items}
    assert "Scripted test session" in titles
    assert any(title.startswith("Remember that pktui is an MCP") for title in titles)


def test_a_session_that_grows_gets_its_new_lines(tmp_path: Path) -> None:
    path = tmp_path / "projects/-p/s1.jsonl"
    rows = [row("user", 1, "first"), call(2, "a"), call(3, "b"), result(4, "b"), result(5, "a")]
    end = json.dumps(row("assistant", 6, [{"type": "text", "text": "done"}])).encode()
    with Store.open(tmp_path / "memory") as store:
        for upto in range(1, len(rows) + 1):
            write(path, *rows[:upto], end[: 10 * upto])
            reading = source(tmp_path, wall=0)
            Ingest().take(store, list(reading))
            assert reading.rejects.report().rejected == 0
        write(path, *rows, end)
        Ingest().take(store, list(source(tmp_path, wall=0)))
        (kept,) = store.sessions().items
        seen = [(one.role, one.content) for one in store.messages(kept.id).items]
        results = [one.result for one in store.calls(kept.id).items]
    assert seen == [("user", "first"), ("agent", "done")]
    assert results == ["out b", "out a"]


def test_a_call_without_result_waits_for_it_while_the_file_is_fresh(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", row("user", 1, "go"), call(2, "a"))
    os.utime(path, (1_000_000, 1_000_000))
    assert said(list(source(path, wall=1_000_000 + 3_599))) == [("user", "go")]
    late = said(list(source(path, wall=1_000_000 + 3_601)))
    assert late[1:] == [("tool", 'Bash {"command":"a"}\nno result')]
    write(path, row("user", 1, "go"), call(2, "a"), row("user", 3, "and now?"))
    assert [role for role, _ in said(list(source(path, wall=0)))] == ["user", "tool", "user"]


def test_what_claude_code_says_to_itself_is_not_the_persons_prompt(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.jsonl",
        row("user", 1, "<local-command-caveat>x</local-command-caveat>", isMeta=True),
        row("user", 2, "<command-name>/clear</command-name>\n<command-args></command-args>"),
        row("user", 3, "<local-command-stdout>gone</local-command-stdout>"),
        row("user", 4, "a summary", isCompactSummary=True),
        row("user", 5, [{"type": "text", "text": "<system-reminder>x</system-reminder>"}]),
        row("user", 6, "[Request interrupted by user for tool use]"),
        row("user", 7, "done elsewhere", origin={"kind": "task-notification"}),
        row("user", 8, "asked by the agent", isSidechain=True),
        row("assistant", 9, [{"type": "text", "text": "API Error"}]),
        row("user", 10, "<command-name>/review</command-name><command-args>auth</command-args>"),
        row("user", 11, [{"type": "text", "text": "real"}, {"type": "image", "source": {}}]),
    )
    assert said(list(source(path))) == [
        ("system", "/clear"),
        ("system", "a summary"),
        ("system", "[Request interrupted by user for tool use]"),
        ("system", "done elsewhere"),
        ("system", "asked by the agent"),
        ("agent", "API Error"),
        ("user", "/review auth"),
        ("user", "real\n[image]"),
    ]


def test_a_prompt_that_was_typed_while_the_model_worked_is_kept(tmp_path: Path) -> None:
    queued = {"type": "queued_command", "prompt": "also this", "commandMode": "prompt"}
    news = {"type": "queued_command", "prompt": "a task ended", "commandMode": "task-notification"}
    path = write(
        tmp_path / "s.jsonl",
        {"type": "attachment", "uuid": "q", "attachment": queued},
        {"type": "attachment", "uuid": "n", "attachment": news},
    )
    assert said(list(source(path))) == [("user", "also this")]


def test_titles_are_the_persons_then_the_last_of_the_agents(tmp_path: Path) -> None:
    ai = [{"type": "ai-title", "aiTitle": name} for name in ("one", "two")]
    custom = {"type": "custom-title", "customTitle": "mine"}
    write(tmp_path / "a.jsonl", ai[0], row("user", 1, "x"), ai[1])
    write(tmp_path / "b.jsonl", custom, row("user", 1, "x"), ai[1])
    named = [one.name for one in source(tmp_path) if isinstance(one, SessionRecord)]
    assert sorted(named) == ["mine", "two"]


def test_a_subagent_is_a_session_that_names_its_parent(tmp_path: Path) -> None:
    write(
        tmp_path / "projects/-p/s1/subagents/agent-7.jsonl",
        row("user", 1, "look for x", isSidechain=True),
    )
    session, message = source(tmp_path)
    assert isinstance(session, SessionRecord)
    assert (session.source_id, session.summary) == ("s1/agent-7", "A subagent of session s1")
    assert said([message]) == [("user", "look for x")]


def test_broken_and_unknown_lines_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    deep = b'{"type":"user","message":{"content":' + b"[" * 100_000
    path = write(
        tmp_path / "s.jsonl",
        codecs.BOM_UTF8 + json.dumps(row("user", 1, "first")).encode() + b"\n",
        b"no json\n",
        b"\n",
        deep + b"\n",
        b'{"type":"user","message":{"content":7}}\n',
        b'{"type":7}\n',
        b'{"type":"hologram\\u001b[2J"}\n{"type":"hologram\\u001b[2J"}\n{}\n',
        row("user", 2, "half \ud800 surrogate", timestamp="never"),
        b'{"type":"user","uuid":"odd","message":{"content":"odd \xff byte"}}\n',
        row("user", 3, "last", uuid="x" * 10_000),
        b'{"type":"user","mess',
    )
    reading = source(path)
    records = list(reading)
    assert [text for _, text in said(records)] == [
        "first",
        r"half \ud800 surrogate",
        "odd \ufffd byte",
        "last",
    ]
    report = reading.rejects.report()
    assert [one.at for one in report.rejects] == [f"s.jsonl line {n}" for n in (2, 4, 5, 6)]
    assert [(one.kind, one.records) for one in report.unknown] == [
        ("hologram␛[2J", 2),
        ("no type", 1),
    ]
    last = records[-1]
    assert isinstance(last, MessageRecord)
    assert last.source_id.startswith("sha256:")
    assert records[2].created_at == NOON + timedelta(seconds=1)  # type: ignore[union-attr]


def test_a_line_that_is_too_long_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 500)
    path = write(tmp_path / "s.jsonl", row("user", 1, "x" * 900), row("user", 2, "short"))
    reading = source(path)
    assert said(list(reading)) == [("user", "short")]
    assert [one.at for one in reading.rejects.report().rejects] == ["s.jsonl line 1"]


def test_what_is_too_large_for_a_request_is_cut(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.jsonl",
        {"type": "ai-title", "aiTitle": "t" * 5_000},
        row("user", 1, "\x01" * 3_000_000, cwd="/d" * 5_000),
    )
    session, message = source(path)
    assert isinstance(session, SessionRecord)
    assert (len(session.name), len(session.project)) < (300, 5_000)
    assert said([message])[0][1].endswith("[2000000 more characters were left out]")
    assert len(msgspec.json.encode(message)) < MAX_BODY_BYTES


def test_a_store_is_never_written(tmp_path: Path) -> None:
    path = write(tmp_path / "projects/-p/s.jsonl", row("user", 1, "x"))
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.rglob("*")))
    list(source(tmp_path))
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.rglob("*"))) == before


def test_the_place_follows_claude_codes_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "/srv/claude")
    assert default_place() == Path("/srv/claude/projects")
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    assert default_place() == Path.home() / ".claude/projects"
