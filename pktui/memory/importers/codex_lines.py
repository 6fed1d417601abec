"""What the lines of Codex's rollouts say: words of either side, and tool calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from pktui.memory.importers.calls import Outcome, arguments_of
from pktui.memory.importers.lines import UNREADABLE, decode

if TYPE_CHECKING:
    from pktui.memory.records import Role

WORDS: Final[dict[str, Role]] = {"UserMessage": "user", "AgentMessage": "agent"}
TURN_STARTS: Final = frozenset(("task_started", "turn_started"))
TURN_ENDS: Final = frozenset(("task_complete", "turn_complete", "turn_aborted"))
CALL_STARTS: Final = frozenset(("function_call", "custom_tool_call", "local_shell_call"))
CALL_ENDS: Final = frozenset(("function_call_output", "custom_tool_call_output"))

# Known, and of no matter here: settings, usage, what is shown while it happens, thoughts.
QUIET_LINES: Final = frozenset(
    (
        "compacted", "ghost_snapshot", "inter_agent_communication", "session_meta",
        "inter_agent_communication_metadata", "token_usage_record", "turn_context", "world_state",
    )
)  # fmt: skip
QUIET_EVENTS: Final = frozenset(
    (
        "agent_message", "agent_reasoning", "agent_reasoning_raw_content", "background_event",
        "agent_reasoning_section_break", "context_compacted", "entered_review_mode", "error",
        "exec_command_begin", "exec_command_end", "exited_review_mode", "item_started",
        "mcp_tool_call_begin", "mcp_tool_call_end", "patch_apply_begin", "patch_apply_end",
        "plan_update", "session_configured", "stream_error", "thread_goal_updated",
        "thread_name_updated", "thread_rolled_back", "thread_settings_applied", "token_count",
        "turn_diff", "undo_completed", "user_message", "view_image_tool_call", "warning",
        "web_search_begin", "web_search_end",
    )
)  # fmt: skip
QUIET_ITEMS: Final = frozenset(
    (
        "CollabAgentToolCall", "ContextCompaction", "DynamicToolCall", "EnteredReviewMode",
        "ExitedReviewMode", "HookPrompt", "ImageGeneration", "ImageView", "Plan", "Reasoning",
        "SubAgentActivity", "WebSearch",
    )
)  # fmt: skip
QUIET_RESPONSES: Final = frozenset(
    (
        "compaction", "compaction_summary", "compaction_trigger", "context_compaction",
        "ghost_snapshot", "image_generation_call", "other", "reasoning", "tool_search_call",
        "tool_search_output", "web_search_call",
    )
)  # fmt: skip

# Heads of what Codex said in the person's name before it marked that as such.
_INJECTED: Final = re.compile(
    r"\s*(?:<(?:environment_context|user_instructions|permissions|skill|turn_aborted|INSTRUCTIONS"
    r"|user_shell_command|subagent_notification|collaboration_mode)\b|# AGENTS\.md instructions)"
)
_SHELLS: Final = frozenset(("bash", "sh", "zsh"))
_OUTCOMES: Final[dict[str, Outcome]] = {
    "completed": "ok",
    "failed": "error",
    "declined": "denied",
    "cancelled": "cancelled",
    "interrupted": "cancelled",
}
# How a command's end is told in a call's output, before the output itself.
_EXIT: Final = re.compile(r"^(?:Exit code:|Process exited with code) (-?\d+)$", re.MULTILINE)
_OUTPUT: Final = "\nOutput:\n"
_PREAMBLE: Final = 300


class Head(msgspec.Struct):
    """A line; what its payload is depends on `type`."""

    timestamp: str
    type: str


class Meta(msgspec.Struct):
    """A session's first line."""

    id: str
    timestamp: str = ""
    cwd: str = ""
    parent_thread_id: str | None = None
    source: Any = None

    @property
    def parent(self) -> str:
        """The session whose subagent this one is, "" for none."""
        named: object = {"subagent": self.source}
        for name in ("subagent", "subagent", "thread_spawn", "parent_thread_id"):
            named = named.get(name) if isinstance(named, Mapping) else None
        return self.parent_thread_id or (named if isinstance(named, str) else "")


class Tokens(msgspec.Struct):
    """What one answer took; cached ones are among those that went in."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0


class Used(msgspec.Struct):
    """The usage of one answer of the model."""

    response_id: str = ""
    usage: Tokens = msgspec.field(default_factory=Tokens)


class Turn(msgspec.Struct):
    """What a turn begins with."""

    model: str = ""


class Kind(msgspec.Struct):
    """An item, of which the rest is read by its type."""

    type: str


class Event(msgspec.Struct):
    """An `event_msg`."""

    type: str
    item: Kind | None = None


class Part(msgspec.Struct):
    """A part of a message; only texts are kept."""

    type: str
    text: str = ""


class WordsItem(msgspec.Struct):
    """An item of `WORDS`."""

    id: str
    content: list[Part] = []


class McpItem(msgspec.Struct):
    """A call of an MCP server's tool."""

    id: str
    server: str
    tool: str
    arguments: Any = None
    status: str = ""
    result: Any = None
    error: Any = None


class CommandItem(msgspec.Struct):
    """A command that was run."""

    id: str
    command: list[str]
    status: str = ""
    aggregated_output: str | None = None
    exit_code: int | None = None


class ChangeItem(msgspec.Struct):
    """Files that were changed, by path."""

    id: str
    changes: dict[str, Any]
    status: str = ""
    stdout: str = ""
    stderr: str = ""


class _Passed(msgspec.Struct):
    content_item_kinds: list[str] = []


class Response(msgspec.Struct):
    """A `response_item`: a message, a call, or what a call gave."""

    type: str
    id: str | None = None
    role: str = ""
    content: Any = None
    name: str = ""
    namespace: str | None = None
    arguments: Any = None
    input: Any = None
    action: Any = None
    call_id: str | None = None
    output: Any = None
    passed: _Passed | None = msgspec.field(
        default=None, name="internal_chat_message_metadata_passthrough"
    )


class Ended(msgspec.Struct):
    """How a call ended, and the text that the agent was given."""

    outcome: Outcome
    result: str


_Item = McpItem | CommandItem | ChangeItem
T = TypeVar("T")


class _Line(msgspec.Struct, Generic[T]):
    payload: T


class _Completed(msgspec.Struct, Generic[T]):
    item: T


_HEAD: Final = msgspec.json.Decoder(Head)
_META: Final = msgspec.json.Decoder(_Line[Meta])
_EVENT: Final = msgspec.json.Decoder(_Line[Event])
_RESPONSE: Final = msgspec.json.Decoder(_Line[Response])
_USED: Final = msgspec.json.Decoder(_Line[Used])
_TURN: Final = msgspec.json.Decoder(_Line[Turn])
_WORDS_ITEM: Final = msgspec.json.Decoder(_Line[_Completed[WordsItem]])
CALL_ITEMS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "McpToolCall": msgspec.json.Decoder(_Line[_Completed[McpItem]]),
    "CommandExecution": msgspec.json.Decoder(_Line[_Completed[CommandItem]]),
    "FileChange": msgspec.json.Decoder(_Line[_Completed[ChangeItem]]),
}
_PARTS: Final = list[Part]


def head(text: bytes) -> Head:
    """Return what every line says; this and the others raise one of `UNREADABLE`."""
    return decode(text, _HEAD)


def event(text: bytes) -> Event:
    """Return what an `event_msg` says."""
    return decode(text, _EVENT).payload


def response(text: bytes) -> Response:
    """Return what a `response_item` says."""
    return decode(text, _RESPONSE).payload


def usage(text: bytes) -> Used:
    """Return what a `token_usage_record` says."""
    return decode(text, _USED).payload


def model(text: bytes) -> str:
    """Return the model that a `turn_context` names."""
    return decode(text, _TURN).payload.model


def meta(text: bytes) -> Meta | None:
    """Return what a session's first line says, None where it cannot be read."""
    try:
        return decode(text, _META).payload if head(text).type == "session_meta" else None
    except UNREADABLE:
        return None


def kinds(text: bytes) -> tuple[str, str]:
    """Return the types of a line's event and of the item in it, "" for one that is not there."""
    try:
        told = event(text) if head(text).type == "event_msg" else Event("")
    except UNREADABLE:
        return "", ""
    item = told.item.type if told.type == "item_completed" and told.item else ""
    return told.type, item


def words_item(text: bytes) -> tuple[str, str]:
    """Return the id and the text of an item of `WORDS`."""
    item = decode(text, _WORDS_ITEM).payload.item
    return item.id, _texts(item.content)


def call_item(kind: str, text: bytes) -> tuple[str, str, Mapping[str, object], Ended]:
    """Return id, tool, arguments and end of one of `CALL_ITEMS`."""
    item: _Item = decode(text, CALL_ITEMS[kind]).payload.item
    tool, arguments, ended = _told(item)
    return item.id, tool, arguments, ended


def response_words(response: Response) -> tuple[Role, str] | None:
    """Return who said what in a message, None where it is Codex's own."""
    if response.role == "assistant":
        return "agent", _texts(msgspec.convert(response.content, _PARTS))
    if response.role != "user":
        return None
    parts = msgspec.convert(response.content, _PARTS)
    kinds = response.passed.content_item_kinds if response.passed else []
    if len(kinds) == len(parts):
        own = [part for part, kind in zip(parts, kinds, strict=True) if kind.startswith("user.")]
    else:
        own = [part for part in parts if not _INJECTED.match(part.text)]
    return "user", _texts(own)


def response_call(response: Response) -> tuple[str, Mapping[str, object]]:
    """Return tool and arguments of a call."""
    if response.type == "local_shell_call":
        action = response.action if isinstance(response.action, Mapping) else {}
        return "shell", _command(action.get("command"))
    given = response.arguments if response.type == "function_call" else response.input
    name = f"{response.namespace}__{response.name}" if response.namespace else response.name
    return name, arguments_of(given)


def response_end(output: object) -> Ended:
    """Return how a call ended by what it gave; a shell's exit code stands in the text."""
    if isinstance(output, str):
        return _shell_end(output)
    if isinstance(output, Mapping):
        succeeded = output.get("success", True) is not False
        ended = response_end(output.get("content"))
        return ended if succeeded else Ended("error", ended.result)
    return Ended("ok", _texts_of(output))


def _told(item: _Item) -> tuple[str, Mapping[str, object], Ended]:
    outcome = _OUTCOMES.get(item.status, "no result")
    if isinstance(item, CommandItem):
        if outcome == "ok" and item.exit_code:
            outcome = "error"
        return "shell", _command(item.command), Ended(outcome, item.aggregated_output or "")
    if isinstance(item, ChangeItem):
        return "apply_patch", item.changes, Ended(outcome, item.stderr or item.stdout)
    result = item.result if isinstance(item.result, Mapping) else {}
    if outcome == "ok" and result.get("isError") is True:
        outcome = "error"
    text = _texts_of(result.get("content")) or _error(item.error)
    return f"mcp__{item.server}__{item.tool}", arguments_of(item.arguments), Ended(outcome, text)


def _shell_end(output: str) -> Ended:
    if output.startswith('{"output":'):  # as the oldest versions tell it
        told = arguments_of(output)
        metadata = told.get("metadata")
        code = metadata.get("exit_code") if isinstance(metadata, Mapping) else None
        return Ended("error" if code else "ok", str(told.get("output", "")))
    before, mark, _ = output[:_PREAMBLE].partition(_OUTPUT)
    found = _EXIT.search(before if mark else "")
    text = output[len(before) + len(mark) :] if mark else output
    if mark and found is None and _EXIT.match(text[:_PREAMBLE]):  # one told in the other
        return _shell_end(text)
    return Ended("error" if found and found[1] != "0" else "ok", text)


def _command(command: object) -> Mapping[str, object]:
    """Return a command as it was typed where it was handed to a shell."""
    if not isinstance(command, Sequence) or isinstance(command, str):
        return arguments_of(command)
    words = [str(word) for word in command]
    shell = words[0].rpartition("/")[2] if words else ""
    if len(words) == 3 and shell in _SHELLS and words[1] in ("-c", "-lc"):
        return {"command": words[2]}
    return {"command": words}


def _texts(parts: Sequence[Part]) -> str:
    kept = (part.text for part in parts if part.type.lower() in ("text", "input_text", _ANSWER))
    return "\n".join(text for text in kept if text.strip())


_ANSWER: Final = "output_text"


def _texts_of(content: object) -> str:
    """Return the texts in a tool's content, whatever else is in it."""
    if not isinstance(content, Sequence) or isinstance(content, str):
        return content if isinstance(content, str) else ""
    texts = (part.get("text") for part in content if isinstance(part, Mapping))
    return "\n".join(text for text in texts if isinstance(text, str))


def _error(error: object) -> str:
    message = error.get("message") if isinstance(error, Mapping) else error
    return message if isinstance(message, str) else ""
