"""From evidence to an order: words, meaning, or both, each score from 0 to 1.

Hybrid adds up, for each message, what its own words and meaning say, what its neighbours say
(an answer often follows the words that were asked for), and what its session says as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pktui.memory.search.selection import bound, highest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.memory.embed import Vectors
    from pktui.memory.search.bm25 import WordEvidence
    from pktui.memory.search.corpus import Corpus
    from pktui.memory.search.dates import Span

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
Slots = npt.NDArray[np.int32]

# What is less alike than this is not a hit for its meaning.
LEAST_COSINE = 0.1

# How much of a neighbour's meaning is lent to a message.
_BESIDE = 0.3
_BLOCK = 1 << 15
_LEAST = 1e-6
# Where less than one in so many is allowed these are taken out before they are compared.
_MANY = 16
# So many terms give a text half of what its length is worth.
_LENGTH = 20.0


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


# How much of a session's best call is lent to its messages.
_DONE = 0.03

# In a question much is grammar, so its meaning tells more than its words; what answers it says
# something, so that a greeting is none. Key words are names, paths and errors: the words count.
QUESTION = Weights(0.4, 0.8, 0.08, 0.1, 0.3, 0.6, 0.5)
KEYWORDS = Weights(0.4, 0.15, 0.15, 0.15, 0.2, 0.4, 0.3)

PARTS = ("words", "meaning", "date", "neighbours", "session")


class Scores:
    """A score for each position, and of what parts it was made."""

    def __init__(self, total: Floats) -> None:
        self.total = total
        self._parts: list[tuple[str, float, Floats, Slots | None]] = []

    def made_of(self, part: str, weight: float, values: Floats, by: Slots | None = None) -> Scores:
        """Note that so much of the values is in the scores; `by` is the row of each position."""
        self._parts.append((part, weight, values, by))
        return self

    def shares(self, position: int) -> dict[str, float]:
        """Return the parts of a position's score; they add up to 1 where it has any."""
        found = dict.fromkeys(PARTS, 0.0)
        if position < len(self.total):  # else it came after they were made
            for part, weight, values, by in self._parts:
                row = position if by is None else int(by[position])
                found[part] += weight * float(values[row])
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
    slots = corpus.facts["slots"]
    total = np.float32(0.8) * evidence.documents
    total += np.float32(0.2) * evidence.groups[slots]
    scores = Scores(total).made_of("session", 0.2, evidence.groups, slots)
    return _words_of(scores, 0.8, evidence)


def _words_of(scores: Scores, weight: float, evidence: WordEvidence) -> Scores:
    """Note the words' part: the text's own, and what neighbours lent."""
    scores.made_of("words", weight, evidence.own)
    scores.made_of("neighbours", weight, evidence.documents)
    return scores.made_of("neighbours", -weight, evidence.own)


def dated(
    corpus: Corpus, scores: Scores, spans: Sequence[Span], allowed: Bools, weight: float
) -> Scores:
    """Add the times that were mentioned; the best of the allowed stays as high as it is."""
    highest = _highest(scores.total, allowed)
    near = _mentioned(corpus, spans)
    scores.total += np.float32(weight * highest) * near
    scores.total *= np.float32(highest / max(_highest(scores.total, allowed), _LEAST))
    return scores.made_of("date", weight * highest, near)


def of_sessions(corpus: Corpus, other: Corpus, scores: Floats, allowed: Bools) -> Floats:
    """Return the best allowed score in the other corpus of each group of the corpus, by slot."""
    best = _of_groups(other, scores, allowed)
    ids, its = corpus.groups["ids"], other.groups["ids"][: len(best)]
    order = np.argsort(ids, kind="stable")
    at = order.take(np.searchsorted(ids, its, sorter=order), mode="clip")
    lent = np.zeros(len(ids), np.float32)
    there = (best > 0) & (ids.take(at) == its)
    lent[at[there]] = best[there]
    return lent


def both(
    corpus: Corpus,
    evidence: WordEvidence,
    cosines: Floats,
    spans: Sequence[Span],
    allowed: Bools,
    weights: Weights,
    done: Floats | None = None,
) -> Scores:
    """Return a score for each position by words, meaning and the times that were mentioned.

    `done` is what the calls of each group say, by slot.

    Each part is relative to the best among the allowed, so that none drowns the others; all are
    scaled by how well the query is met at all, and a short text gets less. Done in blocks that
    the processor's cache holds: of a million texts that takes half the time.
    """
    size, slots, lengths = len(corpus), corpus.facts["slots"], corpus.words.lengths
    meaning = np.maximum(cosines, 0)
    session_meaning = _of_groups(corpus, meaning, allowed)
    best_words = _highest(evidence.documents, allowed)
    best_meaning = float(session_meaning.max(initial=0))
    per_words = weights.words / max(best_words, _LEAST)
    per_meaning = 1 / max(best_meaning, _LEAST)
    per_group = weights.session_words / max(float(evidence.groups.max(initial=0)), _LEAST)
    per_session = weights.session_meaning * per_meaning
    session = np.float32(per_group) * evidence.groups
    session += np.float32(per_session) * session_meaning
    if done is not None:
        session += np.float32(_DONE / max(float(done.max(initial=0)), _LEAST)) * done
    beside = _beside(corpus, meaning)
    near = _mentioned(corpus, spans) if spans else None
    total = np.empty(size, np.float32)
    highest = 0.0
    for first in range(0, size, _BLOCK):
        part = slice(first, first + _BLOCK)
        made = np.float32(per_words) * evidence.documents[part]
        made += np.float32((weights.meaning + weights.neighbours) * per_meaning) * meaning[part]
        made += np.float32(weights.neighbours * per_meaning) * beside[part]
        made += session.take(slots[part])
        if near is not None:
            made += np.float32(weights.date) * near[part]
        made *= 1 - np.float32(weights.length * _LENGTH) / (lengths[part] + np.float32(_LENGTH))
        total[part] = made
        highest = max(highest, float(np.max(made * allowed[part], initial=0)))
    total *= np.float32(min(max(best_words, best_meaning), 1.0) / max(highest, _LEAST))
    scores = _words_of(Scores(total), per_words, evidence)
    scores.made_of("meaning", (weights.meaning + weights.neighbours) * per_meaning, meaning)
    scores.made_of("neighbours", weights.neighbours * per_meaning, beside)
    scores.made_of("session", 1.0, session, slots)
    return scores if near is None else scores.made_of("date", weights.date, near)


def _highest(part: Floats, allowed: Bools) -> float:
    """Return the highest of what is allowed; none is below 0."""
    blocks = (slice(first, first + _BLOCK) for first in range(0, len(part), _BLOCK))
    return max((float(np.max(part[one] * allowed[one])) for one in blocks), default=0.0)


def _of_groups(corpus: Corpus, scores: Floats, allowed: Bools) -> Floats:
    """Return each group's highest score among the allowed; none is below 0."""
    highest = np.zeros(len(corpus.groups), np.float32)
    starts = corpus.runs()
    starts = starts[: starts.searchsorted(len(scores))]
    if len(starts):
        runs = np.maximum.reduceat(scores * allowed, starts)
        np.maximum.at(highest, corpus.facts["slots"][starts], runs)
    return highest


def _beside(corpus: Corpus, scores: Floats) -> Floats:
    """Return what the text before and the one after each position in its session lend it."""
    padded = np.append(scores, np.float32(0))  # -1, no neighbour, is the last
    lent = np.empty(len(scores), np.float32)
    before, after = corpus.facts["before"], corpus.facts["after"]
    for first in range(0, len(lent), _BLOCK):
        part = slice(first, first + _BLOCK)
        lent[part] = padded.take(before[part], mode="wrap")
        lent[part] += padded.take(after[part], mode="wrap")
    lent *= np.float32(_BESIDE)
    return lent


def _mentioned(corpus: Corpus, spans: Sequence[Span]) -> Floats:
    """Return how near each position's time is to the times mentioned, by their weights.

    A month without its year is a span in each of them. In a block of texts, which mostly are of
    one time, those count that may be nearer there than another one surely is.
    """
    times = corpus.facts["times"]
    nearest = np.zeros(len(times), np.float32)
    firsts = np.arange(0, len(times), _BLOCK)
    if not len(firsts):
        return nearest
    ends = np.minimum.reduceat(times, firsts), np.maximum.reduceat(times, firsts)
    near = np.array([[span.nearness(end) for end in ends] for span in spans])
    surely = near.min(axis=1).max(axis=0)
    for span, its in zip(spans, near, strict=True):
        within = (ends[0] < span.end_us) & (ends[1] >= span.start_us)
        for first in firsts[within | (its.max(axis=0) >= surely)].tolist():
            own = nearest[first : first + _BLOCK]
            np.maximum(own, span.nearness(times[first : first + _BLOCK]), out=own)
    return nearest


def best_cosines(corpus: Corpus, vector: Vectors) -> Floats:
    """Return the cosine of each document's best passage, by position."""
    return corpus.passages.similarities(vector, len(corpus))


def _high(scores: Floats, allowed: Bools, limit: int, *, few: bool) -> Ints:
    """Return the allowed positions that may be among the best; `few`: that few are allowed."""
    if few:
        found = np.flatnonzero(allowed)
        its = scores.take(found)
        return found[its >= np.float32(bound(its, limit))]
    least = bound(np.where(allowed, scores, np.float32(-np.inf)), limit)
    return np.flatnonzero(allowed & (scores >= np.float32(least)))


def best(corpus: Corpus, scores: Floats, allowed: Bools, limit: int) -> Ranked:
    """Return the best allowed positions; equal ones with the newest first, then the last id."""
    total = int(np.count_nonzero(allowed))
    if total > limit:
        found = _high(scores, allowed, limit, few=total < len(allowed) // _MANY)
        found = found[highest(scores[found], limit)]
        tied = scores[found] == scores[found].min()
        newest = highest(corpus.facts["times"][found[tied]], limit - int(np.count_nonzero(~tied)))
        found = np.concatenate([found[~tied], found[tied][newest]])
    else:
        found = np.flatnonzero(allowed)
    order = np.lexsort((-corpus.facts["ids"][found], -corpus.facts["times"][found], -scores[found]))
    found = found[order[:limit]]
    return Ranked(found, np.clip(scores[found], 0, 1), total)
