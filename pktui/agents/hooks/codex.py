"""The hooks of Codex: the form of Claude Code's, the shell always called `Bash`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pktui.agents.hooks.event import HookedAgent, HookEvent, Kind, Payload, event_name, tool_event

_KINDS: Final[Mapping[str, Kind]] = {
    "PreToolUse": "before",
    "PostToolUse": "after",
    "UserPromptSubmit": "prompt",
    "Stop": "answer",
    "SessionStart": "begin",
    "SessionEnd": "end",
}


def read(payload: Payload) -> HookEvent:
    """Return the event; raises `BadPayload`."""
    return tool_event(_KINDS.get(event_name(payload), "other"), payload)


AGENT: Final = HookedAgent(
    "codex", "Codex", "codex-mcp-client", read, prefix="mcp__", between="__", notes=""
)
