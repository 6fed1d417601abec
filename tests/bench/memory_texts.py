"""Made-up texts for benchmarks: words with the frequencies of a natural language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYLLABLES = [
    "ba",
    "be",
    "bi",
    "bo",
    "bu",
    "da",
    "de",
    "di",
    "do",
    "du",
    "ka",
    "ke",
    "ki",
    "ko",
    "ku",
    "la",
    "le",
    "li",
    "lo",
    "lu",
    "ma",
    "me",
    "mi",
    "mo",
    "mu",
]


def texts(count: int, seed: int = 0, words: int = 40, vocabulary: int = 50_000) -> Iterator[str]:
    """Yield texts of `words` words on average, drawn from a Zipf distribution."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        length = int(random.integers(words // 4, 2 * words))
        ranks = np.minimum(random.zipf(1.2, length), vocabulary)
        yield " ".join(_word(int(rank)) for rank in ranks)


def _word(rank: int) -> str:
    word = ""
    while rank:
        rank, at = divmod(rank, len(_SYLLABLES))
        word += _SYLLABLES[at]
    return word or "a"
