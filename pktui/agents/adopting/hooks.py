"""What makes each agent run `pktui hook`, in the form of its own configuration.

The time-outs are the agents' own units: seconds, in Gemini CLI milliseconds.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from pktui.agents.adopting.servers import pktui_command

if TYPE_CHECKING:
    from pktui.settings import Paths

# Seconds: the longest that a call waits for a person, and what only notes what has happened.
WAIT_S: Final = 330
NOTE_S: Final = 30
_BEFORE: Final = {"claude-code": "PreToolUse", "codex": "PreToolUse", "gemini": "BeforeTool"}
_NOTES: Final = {
    "claude-code": (
        *("PostToolUse", "PostToolUseFailure"),
        *("UserPromptSubmit", "Stop", "SessionStart", "SessionEnd"),
    ),
    "codex": ("PostToolUse", "UserPromptSubmit", "Stop", "SessionStart", "SessionEnd"),
    "gemini": ("AfterTool", "BeforeAgent", "AfterAgent", "SessionStart", "SessionEnd"),
}
_OF_TOOLS: Final = frozenset(
    {"PreToolUse", "PostToolUse", "PostToolUseFailure", "BeforeTool", "AfterTool"}
)


def hook_words(agent: str, paths: Paths) -> list[str]:
    """Return the command of an agent's hook, with the directories that it is to use."""
    where = ["--config", str(paths.config_dir), "--data", str(paths.data_dir)]
    return [pktui_command(), "hook", agent, *where]


def hook_groups(agent: str, paths: Paths) -> list[tuple[str, dict[str, Any]]]:
    """Return, for each event, the group of hooks that is added to it."""
    before = _BEFORE[agent]
    return [
        (event, _group(agent, event, paths, blocks=event == before))
        for event in (before, *_NOTES[agent])
    ]


def plugin_text(template: str, paths: Paths) -> str:
    """Return opencode's plugin, which runs the hook."""
    words = ", ".join(json.dumps(word) for word in hook_words("opencode", paths))
    return template.replace("/*COMMAND*/", words)


def _group(agent: str, event: str, paths: Paths, *, blocks: bool) -> dict[str, Any]:
    matched = {"matcher": "*"} if event in _OF_TOOLS else {}
    return matched | {"hooks": [_hook(agent, paths, blocks=blocks)]}


def _hook(agent: str, paths: Paths, *, blocks: bool) -> dict[str, Any]:
    words = hook_words(agent, paths)
    seconds = WAIT_S if blocks else NOTE_S
    if agent == "claude-code":
        hook = {"type": "command", "command": words[0], "args": words[1:], "timeout": seconds}
        return hook | ({"onFailure": "block"} if blocks else {})
    command = shlex.join(words)
    if blocks:
        # These agents let a call run where its hook crashes, is missing, says nothing or nonsense;
        # the shell around it does not.
        script = (
            f'o=$({command}); s=$?; [ $s = 0 ] && [ -z "$o" ] && exit 0;'
            ' [ $s = 2 ] || echo "pktui hook failed ($s)" >&2; echo "Blocked by pktui." >&2; exit 2'
        )
        command = f"sh -c {shlex.quote(script)}"
    if agent == "gemini":
        return {"name": "pktui", "type": "command", "command": command, "timeout": seconds * 1000}
    return {"type": "command", "command": command, "timeout": seconds}
