"""Finding texts that hold a string as it stands: any case, any form, no wildcards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from pktui.memory.search.forms import folded, one_form
from pktui.memory.search.tokens import spans, terms
from pktui.memory.store.loading import entry_text
from pktui.memory.store.scope import Bools, holding_all

if TYPE_CHECKING:
    from pktui.memory.search.corpus import Corpus
    from pktui.memory.store.state import State


class Texts(Protocol):
    """The texts behind a corpus."""

    def holding(self, text: str, allowed: Bools) -> Bools:
        """Return which allowed documents hold the text; the caller holds no lock."""


class CorpusTexts:
    """The texts of a corpus that keeps them."""

    def __init__(self, state: State, corpus: Corpus) -> None:
        self._state = state
        self._corpus = corpus

    def holding(self, text: str, allowed: Bools) -> Bools:
        """Return which allowed documents hold the text."""
        with self._state.lock:
            corpus = self._corpus
            candidates = holding_all(corpus, allowed, _certain_terms(text))
            texts = corpus.searched
        return texts.holding(text, candidates)


class EntryTexts:
    """The texts of entries, in memory."""

    def __init__(self, state: State) -> None:
        self._state = state

    def holding(self, text: str, allowed: Bools) -> Bools:
        """Return which allowed entries hold the text."""
        wanted = folded(text)
        with self._state.lock:
            found = [
                entry.id
                for entry in self._state.entries.values()
                if wanted in folded(entry_text(entry))
            ]
            return allowed & _at_ids(self._state.knowledge, found, len(allowed))


def _certain_terms(text: str) -> tuple[str, ...]:
    """Return the terms that every text must hold in which this one occurs.

    A word at an edge of the text may be a part of a longer one, so it is none of them.
    """
    text = one_form(text)
    inner = [text[start:end] for start, end in spans(text) if start > 0 and end < len(text)]
    return tuple({terms(word)[0] for word in inner})


def _at_ids(corpus: Corpus, ids: list[int], size: int) -> Bools:
    held = np.zeros(size, np.bool_)
    positions = [corpus.position(one) for one in ids]
    held[[at for at in positions if at is not None and at < size]] = True
    return held
