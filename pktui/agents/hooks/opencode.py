"""The hooks of opencode, as the plugin beside this file hands them on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pktui.agents.hooks.event import (
    BadPayload,
    HookedAgent,
    HookEvent,
    Kind,
    Payload,
    event_name,
    table,
    text,
)

_KINDS: Final[Mapping[str, Kind]] = {
    "tool.execute.before": "before",
    "tool.execute.after": "after",
    "chat.message": "prompt",
    "session.idle": "answer",
    "session.error": "answer",
    "plugin.init": "begin",
}


def read(payload: Payload) -> HookEvent:
    """Return the event; raises `BadPayload`."""
    kind = _KINDS.get(event_name(payload, "event"), "other")
    if kind == "after" and payload.get("failed"):
        kind = "failed"
    tool = text(payload, "tool")
    if not tool and kind in ("before", "after", "failed"):
        raise BadPayload("tool is missing")
    return HookEvent(
        kind,
        text(payload, "sessionID"),
        text(payload, "directory"),
        tool,
        table(payload, "args"),
        text(payload, "callID"),
        result=payload.get("output"),
    )


_OWN: Final = frozenset({"apply_patch", "plan_enter", "plan_exit"})

AGENT: Final = HookedAgent("opencode", "opencode", "opencode", read, own=_OWN)
