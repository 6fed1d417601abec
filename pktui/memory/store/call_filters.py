"""`tool:`, `file:` and `cmd:`: which calls they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from pktui.memory.search.call_text import commands_of, files_of
from pktui.memory.search.forms import folded
from pktui.memory.store.calls import call_at

if TYPE_CHECKING:
    from pktui.memory.records import Call
    from pktui.memory.search.filters import Filters
    from pktui.memory.store.scope import Bools
    from pktui.memory.store.state import State
    from pktui.memory.store.substrings import Texts
    from pktui.query import Filter


def calls_in_scope(state: State, allowed: Bools, texts: Texts, filters: Filters) -> Bools:
    """Return which allowed calls `tool:`, `file:` and `cmd:` leave; the caller holds no lock."""
    for key in {one.key for one in filters.calls}:
        its = [one for one in filters.calls if one.key == key]
        wanted = [_calls_with(state, allowed, texts, one) for one in its if not one.negated]
        unwanted = [_calls_with(state, allowed, texts, one) for one in its if one.negated]
        if wanted:
            allowed = allowed & np.logical_or.reduce(wanted)
        for one in unwanted:
            allowed = allowed & ~one
    return allowed


def _calls_with(state: State, allowed: Bools, texts: Texts, wanted: Filter) -> Bools:
    held = texts.holding(wanted.value, allowed)
    value = folded(wanted.value)
    for position in np.flatnonzero(held).tolist():
        with state.lock:
            alive = state.calls.facts["alive"][position]  # it may be deleted meanwhile
            call = call_at(state.calls, position) if alive else None
        held[position] = call is not None and any(
            value in folded(one) for one in _CALL_FIELDS[wanted.key](call)
        )
    return held


_CALL_FIELDS: dict[str, Callable[[Call], Iterable[str]]] = {
    "tool": lambda call: [call.tool],
    "file": files_of,
    "cmd": commands_of,
}
