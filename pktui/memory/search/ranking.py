"""From evidence to an order: words, meaning, or both, each score from 0 to 1.

Hybrid adds up, for each message, what its own words and meaning say, what its neighbours say
(an answer often follows the words that were asked for), and what its session says as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.memory.embed import Vectors
    from pktui.memory.search.bm25 import WordEvidence
    from pktui.memory.search.corpus import Corpus
    from pktui.memory.search.dates import Span

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

LEAST_COSINE = 0.1
"""What is less alike than this is not a hit for its meaning."""

_BESIDE, _TWO_AWAY = 0.3, 0.15
"""How much of a neighbour's meaning is lent to a message."""
_LENGTH = 20.0
"""So many terms give a text half of what its length is worth."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part of a hybrid score counts; `length` is the share that only long texts get.

    Chosen with `python -m tests.bench.search_quality`, whole conversations left out.
    """

    words: float
    meaning: float
    neighbours: float
    session_words: float
    session_meaning: float
    date: float
    length: float


# In a question much is grammar, so its meaning tells more than its words; what answers it says
# something, so that a greeting is none. Key words are names, paths and errors: the words count.
QUESTION = Weights(0.4, 0.8, 0.08, 0.1, 0.3, 0.6, 0.5)
KEYWORDS = Weights(0.4, 0.15, 0.15, 0.15, 0.2, 0.4, 0.3)

PARTS = ("words", "meaning", "date", "neighbours", "session")


class Scores:
    """A score for each position, and of what parts it was made."""

    def __init__(self, size: int) -> None:
        self.total: Floats = np.zeros(size, np.float32)
        self._parts: list[tuple[str, float, Floats]] = []

    def add(self, part: str, weight: float, values: Floats) -> None:
        """Add so much of the values to every score."""
        self.total += np.float32(weight) * values
        self._parts.append((part, weight, values))

    def shares(self, position: int) -> dict[str, float]:
        """Return the parts of a position's score; they add up to 1 where it has any."""
        found = dict.fromkeys(PARTS, 0.0)
        for part, weight, values in self._parts:
            if position < len(values):  # else it came after they were made
                found[part] += weight * float(values[position])
        whole = sum(found.values())
        return {part: value / whole for part, value in found.items()} if whole > 0 else found


@dataclass(frozen=True, slots=True)
class Ranked:
    """Positions with their scores, best first, and how many fit in all."""

    positions: Ints
    scores: Floats
    total: int


def by_words(corpus: Corpus, evidence: WordEvidence) -> Scores:
    """Return a score for each position: its own words, and a little of its session's."""
    scores = Scores(len(corpus))
    scores.add("words", 0.8, evidence.own)
    scores.add("neighbours", 0.8, evidence.documents - evidence.own)
    scores.add("session", 0.2, evidence.groups[corpus.facts["slots"]])
    return scores


def both(
    corpus: Corpus,
    evidence: WordEvidence,
    cosines: Floats,
    spans: Sequence[Span],
    allowed: Bools,
    weights: Weights,
) -> Scores:
    """Return a score for each position by words, meaning and the times that were mentioned.

    Each part is relative to the best among the allowed, so that none drowns the others; all are
    scaled by how well the query is met at all, and a short text gets less.
    """
    slots = corpus.facts["slots"].astype(np.intp)
    meaning = np.maximum(cosines, 0)
    session_meaning = np.zeros(len(corpus.groups), np.float32)
    np.maximum.at(session_meaning, slots, meaning * allowed)
    words_scale = weights.words / max(_highest(evidence.documents, allowed), 1e-6)
    meaning_scale = 1 / max(_highest(meaning, allowed), 1e-6)
    beside = _of_both_neighbours(corpus, meaning)
    session_words = evidence.groups.take(slots)
    scores = Scores(len(corpus))
    scores.add("words", words_scale, evidence.own)
    scores.add("neighbours", words_scale, evidence.documents - evidence.own)
    scores.add("meaning", (weights.meaning + weights.neighbours) * meaning_scale, meaning)
    scores.add("neighbours", weights.neighbours * meaning_scale, beside)
    scores.add(
        "session",
        weights.session_words / max(_highest(session_words, allowed), 1e-6),
        session_words,
    )
    scores.add("session", weights.session_meaning * meaning_scale, session_meaning.take(slots))
    if spans:
        scores.add("date", weights.date, _mentioned(corpus, spans))
    length = corpus.words.lengths / (corpus.words.lengths + np.float32(_LENGTH))
    scores.total *= 1 - np.float32(weights.length) * (1 - length)
    met = max(_highest(evidence.documents, allowed), _highest(meaning, allowed))
    scores.total *= np.float32(min(met, 1.0) / max(_highest(scores.total, allowed), 1e-6))
    return scores


def _highest(part: Floats, allowed: Bools) -> float:
    """Return the highest of what is allowed; none is below 0."""
    return float(np.max(part * allowed, initial=0))


def _mentioned(corpus: Corpus, spans: Sequence[Span]) -> Floats:
    """Return how near each position's time is to the times mentioned, by their weights."""
    times = corpus.facts["times"]
    nearest = np.zeros(len(times), np.float32)
    for span in spans:
        np.maximum(nearest, span.nearness(times), out=nearest)
    return nearest


def best_cosines(corpus: Corpus, vector: Vectors) -> Floats:
    """Return the cosine of each document's best passage, by position."""
    return corpus.passages.similarities(vector, len(corpus))


def _of_both_neighbours(corpus: Corpus, scores: Floats) -> Floats:
    """Return what those up to two before and after each position in its session lend it."""
    total = np.zeros(len(scores), np.float32)
    for links in (corpus.facts["before"], corpus.facts["after"]):
        linked = links.astype(np.intp)
        beside = _of_neighbours(scores, linked)
        total += _BESIDE * beside + _TWO_AWAY * _of_neighbours(beside, linked)
    return total


def _of_neighbours(scores: Floats, links: Ints) -> Floats:
    """Return the score of each position's neighbour, 0 where it has none."""
    padded = np.append(scores, np.float32(0))
    return padded.take(links, mode="wrap")  # -1, no neighbour, is the last


def best(corpus: Corpus, scores: Floats, allowed: Bools, limit: int) -> Ranked:
    """Return the best allowed positions; equal ones with the newest first, then the last id."""
    found = np.flatnonzero(allowed)
    total = len(found)
    if total > limit:
        kept = scores[found]
        least = np.partition(kept, total - limit)[total - limit]
        found = found[kept >= least]
    order = np.lexsort((-corpus.facts["ids"][found], -corpus.facts["times"][found], -scores[found]))
    found = found[order[:limit]]
    return Ranked(found, np.clip(scores[found], 0, 1), total)
