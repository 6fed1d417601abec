"""The shell around the hook of agents that take most ends of a hook for a yes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pktui.agents.adopting.hooks import hook_groups

if TYPE_CHECKING:
    from pktui.settings import Paths


@pytest.mark.parametrize("agent", ["codex", "gemini"])
@pytest.mark.parametrize(
    ("does", "status", "said"),
    [
        ("exit 0", 0, ""),
        ("echo no >&2; exit 2", 2, "no\n"),
        ("exit 2", 2, ""),
        ("exit 1", 2, "pktui hook failed (1)\n"),
        ("exit 70", 2, "pktui hook failed (70)\n"),
        ("kill -9 $$", 2, "pktui hook failed (137)\n"),
        ("echo '{\"broken\": '", 2, "pktui hook failed (0)\n"),
        (None, 2, "pktui hook failed (127)\n"),
    ],
)
def test_every_end_but_a_silent_yes_blocks_with_words(
    agent: str,
    does: str | None,
    status: int,
    said: str,
    paths: Paths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tmp_path / "pk tui"
    if does is not None:
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
    monkeypatch.setattr("pktui.agents.adopting.hooks.pktui_command", lambda: str(program))
    groups = dict(hook_groups(agent, paths))
    command = groups["BeforeTool" if agent == "gemini" else "PreToolUse"]["hooks"][0]["command"]
    done = subprocess.run(
        command, shell=True, input="{}", capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert done.stderr.endswith(f"{said}Blocked by pktui.\n" if status else said)


def test_claude_code_is_told_to_block_and_of_directories(paths: Paths) -> None:
    event, group = hook_groups("claude-code", paths)[0]
    hook = group["hooks"][0]
    assert (event, hook["onFailure"], hook["timeout"]) == ("PreToolUse", "block", 330)
    assert hook["args"][-4:] == ["--config", str(paths.config_dir), "--data", str(paths.data_dir)]
    assert json.loads(json.dumps(group)) == group


def test_gemini_counts_milliseconds(paths: Paths) -> None:
    groups = dict(hook_groups("gemini", paths))
    assert groups["BeforeTool"]["hooks"][0]["timeout"] == 330_000
    assert groups["AfterTool"]["hooks"][0]["timeout"] == 30_000
