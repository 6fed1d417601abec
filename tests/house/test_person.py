"""A person is told from an agent by what stands above this process."""

from __future__ import annotations

import os
import sys

import pytest

from pktui import person
from pktui.errors import ApprovalError
from pktui.person import Process, agent_of, check_person, started_by


@pytest.mark.parametrize(
    ("words", "agent"),
    [
        (("claude",), "Claude Code"),
        (("claude --resume",), "Claude Code"),
        (("/home/ada/.local/bin/claude", "--resume"), "Claude Code"),
        (("/usr/bin/opencode", "run"), "opencode"),
        (("codex",), "Codex"),
        (("node", "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js"), "Claude Code"),
        (("/usr/bin/node", "--no-warnings", "/opt/node_modules/@google/gemini-cli/dist/index.js"),
         "Gemini CLI"),
        (("/usr/bin/python3.12", "/home/ada/.local/bin/aider"), "aider"),
        (("node", "/home/ada/src/opencode"), "opencode"),
        (("/bin/bash", "/usr/local/bin/claude", "-p", "hi"), "Claude Code"),
        (("sh", "-c", "exec claude -p 'say hi'"), "Claude Code"),
        (("/bin/bash", "-lc", "FOO=1 env BAR=2 opencode run"), "opencode"),
        (("-zsh", "-c", "codex exec 'it"), "Codex"),
        (("python3", "-m", "aider"), "aider"),
        (("node", "-r", "dotenv/config", "/opt/opencode"), "opencode"),
        (("node", "-r", "/opt/opencode", "server.js"), ""),
        (("python3", "-um", "aider.main"), "aider"),
        (("python3", "/usr/bin/pktui", "gateway", "files"), "an MCP server or agent behind"),
        (("/opt/venv/bin/pktui", "hook", "codex"), "an MCP server or agent behind"),
        (("python", "-m", "pktui", "gateway", "x"), "an MCP server or agent behind"),
        (("pktui", "servers", "add", "gateway"), ""),
        (("/opt/codex-x86_64-unknown-linux-musl", "exec"), "Codex"),
        (("/nix/store/x/bin/.claude-wrapped",), "Claude Code"), (("opencode.bin",), "opencode"),
        (("opencode-linux-arm64",), "opencode"), (("gemini-cli.real",), "Gemini CLI"),
        (("claude-lint",), ""), (("bin",), ""),
        (("bash", "-c", "vim claude"), ""),
        (("bash", "/home/ada/bin/backup.sh", "claude"), ""),
        (("bash", "-c"), ""),
        (("bash",), ""),
        (("node", "/home/ada/codex/server.js"), ""),
        (("vim", "claude"), ""),
        (("/usr/share/code/code",), ""),
        (("node",), ""),
        ((), ""),
    ],
)  # fmt: skip
def test_an_agent_is_known_by_its_program_or_package(words: tuple[str, ...], agent: str) -> None:
    assert agent_of(words).startswith(agent)
    assert bool(agent_of(words)) == bool(agent)


@pytest.mark.parametrize("look", ["_from_proc", "_from_ps"])
def test_a_process_is_seen_with_its_parent_and_words(look: str) -> None:
    if look == "_from_proc" and not sys.platform.startswith("linux"):
        pytest.skip("there is no /proc here")
    found = getattr(person, look)(os.getpid())
    assert found.parent == os.getppid()
    assert "python" in found.words[0]
    assert getattr(person, look)(2**22 + 1) is None


def test_the_kernels_name_of_a_process_counts_whatever_its_words_say() -> None:
    assert agent_of(("worker", "7"), "claude") == "Claude Code"
    assert agent_of((), "codex") == "Codex"
    assert agent_of(("bash",), "bash") == ""


def test_an_agent_is_seen_however_many_shells_stand_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = {pid: Process(pid, pid - 1, ("sh",)) for pid in range(2, 200)}
    chain[1] = Process(1, 0, ("/usr/bin/opencode",))
    monkeypatch.undo()
    monkeypatch.setattr("os.getppid", lambda: 199)
    monkeypatch.setattr(person, "_from_proc", chain.get)
    monkeypatch.setattr(person, "_from_ps", chain.get)
    assert len(list(person.ancestors())) == 199
    with pytest.raises(ApprovalError, match=r"opencode \(process 1\) started this command"):
        check_person()


@pytest.mark.parametrize(
    ("chain", "found"),
    [
        ((("node", "gemini"), ("bash",)), 1),
        ((("sh", "-c", "o=$(pktui hook codex)"), ("/bin/zsh", "-lc", "x"), ("codex",)), 3),
        ((("-bash",), ("uv", "run", "pktui", "gateway", "raw"), ("opencode", "run")), 3),
        ((("opencode", "run", "why does pktui gateway fail"), ("tmux",)), 1),
        ((("sh",), ("bash",)), 0),
        ((), 0),
    ],
)
def test_what_started_a_command_is_looked_for_above_shells_and_pktui(
    chain: tuple[tuple[str, ...], ...], found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {at: Process(at, at + 1, words) for at, words in enumerate(chain, 1)}
    monkeypatch.undo()
    monkeypatch.setattr("os.getppid", lambda: 1)
    monkeypatch.setattr(person, "_from_proc", known.get)
    monkeypatch.setattr(person, "_from_ps", known.get)
    assert started_by() == known.get(found)


def test_a_parent_that_cannot_be_seen_is_nobody_to_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("os.getppid", lambda: 4)
    monkeypatch.setattr(person, "_from_proc", lambda _pid: None)
    monkeypatch.setattr(person, "_from_ps", lambda _pid: None)
    with pytest.raises(ApprovalError, match="cannot be told"):
        check_person()
    monkeypatch.setattr("os.getppid", lambda: 0)  # from outside of a container
    check_person()


def test_a_circle_of_parents_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = {5: Process(5, 6, ("sh",)), 6: Process(6, 5, ("sh",))}
    monkeypatch.undo()
    monkeypatch.setattr("os.getppid", lambda: 5)
    monkeypatch.setattr(person, "_from_proc", chain.get)
    monkeypatch.setattr(person, "_from_ps", chain.get)
    assert [process.pid for process in person.ancestors()] == [5, 6]
