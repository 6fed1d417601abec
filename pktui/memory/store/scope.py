"""Which documents a search may find at all, as one truth value for each position."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pktui.memory.records import ROLES, Call, Entry
from pktui.memory.search.call_text import commands_of, files_of
from pktui.memory.search.filters import Filters, in_time, session_filter, texts_hold
from pktui.memory.search.forms import folded
from pktui.memory.store.calls import call_at
from pktui.memory.times import microseconds

if TYPE_CHECKING:
    from pktui.memory.search.corpus import Corpus
    from pktui.memory.store.state import State
    from pktui.memory.store.substrings import Texts
    from pktui.query import Filter

Bools = npt.NDArray[np.bool_]

_SEARCHED = 32
"""So many positions are marked in the time that one is searched for among them."""


def in_scope(state: State, corpus: Corpus, filters: Filters, project: str | None) -> Bools:
    """Return which messages or calls the filters leave; the caller holds the state's lock.

    What `tool:`, `file:` and `cmd:` demand is left to the caller.
    """
    allowed = corpus.facts["alive"].copy()
    if corpus is state.messages and filters.roles is not None and len(filters.roles) < len(ROLES):
        allowed &= np.isin(corpus.facts["roles"], list(filters.roles))
    if filters.after_us is not None:
        allowed &= corpus.facts["times"] >= filters.after_us
    if filters.before_us is not None:
        allowed &= corpus.facts["times"] < filters.before_us
    if filters.by_session or project is not None:
        allowed &= _slots_in_scope(state, corpus, filters, project)[corpus.facts["slots"]]
    return allowed


def _slots_in_scope(state: State, corpus: Corpus, filters: Filters, project: str | None) -> Bools:
    fits = session_filter(filters, project, times=False)
    catalogue = state.catalogue
    if filters.sessions is not None:
        known = [catalogue.get(one).session for one in filters.sessions if catalogue.has(one)]
    else:
        known = catalogue.sessions()
    chosen = np.zeros(len(corpus.groups), np.bool_)
    slots = (corpus.slot(session.id) for session in known if fits(session))
    chosen[[slot for slot in slots if slot is not None]] = True
    return chosen


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
            call = call_at(state.calls, position)
        held[position] = any(value in folded(one) for one in _CALL_FIELDS[wanted.key](call))
    return held


_CALL_FIELDS: dict[str, Callable[[Call], Iterable[str]]] = {
    "tool": lambda call: [call.tool],
    "file": files_of,
    "cmd": commands_of,
}


def entries_in_scope(state: State, filters: Filters) -> Bools:
    """Return which entries the filters leave; the caller holds the state's lock."""
    corpus = state.knowledge
    allowed = corpus.facts["alive"].copy()
    for entry in state.entries.values():
        position = corpus.position(entry.id)
        if position is not None and not _entry_fits(entry, filters):
            allowed[position] = False
    return allowed


def _entry_fits(entry: Entry, filters: Filters) -> bool:
    def holds(key: str, value: str) -> bool:
        if key == "tag":
            return any(tag.lower() == value for tag in entry.tags)
        return value in entry.source.lower()

    return in_time(filters, microseconds(entry.updated_at)) and texts_hold(filters.texts, holds)


def holding_all(corpus: Corpus, allowed: Bools, terms: tuple[str, ...]) -> Bools:
    """Return which allowed documents hold every one of the terms."""
    for term in terms:
        positions, _ = corpus.words.find(term)
        allowed = allowed & _among(positions, allowed)
    return allowed


def _among(positions: npt.NDArray[np.int32], allowed: Bools) -> Bools:
    """Return which of the allowed are among the positions, which ascend."""
    held = np.zeros(len(allowed), np.bool_)
    few = np.flatnonzero(allowed).astype(np.int32)
    if len(few) * _SEARCHED < len(positions):
        at = positions.searchsorted(few)
        held[few] = positions.take(at, mode="clip") == few
    else:
        held[positions[positions < len(allowed)]] = True
    return held
