"""How well words fit documents and whole groups, after BM25 (Robertson, Zaragoza 2009).

Two additions for conversations. A word counts, weakened, for the documents beside the one that
holds it, but only once: what helps is that a document and its neighbours together hold many of
the words, as an answer rarely repeats its question. And a group counts as one long document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pktui.memory.search.tokens import is_stop_word, terms, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pktui.memory.search.corpus import Corpus

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

_SATURATION, _LENGTH = 1.0, 0.3
_GROUP_SATURATION, _GROUP_LENGTH = 3.0, 0.75
_FEW = 100
# A word in a larger share of all documents tells so little that neighbours do not get it.
_COMMON = 0.2
_FREQUENT, _FEW_OF_ALL = 0.1, 20
# What is left of a word one and two documents away from where it stands.
_BESIDE, _TWO_AWAY = 0.5, 0.25


@dataclass(frozen=True, slots=True)
class WordEvidence:
    """Scores from 0 to 1 by position and by group number; where any word occurs, where all do.

    `own` is the part of `documents` that no neighbour lent.
    """

    documents: Floats
    own: Floats
    groups: Floats
    matched: Bools
    complete: Bools


def query_terms(asked: Sequence[str]) -> dict[str, float]:
    """Return the terms of a query with their weights; stop words count where nothing else does."""
    telling = [word for word in asked if not is_stop_word(word)]
    weights: dict[str, float] = {}
    for word in telling or asked:
        for term in terms(word):
            weights[term] = weights.get(term, 0) + 1
    return weights


def without_frequent(corpus: Corpus, text: str) -> str:
    """Return the text without the words that stand in a tenth of all documents.

    A speaker's name, an agent's or a project's draws every question to whatever bears it; what
    remains says what the question is about.
    """
    most = max(_FREQUENT * corpus.living, _FEW_OF_ALL)
    return " ".join(part for part in text.split() if not _is_frequent(corpus, part, most))


def _is_frequent(corpus: Corpus, part: str, most: float) -> bool:
    first = words(part)[:1]
    if not first or is_stop_word(first[0]):
        return False
    return corpus.words.count(terms(first[0])[0]) > most


def weigh(corpus: Corpus, weights: Mapping[str, float]) -> WordEvidence:
    """Return how well the terms fit each document and each group of the corpus."""
    size, groups = len(corpus), len(corpus.groups)
    living, living_groups = corpus.living, int(np.count_nonzero(corpus.groups["lengths"]))
    documents, own = np.zeros(size, np.float32), np.zeros(size, np.float32)
    by_group = np.zeros(groups, np.float32)
    matched, complete = np.zeros(size, np.bool_), np.ones(size, np.bool_)
    scratch = np.zeros(size, np.float32)
    lengths, group_lengths = corpus.words.lengths, corpus.groups["lengths"]
    mean, group_mean = _mean(lengths, living), _mean(group_lengths, living_groups)
    group_scale = _scale(group_lengths, group_mean, _GROUP_SATURATION, _GROUP_LENGTH)
    possible = group_possible = 1e-9
    for term, weight in weights.items():
        found, counts = corpus.words.find(term)
        positions = found.astype(np.intp)  # once: each use of other integers as an index would
        held = np.zeros(size, np.uint8)
        held[positions] = counts
        holding = held > 0
        matched |= holding
        complete &= holding
        if not len(positions):
            continue
        rarity = weight * _rarity(living, len(positions))
        possible += rarity
        if len(positions) > max(_COMMON * size, _FEW):
            strengths = _saturated(held, _scale(lengths, mean), rarity)
            own += strengths
            documents += strengths
            in_group = _summed(corpus, held)
        else:
            strengths = _saturated(counts, _scale(lengths.take(positions), mean), rarity)
            own[positions] += strengths
            _spread(corpus, positions, strengths, scratch, documents)
            slots = corpus.facts["slots"].take(positions)
            in_group = np.bincount(slots, counts, groups).astype(np.float32)
        group_rarity = weight * _rarity(living_groups, int(np.count_nonzero(in_group)))
        group_possible += group_rarity
        by_group += _saturated(in_group, group_scale, group_rarity)
    documents /= np.float32(possible)
    own /= np.float32(possible)
    by_group /= np.float32(group_possible)
    return WordEvidence(
        documents=documents,
        own=own,
        groups=by_group,
        matched=matched,
        complete=complete,
    )


def _saturated(counts: npt.NDArray[np.uint8] | Floats, scale: Floats, rarity: float) -> Floats:
    """Return what so many occurrences of a term are worth: the second much less than the first."""
    strengths = counts + scale
    np.divide(counts, strengths, out=strengths)
    strengths *= np.float32(rarity)
    return strengths


def _summed(corpus: Corpus, held: npt.NDArray[np.uint8]) -> Floats:
    """Return how often a term stands in each group, by slot, given how often in each document."""
    starts = corpus.runs()
    sums = np.add.reduceat(held, starts, dtype=np.int32)
    slots = corpus.facts["slots"][starts]
    return np.bincount(slots, sums, len(corpus.groups)).astype(np.float32)


def _spread(
    corpus: Corpus, positions: Positions, strengths: Floats, scratch: Floats, documents: Floats
) -> None:
    """Add the strength of a term at each position: its own, or what a neighbour lends.

    `scratch` is zero for each document, before and after.
    """
    scratch[positions] = strengths
    touched = [positions]
    for links in (corpus.facts["before"], corpus.facts["after"]):
        at, left = positions, strengths
        for share in (_BESIDE, _TWO_AWAY):
            linked = links.take(at)
            there = linked >= 0
            at, left = linked[there].astype(np.intp), left[there]
            scratch[at] = np.maximum(scratch.take(at), np.float32(share) * left)
            touched.append(at)
    for at in touched:
        documents[at] += scratch.take(at)
        scratch[at] = 0


def _mean(lengths: Floats, living: int) -> float:
    return max(float(lengths.sum()) / max(living, 1), 1.0)


def _scale(
    lengths: Floats, mean: float, saturation: float = _SATURATION, influence: float = _LENGTH
) -> Floats:
    """Return what a length adds to the count that gives half of the rarity."""
    scale = lengths * np.float32(saturation * influence / mean)
    scale += np.float32(saturation * (1 - influence))
    return scale


def _rarity(size: int, holding: int) -> float:
    return float(np.log1p(max(size - holding + 0.5, 0) / (holding + 0.5)))
