"""Texts that hold a string: the same ones as a look at each finds, however many may hold it."""

from __future__ import annotations

import numpy as np
import pytest

from pktui.memory.search.forms import folded
from pktui.memory.search.texts import SearchedTexts, Texts

SIZE = 20_000


@pytest.fixture(scope="module")
def made() -> tuple[list[str], SearchedTexts]:
    """Half of the texts are packed, the others not; some are empty, and some are no plain ones."""
    random = np.random.default_rng(3)
    letters = np.array(["a", "B", "b", " ", "ä", "é", "\x1b[1m"])
    shares = [0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.05]
    texts = ["".join(random.choice(letters, random.integers(0, 9), p=shares)) for _ in range(SIZE)]
    first = SearchedTexts(Texts(), Texts())
    first.add(texts[: SIZE // 2])
    old = [
        Texts.of({name: np.concatenate(parts) for name, parts in one.arrays().items()})
        for one in (first.texts, first.forms)
    ]
    searched = SearchedTexts(*old)
    searched.add(texts[SIZE // 2 :])
    return texts, searched


@pytest.mark.parametrize("share", [0.01, 0.1, 0.2, 0.9])
@pytest.mark.parametrize("wanted", ["a", "aba", "BB a", "ä", "bäb", "Ba\u0301", "no such"])
def test_texts_with_a_string_are_found_among_few_and_many(
    made: tuple[list[str], SearchedTexts], wanted: str, share: float
) -> None:
    texts, searched = made
    allowed = np.random.default_rng(4).random(SIZE) < share
    needle = folded(wanted)
    expected = [at for at in np.flatnonzero(allowed).tolist() if needle in folded(texts[at])]
    assert np.flatnonzero(searched.holding(wanted, allowed)).tolist() == expected
