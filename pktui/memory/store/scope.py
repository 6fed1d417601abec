"""Which documents a search may find at all, as one truth value for each position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pktui.memory.records import ROLES, Entry
from pktui.memory.search.filters import Filters, in_time, session_filter, texts_hold
from pktui.times import microseconds

if TYPE_CHECKING:
    from pktui.memory.search.corpus import Corpus
    from pktui.memory.store.state import State

Bools = npt.NDArray[np.bool_]

# So many positions are marked in the time that one is searched for among them.
_SEARCHED = 32


def in_scope(state: State, corpus: Corpus, filters: Filters, project: str | None) -> Bools:
    """Return which messages or calls the filters leave; the caller holds the state's lock.

    What `tool:`, `file:` and `cmd:` demand is in `call_filters`.
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
            return any(tag.lower() == value.lower() for tag in entry.tags)
        return key == "source" and value.lower() in entry.source.lower()

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
