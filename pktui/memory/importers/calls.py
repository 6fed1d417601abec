"""Tool calls as the memory keeps them: name, masked arguments, outcome, the result's first lines.

They are messages of the role `tool` whose `source_id` is `call:` and the agent's own id of the
call, so that they can be told from messages.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from pktui.memory.exchange import MessageRecord
from pktui.memory.importers.source import key
from pktui.text import one_line, storable

Outcome = Literal["ok", "error", "denied", "cancelled", "no result"]

_RESULT_LINES = 5
_RESULT_CHARACTERS = 500
# Seen beyond the cut, so that half a secret is known for one.
_SIGHT = 4096


@dataclass(frozen=True, slots=True)
class Masks:
    """What takes secrets out: of a call's arguments, giving JSON text of a bounded size, and of a
    text."""

    arguments: Callable[[Mapping[str, object]], str]
    text: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call: the agent's own id of it, and `result`, the text that the agent was given."""

    call_id: str
    tool: str
    arguments: Mapping[str, object]
    made_at: datetime
    outcome: Outcome = "no result"
    result: str = ""


def call_record(source: str, session: str, call: Call, masks: Masks) -> MessageRecord:
    """Return a call as a message of its session."""
    head = f"{one_line(call.tool, 200)} {masks.arguments(call.arguments)}".strip()
    parts = (head, call.outcome, _first_lines(call.result, masks))
    return MessageRecord(
        source=source,
        session=session,
        source_id=key(f"call:{call.call_id}"),
        role="tool",
        content="\n".join(part for part in parts if part),
        created_at=call.made_at,
    )


def arguments_of(raw: object) -> Mapping[str, object]:
    """Return arguments as an object: JSON text is read, anything else stands under `input`."""
    if isinstance(raw, str | bytes) and raw.lstrip()[:1] in ("{", b"{"):
        with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
            raw = msgspec.json.decode(raw)
    if isinstance(raw, Mapping):
        return raw
    return {} if raw is None else {"input": raw}


def _first_lines(result: str, masks: Masks) -> str:
    seen = masks.text(storable(result[: _RESULT_CHARACTERS + _SIGHT].strip()))
    head = "\n".join(seen.splitlines()[:_RESULT_LINES])[:_RESULT_CHARACTERS].rstrip()
    return f"{head}…" if len(head) < len(result.strip()) and head != seen else head
