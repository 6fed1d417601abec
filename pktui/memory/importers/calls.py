"""Tool calls as the memory keeps them: name, masked arguments, outcome, the result's first lines.

They are messages of the role `tool` whose `source_id` is `call:` and the agent's own id of the
call, so that they can be told from messages.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

import msgspec

from pktui.memory.importers.source import key
from pktui.memory.interchange import MessageRecord
from pktui.text import one_line, storable

Outcome = Literal["ok", "error", "denied", "cancelled", "no result"]

# A call without a result in a file that nobody has written to for so long has none.
SETTLED_S: Final = 3600.0
_RESULT_LINES = 5
_RESULT_CHARACTERS = 500
_MOST_PENDING = 1000
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
    """A tool call: the agent's own id of it, and `result`, the text that the agent was given.

    Arguments that are a text are masked already.
    """

    call_id: str
    tool: str
    arguments: Mapping[str, object] | str
    made_at: datetime
    outcome: Outcome = "no result"
    result: str = ""


class PendingCalls:
    """Calls whose results are still to come, by the agent's id, their arguments masked and cut.

    The oldest gives way when there are more than 1,000.
    """

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._calls: dict[str, Call] = {}

    def begin(self, call: Call) -> Iterator[Call]:
        """Wait for a call's result; yields a call that is not waited for any longer."""
        self._calls[call.call_id] = replace(call, arguments=_masked(call, self._masks))
        if len(self._calls) > _MOST_PENDING:
            yield self._calls.pop(next(iter(self._calls)))

    def end(self, call_id: str | None, outcome: Outcome, result: str) -> Iterator[Call]:
        """Yield the call with its result; nothing where none is waited for."""
        call = self._calls.pop(call_id or "", None)
        if call is not None:
            yield replace(call, outcome=outcome, result=result)

    def tool(self, call_id: str) -> str:
        """Return the tool of a call that is waited for, "" for one that is not."""
        call = self._calls.get(call_id)
        return call.tool if call else ""

    def give_up(self) -> Iterator[Call]:
        """Yield the calls that got no result."""
        calls, self._calls = self._calls, {}
        yield from calls.values()


def call_record(source: str, session: str, call: Call, masks: Masks) -> MessageRecord:
    """Return a call as a message of its session."""
    head = f"{one_line(call.tool, 200)} {_masked(call, masks)}".strip()
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


def _masked(call: Call, masks: Masks) -> str:
    return call.arguments if isinstance(call.arguments, str) else masks.arguments(call.arguments)


def _first_lines(result: str, masks: Masks) -> str:
    seen = masks.text(storable(result[: _RESULT_CHARACTERS + _SIGHT].strip()))
    head = "\n".join(seen.splitlines()[:_RESULT_LINES])[:_RESULT_CHARACTERS].rstrip()
    return f"{head}…" if len(head) < len(result.strip()) and head != seen else head
