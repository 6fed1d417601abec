"""Which documents hold a word, where few are left to look at and where many are."""

from __future__ import annotations

import numpy as np
import pytest

from pktui.memory.search.corpus import Corpus, Document
from pktui.memory.store.scope import holding_all

SIZE = 2000


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    made = Corpus(keep_texts=True)
    texts = ["oak" + " elm" * (n % 3 > 0) + " ash" * (n % 7 == 0) for n in range(SIZE)]
    made.add([Document(n + 1, 1, 0, n, text) for n, text in enumerate(texts)])
    return made


@pytest.mark.parametrize("left", [0, 1, 5, 30, 200, SIZE])
@pytest.mark.parametrize("terms", [(), ("elm",), ("oak", "elm"), ("elm", "ash"), ("oak", "no")])
def test_all_words_must_be_held(corpus: Corpus, left: int, terms: tuple[str, ...]) -> None:
    allowed = np.zeros(SIZE, np.bool_)
    allowed[np.random.default_rng(left).choice(SIZE, left, replace=False)] = True
    holds = {
        "oak": np.ones(SIZE, np.bool_),
        "elm": np.arange(SIZE) % 3 > 0,
        "ash": np.arange(SIZE) % 7 == 0,
        "no": np.zeros(SIZE, np.bool_),
    }
    wanted = allowed.copy()
    for term in terms:
        wanted &= holds[term]
    assert np.array_equal(holding_all(corpus, allowed, terms), wanted)


def test_documents_that_came_later_are_not_looked_at(corpus: Corpus) -> None:
    earlier = np.ones(SIZE // 2, np.bool_)
    assert len(holding_all(corpus, earlier, ("oak",))) == SIZE // 2
    few = np.arange(SIZE // 2) < 3
    assert holding_all(corpus, few, ("elm",)).tolist() == [False, True, True] + [False] * 997
