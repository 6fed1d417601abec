"""A call is put down to the agent's own session where that is certain, else to none."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.gateway.enforcement import agent_sessions
from pktui.gateway.enforcement.agent_sessions import AgentSessions, CallNotes
from pktui.ledger.presence import process_birth
from tests.gateway.conftest import CALLER
from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pktui.settings import Paths
    from tests.gateway.conftest import House

NOTHING: Mapping[str, Any] = {}
HOUR_S = 3600


@pytest.fixture(autouse=True)
def agent(monkeypatch: pytest.MonkeyPatch) -> str:
    """The process that started hook and gateway: this one."""
    known = f"{os.getpid()} {process_birth(os.getpid())}"
    monkeypatch.setattr(agent_sessions, "_agent_process", lambda: known)
    return known


def test_codex_says_the_session_with_the_call(paths: Paths) -> None:
    sessions = AgentSessions(paths, child=True)
    told: Any = {"sessionId": "01a2", "threadId": "01a2"}
    assert sessions.of("codex-mcp-client", "echo", "h", told) == "01a2"
    assert sessions.of("another", "echo", "h", told) == ""
    for wrong in (7, None, "x" * 1000):
        assert sessions.of("codex-mcp-client", "echo", "h", {"sessionId": wrong}) == ""


def test_a_call_of_claude_code_is_known_by_its_id(paths: Paths) -> None:
    notes = CallNotes(paths)
    notes.leave_by_id("toolu_1", "s-1", "mcp__raw__echo")
    notes.leave_by_id("toolu_2", "s-2", "mcp__raw__echo")
    over_http = AgentSessions(paths, child=False)
    for use, session in (("toolu_2", "s-2"), ("toolu_1", "s-1"), ("toolu_1", ""), ("toolu_3", "")):
        meta = {"claudecode/toolUseId": use}
        assert over_http.of("claude-code", "echo", "h", meta) == session
    assert over_http.of("claude-code", "echo", "h", NOTHING) == ""


@pytest.mark.parametrize("client", ["gemini-cli-mcp-client", "opencode"])
def test_a_call_without_an_id_is_known_by_process_tool_and_arguments(
    client: str, paths: Paths
) -> None:
    notes = CallNotes(paths)
    notes.leave_by_process("h", "s-1", "mcp_raw_read_file")
    sessions = AgentSessions(paths, child=True)
    assert sessions.of(client, "read_file", "other", NOTHING) == ""
    assert sessions.of(client, "write.file", "h", NOTHING) == ""
    assert sessions.of(client, "read.file", "h", NOTHING) == "s-1"
    assert sessions.of(client, "read.file", "h", NOTHING) == ""


def test_two_sessions_of_one_process_with_the_same_call_are_told_as_neither(paths: Paths) -> None:
    notes = CallNotes(paths)
    sessions = AgentSessions(paths, child=True)
    for session in ("s-1", "s-2"):
        notes.leave_by_process("h", session, "raw_echo")
    for _ in range(2):
        assert sessions.of("opencode", "echo", "h", NOTHING) == ""


def test_like_calls_of_one_session_are_each_known(paths: Paths) -> None:
    notes = CallNotes(paths)
    sessions = AgentSessions(paths, child=True)
    for _ in range(2):
        notes.leave_by_process("h", "s-1", "raw_echo")
    told = [sessions.of("opencode", "echo", "h", NOTHING) for _ in range(3)]
    assert told == ["s-1", "s-1", ""]


def test_another_process_and_a_gateway_that_no_agent_started_know_nothing_of_it(
    paths: Paths, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    CallNotes(paths).leave_by_process("h", "s-1", "raw_echo")
    assert AgentSessions(paths, child=False).of("opencode", "echo", "h", NOTHING) == ""
    for other in ("7 7", ""):
        monkeypatch.setattr(agent_sessions, "_agent_process", lambda told=other: told)
        assert AgentSessions(paths, child=True).of("opencode", "echo", "h", NOTHING) == ""
    monkeypatch.setattr(agent_sessions, "_agent_process", lambda: agent)
    assert AgentSessions(paths, child=True).of("opencode", "echo", "h", NOTHING) == "s-1"


def test_a_note_of_a_call_that_never_came_is_forgotten(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = CallNotes(paths)
    notes.leave_by_process("h", "s-1", "raw_echo")
    monkeypatch.setattr(agent_sessions, "_MOST", 1)
    directory = paths.data_dir / "agents" / "calls"
    (old,) = directory.iterdir()
    before = time.time() - 2 * HOUR_S
    os.utime(old, (before, before))
    sessions = AgentSessions(paths, child=True)
    assert sessions.of("opencode", "echo", "h", NOTHING) == ""
    notes.leave_by_process("h", "s-2", "raw_echo")
    assert not old.exists()
    assert sessions.of("opencode", "echo", "h", NOTHING) == "s-2"


def test_a_note_that_cannot_be_read_is_none(paths: Paths) -> None:
    notes = CallNotes(paths)
    notes.leave_by_process("h", "s-1", "raw_echo")
    (note,) = (paths.data_dir / "agents" / "calls").iterdir()
    sessions = AgentSessions(paths, child=True)
    for broken in (b"", b"[1]", b"\xff", b'{"session": "s"}'):
        note.write_bytes(broken)
        assert sessions.of("opencode", "echo", "h", NOTHING) == ""


def test_a_note_that_cannot_be_read_may_be_of_another_session(paths: Paths) -> None:
    notes = CallNotes(paths)
    notes.leave_by_process("h", "s-1", "raw_echo")
    (note,) = (paths.data_dir / "agents" / "calls").iterdir()
    note.write_bytes(b"")
    notes.leave_by_process("h", "s-2", "raw_echo")
    assert AgentSessions(paths, child=True).of("opencode", "echo", "h", NOTHING) == ""


def test_a_note_that_is_taken_meanwhile_hides_no_other(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = CallNotes(paths)
    for session in ("s-0", "s-1", "s-2"):
        notes.leave_by_process("h", session, "raw_echo")
    entries = list(os.scandir(paths.data_dir / "agents" / "calls"))
    taken = entries[1]
    Path(taken.path).unlink()
    monkeypatch.setattr(os, "scandir", lambda _directory: nullcontext(entries))
    assert AgentSessions(paths, child=True).of("opencode", "echo", "h", NOTHING) == ""


def test_every_ruling_on_a_call_is_recorded_with_its_session(house: House, paths: Paths) -> None:
    house.policy(tools={"write": {"action": "approve"}, "danger": {"action": "deny"}})
    wired = Wired(house, agent_session=AgentSessions(paths, child=True).of)
    info = {"clientInfo": {"name": "codex-mcp-client", "version": "1"}}
    wired.request("initialize", {**info, "protocolVersion": "2025-06-18", "capabilities": {}})
    told = {"_meta": {"sessionId": "01a2", "progressToken": 1}}
    for number, tool in enumerate(("echo", "write", "danger"), 2):
        wired.call(tool, request_id=number, **told)
    wired.call("echo", request_id=9)
    rows = house.ledger.feed.page()
    assert [row.agent_session for row in rows] == ["01a2"] * 3 + [""]
    assert [row.effect for row in rows] == ["allow", "approve", "deny", "allow"]
    assert {row.session for row in rows} == {CALLER.session}
