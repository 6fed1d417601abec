"""What any agent's hook says, in one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

Kind = Literal["before", "after", "failed", "prompt", "answer", "begin", "end", "other"]
Payload = Mapping[str, Any]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class HookEvent(msgspec.Struct, frozen=True):
    """One thing that happens in an agent's session.

    `use_id` is the agent's own id of a tool call, empty where it gives none. `server` is the MCP
    server that a call is for, as far as the payload says; `launch` the command it is started with.
    `result` is what the tool answered, None where the agent does not tell.
    """

    kind: Kind
    session: str = ""
    directory: str = ""
    tool: str = ""
    arguments: Mapping[str, Any] = _NOTHING
    use_id: str = ""
    server: str = ""
    launch: tuple[str, ...] = ()
    duration_us: int = 0
    result: Any = None


class HookedAgent(msgspec.Struct, frozen=True):
    """An agent whose hooks pktui answers.

    `name` is what its MCP client calls itself, so that both count as one; `prefix` stands before
    the name of a server in that of an MCP tool, and `between` behind it; `own` are tools of the
    agent itself that are named as if they were a server's. `asks` tells whether the agent can ask
    the person in its own screen now. `notes` tells what a gateway knows the agent's MCP calls by:
    their own id, or the agent's process and the arguments; nothing is needed where they name their
    session.
    """

    id: str
    title: str
    name: str
    read: Callable[[Payload], HookEvent]
    prefix: str = ""
    between: str = "_"
    own: frozenset[str] = frozenset()
    notes: Literal["", "id", "process"] = "process"
    asks: Callable[[Mapping[str, str]], bool] = lambda _environment: False


class BadPayload(ValueError):
    """What came on stdin is not what the agent's hooks say."""


def text(payload: Payload, key: str) -> str:
    """Return a member that is text, empty where it is missing; raises `BadPayload`."""
    value = payload.get(key)
    if value is not None and not isinstance(value, str):
        raise BadPayload(f"{key} is no text")
    return value or ""


def event_name(payload: Payload, key: str = "hook_event_name") -> str:
    """Return the event's name; raises `BadPayload` where it has none."""
    name = text(payload, key)
    if not name:
        raise BadPayload(f"{key} is missing")
    return name


def table(payload: Payload, key: str) -> Mapping[str, Any]:
    """Return a member that is an object, empty where it is missing; raises `BadPayload`."""
    value = payload.get(key)
    if value is not None and not isinstance(value, dict):
        raise BadPayload(f"{key} is no object")
    return value or {}


def tool_event(kind: Kind, payload: Payload, **more: Any) -> HookEvent:
    """Return the event of a payload in the form that Claude Code, Codex and Gemini CLI share."""
    tool = text(payload, "tool_name")
    if not tool and kind in ("before", "after", "failed"):
        raise BadPayload("tool_name is missing")
    return HookEvent(
        kind,
        text(payload, "session_id"),
        text(payload, "cwd"),
        tool,
        table(payload, "tool_input"),
        text(payload, "tool_use_id"),
        result=payload.get("tool_response", payload.get("error")),
        **more,
    )
