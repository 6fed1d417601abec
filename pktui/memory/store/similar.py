"""Which entries say nearly the same as one, and which may say the opposite."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from pktui.errors import StoreError
from pktui.memory.records import Relation, SimilarEntry
from pktui.memory.search.ranking import best_cosines
from pktui.memory.search.tokens import is_stop_word, terms, words
from pktui.memory.store.loading import entry_text

if TYPE_CHECKING:
    from pktui.memory.embed import Vectors
    from pktui.memory.records import Entry
    from pktui.memory.store.meaning import Meaning
    from pktui.memory.store.state import State

# What two texts share, of the words in either and by their meaning, to be near or the same.
_NEAR_WORDS, _NEAR_MEANING = 0.4, 0.6
_SAME_WORDS, _SAME_MEANING = 0.8, 0.9
# Texts that are alike but for so few words on each side say another thing of the same.
_MOST_DIFFERENT = 3
_NUMBER = re.compile(r"\d[\d.,:]*")
_NOT = frozenset({"not", "no", "never", "none", "without", "cannot", "t", "stop", "avoid"})


class Similarity:
    """The comparison of entries with each other."""

    def __init__(self, state: State, meaning: Meaning) -> None:
        self._state = state
        self._meaning = meaning

    def near(self, entry: Entry, limit: int) -> tuple[SimilarEntry, ...]:
        """Return the entries that are near to one, the nearest first.

        By words and, where the model is ready, by meaning.
        """
        own = _telling(entry)
        found = []
        for other, cosine in self._likely(entry, own):
            its = _telling(other)
            shared = len(own & its) / max(len(own | its), 1)
            if shared >= _NEAR_WORDS or cosine >= _NEAR_MEANING:
                relation = _relation(entry, other, shared, cosine, own ^ its)
                score = min(max(shared, cosine), 1.0)
                found.append(SimilarEntry(other.id, other.title, score, relation))
        found.sort(key=lambda one: (-one.score, -one.id))
        return tuple(found[:limit])

    def _likely(self, entry: Entry, own: set[str]) -> list[tuple[Entry, float]]:
        """Return the other entries that may be near, with their cosines, by the indexes alone.

        One that shares so much of the words in either holds as much of this one's own.
        """
        state, corpus = self._state, self._state.knowledge
        if len(state.entries) < 2:
            return []
        vector = self._vector(entry)
        with state.lock:
            held = np.zeros(len(corpus), np.int32)
            for term in own:
                held[corpus.words.find(term)[0]] += 1
            cosines = np.zeros(len(corpus), np.float32)
            if vector is not None:
                cosines = best_cosines(corpus, vector)
            likely = (held >= max(_NEAR_WORDS * len(own), 1)) | (cosines >= _NEAR_MEANING)
            likely &= corpus.facts["alive"] & (corpus.facts["ids"] != entry.id)
            ids = corpus.facts["ids"][likely].tolist()
            others = [state.entries[one] for one in ids]
            return list(zip(others, cosines[likely].tolist(), strict=True))

    def _vector(self, entry: Entry) -> Vectors | None:
        try:
            return self._meaning.of_question(entry_text(entry))
        except StoreError:
            return None  # said by the service's status; words go on


def _relation(
    entry: Entry, other: Entry, shared: float, cosine: float, different: set[str]
) -> Relation:
    mine, its = entry_text(entry), entry_text(other)
    numbers, other_numbers = set(_NUMBER.findall(mine)), set(_NUMBER.findall(its))
    if numbers - other_numbers and other_numbers - numbers:
        return "may contradict"
    if _denies(mine) != _denies(its):
        return "may contradict"
    if shared >= _SAME_WORDS or cosine >= _SAME_MEANING:
        return "repeats"
    apart = different - _telling(other), different - _telling(entry)
    if shared >= _NEAR_WORDS and all(0 < len(one) <= _MOST_DIFFERENT for one in apart):
        return "may contradict"
    return "near"


def _denies(text: str) -> bool:
    return sum(word.lower() in _NOT for word in words(text)) % 2 == 1


def _telling(entry: Entry) -> set[str]:
    return {terms(word)[0] for word in words(entry_text(entry)) if not is_stop_word(word)}
