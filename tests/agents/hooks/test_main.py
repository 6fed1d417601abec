from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.agents.hooks import opencode
from pktui.agents.hooks.main import run
from pktui.gateway.enforcement.agent_sessions import AgentSessions
from pktui.ledger import Ledger
from pktui.ledger.arguments.canonical import call_hash
from pktui.ledger.usage import UsageSum
from pktui.person import Process
from pktui.settings import bundled

if TYPE_CHECKING:
    from pktui.settings import Paths

CLAUDE = {"session_id": "s-1", "hook_event_name": "PreToolUse", "tool_use_id": "toolu_1"}
SHAPES: dict[str, Any] = {
    "claude-code": CLAUDE | {"tool_name": "Bash"},
    "codex": CLAUDE | {"tool_name": "Bash"},
    "gemini": {
        "session_id": "s-1",
        "hook_event_name": "BeforeTool",
        "tool_name": "run_shell_command",
    },
    "opencode": {
        "event": "tool.execute.before",
        "tool": "bash",
        "sessionID": "s-1",
        "callID": "c",
    },
}
ENDS = {
    "claude-code": {"hook_event_name": "PostToolUse"},
    "codex": {"hook_event_name": "PostToolUse"},
    "gemini": {"hook_event_name": "AfterTool"},
    "opencode": {"event": "tool.execute.after"},
}
AGENTS = sorted(SHAPES)
# The pktui that runs here.
OURS = str(Path(sys.executable).with_name("pktui"))


@pytest.fixture(autouse=True)
def headless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAUDE_CODE_SESSION_ATTENDED", "0")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def ledger(paths: Paths) -> Iterator[Ledger]:
    opened = Ledger.open(paths.ledger_file)
    yield opened
    opened.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "shop"
    directory.mkdir()
    return directory


def hook(agent: str, payload: object, *more: str) -> int:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return run([agent, *more], io.BytesIO(raw))


def shell(agent: str, command: str, project: Path, **more: Any) -> dict[str, Any]:
    arguments = "args" if agent == "opencode" else "tool_input"
    directory = "directory" if agent == "opencode" else "cwd"
    return {**SHAPES[agent], arguments: {"command": command}, directory: str(project), **more}


@pytest.mark.parametrize("agent", AGENTS)
def test_a_harmless_command_runs_and_its_end_is_on_record(
    agent: str, project: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hook(agent, shell(agent, "ls -l", project)) == 0
    assert hook(agent, shell(agent, "ls -l", project, **ENDS[agent])) == 0
    assert capsys.readouterr() == ("", "")
    decision, outcome = ledger.events.newest()
    assert (decision.kind, decision.server, decision.effect) == ("decision", agent, "allow")
    assert (decision.session, decision.project) == ("s-1", str(project))
    assert [row.agent_session for row in ledger.feed.page()] == ["s-1"]
    assert (outcome.kind, outcome.outcome, outcome.ref_seq) == ("outcome", "ok", decision.seq)


ANSWERS: dict[str, tuple[str, Any]] = {
    "claude-code": ("tool_response", {"stdout": "a.py\n", "stderr": "", "interrupted": False}),
    "codex": ("tool_response", "a.py"),
    "gemini": ("tool_response", {"llmContent": "a.py", "returnDisplay": "a.py"}),
    "opencode": ("output", "a.py"),
}


@pytest.mark.parametrize("agent", AGENTS)
def test_what_the_agents_tool_answered_is_on_record(
    agent: str, project: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    member, answer = ANSWERS[agent]
    hook(agent, shell(agent, "ls", project))
    assert hook(agent, shell(agent, "ls", project, **ENDS[agent], **{member: answer})) == 0
    assert capsys.readouterr() == ("", "")
    (row,) = ledger.feed.page()
    assert json.loads(ledger.results.of([row.call_id])[row.call_id].text) == answer


def test_what_claude_says_of_a_failure_is_on_record(project: Path, ledger: Ledger) -> None:
    hook("claude-code", shell("claude-code", "ls", project))
    end = {"hook_event_name": "PostToolUseFailure", "error": "no such file: hunter2"}
    assert hook("claude-code", shell("claude-code", "ls", project, **end)) == 0
    (row,) = ledger.feed.page()
    assert row.outcome == "tool_error"
    assert ledger.results.of([row.call_id])[row.call_id].text == '"no such file: hunter2"'


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("command", ["ls; rm -rf /", "ls $(id)", "ls > /etc/passwd"])
def test_a_chained_command_waits_and_runs_only_once_it_is_allowed(
    agent: str, command: str, project: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    call = shell(agent, command, project)
    assert hook(agent, call) == 2
    said = capsys.readouterr()
    (waiting,) = ledger.approvals.pending()
    assert said.out == ""
    assert said.err.startswith("[WAITING for approval in pktui]")
    assert waiting.id in said.err
    ledger.approvals.decide(waiting.id, True, by="t", args_hash=waiting.args_hash)
    assert hook(agent, call) == 0
    assert hook(agent, call) == 2


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("file", ["~/.ssh/id_ed25519", ".env", "deep/er/.env"])
def test_secrets_are_denied_in_commands(
    agent: str, file: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hook(agent, shell(agent, f"ls {file}", project)) == 2
    assert "(denied path)" in capsys.readouterr().err


def test_a_link_to_a_secret_is_denied(project: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (project / "notes").symlink_to(tmp_path / "home" / ".ssh")
    read = CLAUDE | {"tool_name": "Read", "cwd": str(project)}
    assert hook("claude-code", read | {"tool_input": {"file_path": "notes/id"}}) == 2
    assert hook("claude-code", read | {"tool_input": {"file_path": "README.md"}}) == 0


def test_a_call_is_held_while_a_console_is_open(
    project: Path, ledger: Ledger, paths: Paths
) -> None:
    console = ledger.presence.announce("console")
    ended: list[int] = []
    call = shell("codex", "make", project)
    waiter = threading.Thread(target=lambda: ended.append(hook("codex", call)))
    waiter.start()
    while not (waiting := ledger.approvals.pending()):
        waiter.join(0.01)
    assert ended == []
    ledger.approvals.decide(waiting[0].id, True, by="t", args_hash=waiting[0].args_hash)
    waiter.join()
    assert ended == [0]
    ledger.presence.leave(console)


def test_a_call_is_not_held_once_the_console_is_closed(project: Path, ledger: Ledger) -> None:
    console = ledger.presence.announce("console")
    ended: list[int] = []
    call = shell("codex", "make", project)
    waiter = threading.Thread(target=lambda: ended.append(hook("codex", call)))
    waiter.start()
    while not ledger.approvals.pending():
        waiter.join(0.01)
    ledger.presence.leave(console)
    waiter.join()
    assert ended == [2]


def test_claude_asks_a_person_who_is_there(
    project: Path,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CLAUDE_CODE_SESSION_ATTENDED", "1")
    assert hook("claude-code", shell("claude-code", "make", project)) == 0
    answer = json.loads(capsys.readouterr().out)["hookSpecificOutput"]
    assert (answer["hookEventName"], answer["permissionDecision"]) == ("PreToolUse", "ask")
    assert ledger.approvals.pending() == ()


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{", b"\xff", b'{"tool": 1}', b"{}" * 9])
def test_what_cannot_be_read_blocks_with_words(
    agent: str, raw: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    status = hook(agent, raw)
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert "could not be judged" in said.err


@pytest.mark.parametrize("argv", [[], ["nobody"], ["codex", "--home"], ["codex", "x", "y", "z"]])
def test_words_that_make_no_sense_block(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(argv, io.BytesIO(b"{}")) == 2
    assert "usage" in capsys.readouterr().err


def test_a_ledger_that_cannot_be_used_blocks_but_not_afterwards(
    project: Path, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.data_dir.mkdir(parents=True)
    paths.ledger_file.write_text("no ledger")
    assert hook("codex", shell("codex", "ls", project)) == 2
    assert "could not be judged" in capsys.readouterr().err
    assert hook("codex", shell("codex", "ls", project, **ENDS["codex"])) == 0


@pytest.mark.parametrize("agent", AGENTS)
def test_an_event_that_is_not_known_blocks_where_it_is_about_a_tool(
    agent: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "event" if agent == "opencode" else "hook_event_name"
    assert hook(agent, shell(agent, "ls", project, **{name: "BeforeAnyTool"})) == 2
    assert "in an event that is not known" in capsys.readouterr().err
    assert hook(agent, {name: "BeforeAnything"}) == 0


@pytest.mark.parametrize("closed", ["<&-", ">&- <&-", "2>&-", "<&- >&- 2>&-"])
def test_a_hook_without_its_streams_blocks(closed: str) -> None:
    command = f'"$0" -m pktui hook claude-code {closed}'
    ended = subprocess.run(["sh", "-c", command, sys.executable], input=b"{}", check=False)
    assert ended.returncode == 2


def test_home_names_both_directories(project: Path, tmp_path: Path) -> None:
    assert hook("codex", shell("codex", "ls", project), "--home", str(tmp_path / "h")) == 0
    assert (tmp_path / "h" / "config" / "policies" / "codex.json").exists()
    assert (tmp_path / "h" / "data" / "agents").is_dir()


def test_the_project_is_where_the_session_began(
    project: Path, tmp_path: Path, ledger: Ledger
) -> None:
    hook("codex", {"hook_event_name": "SessionStart", "session_id": "s-1", "cwd": str(project)})
    hook("codex", shell("codex", "ls", tmp_path))
    assert ledger.events.newest(1)[0].project == str(project)
    hook("codex", {"hook_event_name": "SessionEnd", "session_id": "s-1", "cwd": str(tmp_path)})
    hook("codex", shell("codex", "ls", tmp_path))
    assert ledger.events.newest(1)[0].project == str(tmp_path)


@pytest.mark.parametrize("agent", AGENTS)
def test_the_process_that_a_session_is_of_is_known_from_its_first_prompt(
    agent: str, project: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = Process(os.getppid(), 1, ("some-agent",))
    monkeypatch.setattr("pktui.agents.hooks.deciding.started_by", lambda: above)
    prompts = {"gemini": "BeforeAgent", "opencode": "chat.message"}
    name = "event" if agent == "opencode" else "hook_event_name"
    said = shell(agent, "", project, **{name: prompts.get(agent, "UserPromptSubmit")})
    for _ in range(2):
        assert hook(agent, said) == 0
    (present,) = ledger.presence.alive("agent")
    assert (present.server, present.pid, present.detail) == (agent, os.getppid(), "s-1")


def test_two_like_calls_of_gemini_end_one_after_the_other(project: Path, ledger: Ledger) -> None:
    for _ in range(2):
        assert hook("gemini", shell("gemini", "ls", project)) == 0
    for _ in range(3):
        assert hook("gemini", shell("gemini", "ls", project, **ENDS["gemini"])) == 0
    kinds = [(event.kind, event.ref_seq) for event in ledger.events.newest()]
    assert kinds == [("decision", 0), ("decision", 0), ("outcome", 1), ("outcome", 2)]


def test_calls_through_the_gateway_are_left_to_it(
    project: Path, tmp_path: Path, ledger: Ledger
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ours = {"command": OURS, "args": ["gateway", "raw"]}
    servers = {"raw": ours, "other": {"command": "x"}}
    (home / ".claude.json").write_text(json.dumps({"mcpServers": servers}))
    call = CLAUDE | {"cwd": str(project), "tool_input": {}}
    assert (
        hook("claude-code", call | {"tool_name": "mcp__raw__echo", "mcp_server": {"name": "raw"}})
        == 0
    )
    assert ledger.events.last_seq() == 0
    other = call | {"tool_name": "mcp__raw__echo", "mcp_server": {"name": "other"}}
    assert hook("claude-code", other) == 2
    context = {"server_name": "raw", "command": "pktui", "args": ["gateway", "raw"]}
    gemini = SHAPES["gemini"] | {"tool_name": "mcp_raw_echo", "tool_input": {}, "cwd": str(project)}
    assert hook("gemini", gemini | {"mcp_context": context}) == 2
    (home / ".gemini").mkdir()
    (home / ".gemini" / "settings.json").write_text(json.dumps({"mcpServers": servers}))
    assert hook("gemini", gemini | {"mcp_context": context}) == 0
    assert hook("gemini", gemini | {"mcp_context": context | {"command": "x"}}) == 2


@pytest.mark.parametrize(
    ("command", "args", "env", "status"),
    [
        ("pktui", ["gateway", "raw"], {}, 0),
        (OURS, ["gateway", "raw"], {"PKTUI_CONFIG_DIR": "CONFIG", "PKTUI_DATA_DIR": "DATA"}, 0),
        ("sh", ["-c", f"exec {OURS} gateway raw -- server --policy x"], {}, 0),
        ("uvx", ["pktui", "gateway", "raw"], {}, 0),
        ("/usr/bin/python3", ["-m", "pktui", "gateway", "raw"], {}, 2),
        ("uv", ["run", "pktui", "gateway", "raw"], {}, 2),
        ("evil", ["pktui", "gateway", "raw"], {}, 2),
        ("/tmp/pktui", ["gateway", "raw"], {}, 2),
        ("pktui", ["gateway", "raw", "--policy", "/tmp/open.json"], {}, 2),
        ("pktui", ["gateway", "raw", "--pol=/tmp/open.json"], {}, 2),
        ("pktui", ["gateway", "raw", "--home", "/tmp/open"], {}, 2),
        ("pktui", ["gateway", "raw", "${X:---policy=/tmp/open.json}"], {}, 2),
        ("pktui", ["gateway", "raw", "{file:./options}"], {}, 2),
        ("pktui", ["gateway", "raw", "--", "server", "${ROOT}"], {}, 0),
        ("sh", ["-c", "pktui gateway raw $X -- y"], {"X": "--policy /tmp/open.json"}, 2),
        ("bash", ["--rcfile", "/tmp/open", "-i", "-c", "pktui gateway raw"], {}, 2),
        ("bash", ["-c", "pktui gateway raw"], {"BASH_ENV": "/tmp/open"}, 2),
        ("zsh", ["-c", "pktui gateway raw"], {"ZDOTDIR": "/tmp/open"}, 2),
        (OURS, ["gateway", "raw"], {"PKTUI_CONFIG_DIR": "/tmp/open"}, 2),
        (OURS, ["gateway", "raw"], {"PATH": "/tmp/open"}, 2),
        (OURS, ["gateway", "raw"], {"PYTHONPATH": "/tmp/open"}, 2),
        (OURS, ["gateway", "raw"], {"HOME": "/tmp/open"}, 2),
    ],
)
def test_only_a_gateway_of_this_pktui_and_its_policies_is_trusted_to_decide(
    command: str, args: list[str], env: dict[str, str], status: int, project: Path, paths: Paths
) -> None:
    here = {"CONFIG": str(paths.config_dir), "DATA": str(paths.data_dir)}
    named = {name: here.get(value, value) for name, value in env.items()}
    entry = {"command": command, "args": args, "env": named}
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": {"raw": entry}}))
    call = CLAUDE | {"tool_name": "mcp__raw__echo", "mcp_server": {"name": "raw"}, "tool_input": {}}
    assert hook("claude-code", call | {"cwd": str(project)}) == status


@pytest.mark.parametrize("config", ['{"mcpServers": {"raw": {"command": "x"}}}', "{ broken"])
def test_a_projects_server_counts_wherever_the_session_has_gone(
    config: str, project: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ours = {"mcpServers": {"raw": {"command": OURS, "args": ["gateway", "raw"]}}}
    (home / ".claude.json").write_text(json.dumps(ours))
    call = CLAUDE | {"tool_name": "mcp__raw__echo", "mcp_server": {"name": "raw"}, "tool_input": {}}
    assert hook("claude-code", call | {"cwd": str(project)}) == 0
    (project / ".mcp.json").write_text(config)
    for directory in (project, project / "inner", tmp_path):
        assert hook("claude-code", call | {"cwd": str(directory)}) == 2
    other = call | {"session_id": "s-2", "cwd": str(tmp_path)}
    assert hook("claude-code", other) == 0


@pytest.mark.parametrize("agent", ["claude-code", "gemini", "opencode"])
def test_the_gateway_is_told_the_session_of_a_call_that_is_left_to_it(
    agent: str, project: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = Process(os.getpid(), 1, ("opencode",))
    monkeypatch.setattr("pktui.gateway.enforcement.agent_sessions.started_by", lambda: above)
    ours = {"command": [OURS, "gateway", "raw"]}
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": {"raw": ours}}))
    (project / "opencode.json").write_text(json.dumps({"mcp": {"raw": ours}}))
    (project / ".gemini").mkdir()
    (project / ".gemini" / "settings.json").write_text(json.dumps({"mcpServers": {"raw": ours}}))
    context = {"server_name": "raw", "command": "pktui", "args": ["gateway", "raw"]}
    names = {"claude-code": "mcp__raw__echo", "gemini": "mcp_raw_echo", "opencode": "raw_echo"}
    named = "tool" if agent == "opencode" else "tool_name"
    call = shell(agent, "x", project, **{named: names[agent]}, mcp_context=context)
    assert hook(agent, call) == 0
    assert hook(agent, call | ENDS[agent]) == 0
    client = {"gemini": "gemini-cli-mcp-client"}.get(agent, agent)
    meta = {"claudecode/toolUseId": "toolu_1"}
    sessions = AgentSessions(paths, child=True)
    digest = call_hash({"command": "x"}, {})
    told = [sessions.of(client, "echo", digest, meta) for _ in range(2)]
    assert told == ["s-1", ""]


def test_a_projects_local_server_counts_below_it(project: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ours = {"raw": {"command": OURS, "args": ["gateway", "raw"]}}
    local = {str(project): {"mcpServers": {"raw": {"command": "x"}}}}
    (home / ".claude.json").write_text(json.dumps({"mcpServers": ours, "projects": local}))
    call = CLAUDE | {"tool_name": "mcp__raw__echo", "mcp_server": {"name": "raw"}, "tool_input": {}}
    assert hook("claude-code", call | {"cwd": str(project / "inner")}) == 2


def test_a_server_cannot_take_the_name_of_opencodes_own_tools(project: Path) -> None:
    shipped = json.loads(bundled("config", "policies", "opencode.json").read_bytes())["tools"]
    own = [name for name in shipped if "_" in name]
    assert "apply_patch" in own
    ours = {"type": "local", "command": [OURS, "gateway", "x"]}
    servers = {name.partition("_")[0]: ours for name in own}
    (project / "opencode.json").write_text(json.dumps({"mcp": servers}))
    assert hook("opencode", shell("opencode", "x", project, tool="apply_patch")) == 2
    assert hook("opencode", shell("opencode", "x", project, tool="apply_other")) == 0
    assert opencode.AGENT.own == set(own)


def test_a_spent_budget_asks_about_every_call_and_says_so(
    project: Path, paths: Paths, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.config_dir.mkdir(parents=True, exist_ok=True)
    paths.settings_file.write_text("[budget.agents.codex]\ntokens_per_day = 1000\n")
    today = datetime.now(UTC).astimezone().date().isoformat()
    used = UsageSum(today, "codex", str(project), "m", 900, 99, 7)
    ledger.usage.write((used,), 1)
    assert hook("codex", shell("codex", "ls", project)) == 0
    ledger.usage.write((used, used), 2)
    assert hook("codex", shell("codex", "ls", project)) == 2
    assert "budget of codex is spent: 1,998 of 1,000 tokens" in capsys.readouterr().err
    assert ledger.approvals.pending()[0].rule == "(budget)"
    assert hook("gemini", shell("gemini", "ls", project)) == 0
