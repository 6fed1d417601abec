"""The highest of many are those that a sort of all finds."""

from __future__ import annotations

import numpy as np
import pytest

from pktui.memory.search.corpus import Corpus, Document
from pktui.memory.search.ranking import best
from pktui.memory.search.selection import bound, highest


@pytest.mark.parametrize("size", [1, 63, 64, 700, 5000])
@pytest.mark.parametrize("most", [1, 7, 64, 900])
@pytest.mark.parametrize("steps", [3, 10_000])
def test_the_highest_are_those_that_a_sort_finds(size: int, most: int, steps: int) -> None:
    random = np.random.default_rng(size + most + steps)
    values = random.integers(0, steps, size).astype(np.float32)
    last = np.sort(values)[::-1][min(most, size) - 1]
    assert bound(values, most) <= last
    assert np.array_equal(highest(values, most), values >= last)


@pytest.mark.parametrize("limit", [1, 5, 40, 600])
@pytest.mark.parametrize("steps", [1, 4, 10_000])
@pytest.mark.parametrize("share", [0.6, 0.05])
def test_the_best_come_in_order_and_of_equal_ones_the_newest(
    limit: int, steps: int, share: float
) -> None:
    size = 500
    random = np.random.default_rng(limit + steps)
    times = random.integers(0, 90, size).tolist()
    corpus = Corpus(keep_texts=True)
    corpus.add([Document(n + 1, n % 7, 0, times[n], "text") for n in range(size)])
    scores = (random.integers(0, steps, size) / steps).astype(np.float32)
    allowed = random.random(size) < share
    fits = [n for n in range(size) if allowed[n]]
    expected = sorted(fits, key=lambda n: (-scores[n], -times[n], -n))
    found = best(corpus, scores, allowed, limit)
    assert found.positions.tolist() == expected[:limit]
    assert found.total == len(fits)
