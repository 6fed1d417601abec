"""The hooks of Gemini CLI: `BeforeTool` and its like; a call has no id of its own."""

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
    "BeforeTool": "before",
    "AfterTool": "after",
    "BeforeAgent": "prompt",
    "AfterAgent": "answer",
    "SessionStart": "begin",
    "SessionEnd": "end",
}


def read(payload: Payload) -> HookEvent:
    """Return the event; raises `BadPayload`."""
    kind = _KINDS.get(event_name(payload), "other")
    if kind == "after" and table(payload, "tool_response").get("error"):
        kind = "failed"
    called = table(payload, "mcp_context")
    args = called.get("args")
    words = [text(called, "command"), *(args if isinstance(args, list) else [])]
    launch = tuple(word for word in words if isinstance(word, str) and word)
    return tool_event(kind, payload, server=text(called, "server_name"), launch=launch)


AGENT: Final = HookedAgent("gemini", "Gemini CLI", "gemini-cli-mcp-client", read, prefix="mcp_")
