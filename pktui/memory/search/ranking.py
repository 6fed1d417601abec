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
    from pktui.memory.embed import Vectors
    from pktui.memory.search.bm25 import WordEvidence
    from pktui.memory.search.corpus import Corpus

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

LEAST_COSINE = 0.1
"""What is less alike than this is not a hit for its meaning."""

_WORDS, _MEANING, _SESSION_WORDS, _SESSION_MEANING = 0.35, 0.35, 0.2, 0.1
_NEIGHBOUR = 0.3


@dataclass(frozen=True, slots=True)
class Ranked:
    """Positions with their scores, best first, and how many fit in all."""

    positions: Ints
    scores: Floats
    total: int


def by_words(corpus: Corpus, evidence: WordEvidence) -> Floats:
    """Return a score for each position: its own words, and a little of its session's."""
    return np.asarray(0.8 * evidence.documents + 0.2 * evidence.groups[corpus.slots], np.float32)


def both(corpus: Corpus, evidence: WordEvidence, cosines: Floats) -> Floats:
    """Return a score for each position by words and meaning together."""
    meaning = np.maximum(cosines, 0)
    slots = corpus.slots
    session_meaning = np.zeros(corpus.group_count, np.float32)
    np.maximum.at(session_meaning, slots, meaning)
    scores = (
        _WORDS * _with_neighbours(corpus, _relative(evidence.documents))
        + _MEANING * _with_neighbours(corpus, _relative(meaning))
        + _SESSION_WORDS * _relative(evidence.groups)[slots]
        + _SESSION_MEANING * _relative(session_meaning)[slots]
    )
    return np.asarray(scores / (1 + 2 * _NEIGHBOUR), np.float32)


def best_cosines(corpus: Corpus, vector: Vectors) -> Floats:
    """Return the cosine of each document's best passage, by position."""
    return corpus.passages.similarities(vector, len(corpus))


def _relative(scores: Floats) -> Floats:
    """Scale the scores so that the best is 1."""
    best = float(scores.max(initial=0))
    return scores / best if best > 0 else scores


def _with_neighbours(corpus: Corpus, scores: Floats) -> Floats:
    """Add to each score a part of those before and after it in the session."""
    padded = np.append(scores, np.float32(0))  # position -1 stands for no neighbour
    return scores + _NEIGHBOUR * (padded[corpus.before] + padded[corpus.after])


def best(corpus: Corpus, scores: Floats, allowed: Bools, limit: int) -> Ranked:
    """Return the best allowed positions; equal ones with the newest first, then the last id."""
    found = np.flatnonzero(allowed)
    total = len(found)
    if total > limit:
        kept = scores[found]
        least = np.partition(kept, total - limit)[total - limit]
        found = found[kept >= least]
    order = np.lexsort((-corpus.ids[found], -corpus.times[found], -scores[found]))
    found = found[order[:limit]]
    return Ranked(found, np.clip(scores[found], 0, 1), total)
