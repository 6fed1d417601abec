"""How well words fit documents and whole groups: BM25 (Robertson, Zaragoza 2009), from 0 to 1.

A group counts as one long document made of its members' words, so that a session about a
subject lifts the messages in it that do not repeat the word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pktui.memory.search.tokens import is_stop_word, terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pktui.memory.search.corpus import Corpus

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_SATURATION = 1.2
_LENGTH = 0.75
_GROUP_SATURATION = 1.2
_GROUP_LENGTH = 0.75


@dataclass(frozen=True, slots=True)
class WordEvidence:
    """Scores from 0 to 1 by position and by group number; `matched` where any word occurs."""

    documents: Floats
    groups: Floats
    matched: Bools


def query_terms(words: Sequence[str]) -> dict[str, float]:
    """Return the terms of a query with their weights; stop words count where nothing else does."""
    telling = [word for word in words if not is_stop_word(word)]
    weights: dict[str, float] = {}
    for word in telling or words:
        for term in terms(word):
            weights[term] = weights.get(term, 0) + 1
    return weights


def weigh(corpus: Corpus, weights: Mapping[str, float]) -> WordEvidence:
    """Return how well the terms fit each document and each group of the corpus."""
    size, groups = len(corpus), corpus.group_count
    documents = np.zeros(size, np.float32)
    by_group = np.zeros(groups, np.float32)
    lengths = corpus.words.lengths
    scale = _SATURATION * (1 - _LENGTH + _LENGTH * lengths / max(float(lengths.mean()), 1.0))
    group_lengths = np.bincount(corpus.slots, lengths, groups)
    group_scale = _GROUP_SATURATION * (
        1 - _GROUP_LENGTH + _GROUP_LENGTH * group_lengths / max(float(group_lengths.mean()), 1.0)
    )
    possible = group_possible = 0.0
    for term, weight in weights.items():
        positions, counts = corpus.words.find(term)
        if not len(positions):
            continue
        rarity = weight * _rarity(size, len(positions))
        possible += rarity
        documents[positions] += rarity * counts / (counts + scale[positions])
        in_group = np.bincount(corpus.slots[positions], counts, groups)
        group_rarity = weight * _rarity(groups, int(np.count_nonzero(in_group)))
        group_possible += group_rarity
        by_group += (group_rarity * in_group / (in_group + group_scale)).astype(np.float32)
    return WordEvidence(
        documents / max(possible, 1e-9), by_group / max(group_possible, 1e-9), documents > 0
    )


def _rarity(size: int, holding: int) -> float:
    return float(np.log1p((size - holding + 0.5) / (holding + 0.5)))
