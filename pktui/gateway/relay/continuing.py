"""Calls that go on: the server asked for more, the client calls again with its `requestState`.

Only a state that this server gave for this very call counts, and it counts once: a made-up one, or
one that comes again, is a new call, charged and asked about like any other.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pktui.gateway.enforcement.calls import ToolCall

CAPACITY: Final = 256


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

    def origin(self, state: object, call: ToolCall) -> str:
        """Return the id of the call that this one goes on with, empty where it is a new one.

        The state is used up by that.
        """
        if not isinstance(state, str):
            return ""
        with self._lock:
            earlier = self._calls.get(state)
            if earlier is None or not _same(earlier, call):
                return ""
            del self._calls[state]
        return earlier.continues or earlier.call_id


def _same(one: ToolCall, other: ToolCall) -> bool:
    """Compare by the arguments' hash, as approvals do: to Python true is 1."""
    return (one.tool, one.digest, one.caller) == (other.tool, other.digest, other.caller)
