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

_WORDS, _MEANING = 0.4, 0.35
_SESSION_WORDS, _SESSION_MEANING = 0.15, 0.15
_TIME = 0.4
_BESIDE, _TWO_AWAY = 0.3, 0.15
"""How much of a neighbour's meaning is added to a message's own."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Positions with their scores, best first, and how many fit in all."""

    positions: Ints
    scores: Floats
    total: int


def by_words(corpus: Corpus, evidence: WordEvidence) -> Floats:
    """Return a score for each position: its own words, and a little of its session's."""
    groups = evidence.groups[corpus.facts["slots"]]
    return np.asarray(0.8 * evidence.documents + 0.2 * groups, np.float32)


def both(
    corpus: Corpus, evidence: WordEvidence, cosines: Floats, spans: Sequence[Span], allowed: Bools
) -> Floats:
    """Return a score for each position by words, meaning and the times that were mentioned.

    Each part is relative to the best among the allowed, so that none drowns the others; all are
    scaled by how well the query is met at all.
    """
    slots = corpus.facts["slots"].astype(np.intp)
    meaning = np.maximum(cosines, 0)
    session_meaning = np.zeros(len(corpus.groups), np.float32)
    np.maximum.at(session_meaning, slots, meaning * allowed)
    parts = [
        (_WORDS, evidence.documents),
        (_MEANING, _with_neighbours(corpus, meaning)),
        (_SESSION_WORDS, evidence.groups.take(slots)),
        (_SESSION_MEANING, session_meaning.take(slots)),
    ]
    if spans:
        parts.append((_TIME, _mentioned(corpus, spans)))
    scores = np.zeros(len(corpus), np.float32)
    for weight, part in parts:
        scores += np.float32(weight / max(_highest(part, allowed), 1e-6)) * part
    met = max(_highest(part, allowed) for part in (evidence.documents, meaning))
    scores *= np.float32(min(met, 1.0) / sum(weight for weight, _ in parts))
    return scores


def _highest(part: Floats, allowed: Bools) -> float:
    """Return the highest of what is allowed; none is below 0."""
    return float(np.max(part * allowed, initial=0))


def _mentioned(corpus: Corpus, spans: Sequence[Span]) -> Floats:
    """Return the weight of the times mentioned that each position's time lies in."""
    times = corpus.facts["times"]
    weights = np.zeros(len(times), np.float32)
    first, last = times.min(initial=0), times.max(initial=0)
    for span in spans:
        if span.end_us > first and span.start_us <= last:
            within = (times >= span.start_us) & (times < span.end_us)
            np.maximum(weights, np.float32(span.weight), out=weights, where=within)
    return weights


def best_cosines(corpus: Corpus, vector: Vectors) -> Floats:
    """Return the cosine of each document's best passage, by position."""
    return corpus.passages.similarities(vector, len(corpus))


def _with_neighbours(corpus: Corpus, scores: Floats) -> Floats:
    """Add to each score a part of those up to two before and after it in the session."""
    total = scores.copy()
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
