"""Calls that go on: the server asked for more, the client calls again with its `requestState`.

Only a state that this server gave for a call of this caller, tool and arguments counts, and it
counts once: a made-up one, or one that comes again, is a new call, charged like any other. What
else the client adds is asked about and recorded as of any call.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from pktui.ledger.arguments.canonical import args_hash

if TYPE_CHECKING:
    from pktui.gateway.enforcement.decision import ToolCall

CAPACITY: Final = 256
STATE: Final = "requestState"


class Continuations:
    """The states of the last calls that were answered so; safe from several threads."""

    def __init__(self) -> None:
        self._calls: dict[str, ToolCall] = {}
        self._lock = threading.Lock()

    def remember(self, state: str, call: ToolCall) -> None:
        """Remember that the server gave this state for this call."""
        with self._lock:
            if len(self._calls) >= CAPACITY:
                del self._calls[next(iter(self._calls))]
            self._calls[state] = call

    def claim(self, call: ToolCall) -> str:
        """Return the id of the call that this one goes on with, empty where it is a new one.

        Its state is used up by that.
        """
        state = call.beside.get(STATE)
        if not isinstance(state, str):
            return ""
        with self._lock:
            earlier = self._calls.get(state)
            if earlier is None or not _same(earlier, call):
                return ""
            del self._calls[state]
        return earlier.continues or earlier.call_id

    def restore(self, call: ToolCall) -> None:
        """Let the state of a call that went on, but did not go out, count once more."""
        self.remember(str(call.beside[STATE]), call)


def _same(one: ToolCall, other: ToolCall) -> bool:
    """Compare arguments by their hash, as approvals do: to Python true is 1."""
    return (one.tool, one.caller) == (other.tool, other.caller) and (
        args_hash(one.arguments) == args_hash(other.arguments)
    )
