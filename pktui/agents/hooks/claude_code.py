"""The hooks of Claude Code: `PreToolUse` and its like, one JSON object on stdin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pktui.agents.hooks.event import (
    HookedAgent,
    HookEvent,
    Kind,
    Payload,
    event_name,
    table,
    text,
    tool_event,
)

_KINDS: Final[Mapping[str, Kind]] = {
    "PreToolUse": "before",
    "PostToolUse": "after",
    "PostToolUseFailure": "failed",
    "UserPromptSubmit": "prompt",
    "Stop": "answer",
    "SubagentStop": "answer",
    "SessionStart": "begin",
    "SessionEnd": "end",
}


def read(payload: Payload) -> HookEvent:
    """Return the event; raises `BadPayload`."""
    duration = payload.get("duration_ms")
    return tool_event(
        _KINDS.get(event_name(payload), "other"),
        payload,
        server=text(table(payload, "mcp_server"), "name"),
        duration_us=round(duration * 1000) if isinstance(duration, int | float) else 0,
    )


def _asks(environment: Mapping[str, str]) -> bool:
    """Tell whether a person sits before the session."""
    return environment.get("CLAUDE_CODE_SESSION_ATTENDED") != "0"


AGENT: Final = HookedAgent(
    *("claude-code", "Claude Code", "claude-code", read),
    prefix="mcp__",
    between="__",
    notes="id",
    asks=_asks,
)
