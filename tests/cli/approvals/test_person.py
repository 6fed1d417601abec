"""Agents do not decide about their own calls: told apart by what started the command."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pktui.cli.app import run
from pktui.cli.approvals import person
from pktui.cli.approvals.person import Process, agent_of
from tests.support.gateway import environment

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.ledger import Approval, Ledger


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
        (("bash",), ""),
        (("node", "/home/ada/codex/server.js"), ""),
        (("vim", "claude"), ""),
        (("/usr/share/code/code",), ""),
        (("node",), ""),
        ((), ""),
    ],
)  # fmt: skip
def test_an_agent_is_known_by_its_program_or_package(words: tuple[str, ...], agent: str) -> None:
    assert agent_of(words) == agent


@pytest.mark.parametrize(
    "words",
    [
        ["approve", "{}", "--yes"], ["deny", "{}"], ["release"], ["pin", "set"], ["pin", "clear"],
        ["standing", "revoke", "all"],
    ],
)  # fmt: skip
def test_an_agent_decides_nothing(
    ledger: Ledger,
    waiting: Approval,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chain = [Process(20, 10, ("bash",)), Process(10, 1, ("claude",))]
    monkeypatch.setattr("pktui.cli.approvals.person.ancestors", lambda: iter(chain))
    assert run(["approvals", *(word.format(waiting.id) for word in words)]) == 1
    said = capsys.readouterr().err
    assert "Claude Code (process 10) started this command" in said
    assert "not intent" in said
    assert ledger.approvals.pending() == (waiting,)


def test_an_agent_may_look_and_stop(
    ledger: Ledger, waiting: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pktui.cli.approvals.person.ancestors", lambda: iter([Process(9, 1, ("codex",))])
    )
    for words in (["list"], ["show", waiting.id], ["standing", "list"], ["stop"]):
        assert run(["approvals", *words]) == 0


@pytest.mark.parametrize("look", ["_from_proc", "_from_ps"])
def test_a_process_is_seen_with_its_parent_and_words(look: str) -> None:
    if look == "_from_proc" and not sys.platform.startswith("linux"):
        pytest.skip("there is no /proc here")
    found = getattr(person, look)(os.getpid())
    assert found.parent == os.getppid()
    assert "python" in found.words[0]
    assert getattr(person, look)(2**22 + 1) is None


def test_a_shell_that_an_agent_started_is_refused(
    ledger: Ledger, waiting: Approval, tmp_path: Path
) -> None:
    claude = tmp_path / "claude"
    claude.symlink_to("/bin/sh")
    command = f"'{sys.executable}' -m pktui approvals approve {waiting.id} --yes; exit $?"
    done = subprocess.run(
        [str(claude), "-c", command],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Claude Code" in done.stderr
    assert ledger.approvals.pending() == (waiting,)
