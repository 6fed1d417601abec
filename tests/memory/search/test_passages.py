"""The vectors in memory: added, forgotten, written down and read again."""

from __future__ import annotations

import numpy as np
import pytest

from pktui.memory.embed import Passage
from pktui.memory.search.passages import UNKNOWN, Passages

DIMENSION = 16
BLOCK = 16_384


def made(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("ordered", [True, False])
def test_the_best_of_each_documents_passages_counts_in_whatever_order_they_came(
    *, ordered: bool
) -> None:
    random = np.random.default_rng(5)
    vectors = made(2 * BLOCK + 300, seed=2)
    owners = random.integers(0, len(vectors) // 2, len(vectors))
    if ordered:
        owners.sort()
        owners[:BLOCK] = np.arange(BLOCK)  # one passage each, the last one's goes on in the next
        owners[BLOCK:] += BLOCK - 1 - owners[BLOCK]
    passages = Passages(DIMENSION)
    passages.add(owners, np.arange(len(owners)), np.arange(len(owners)) + 1, vectors)
    question = vectors[BLOCK]

    cosines = np.concatenate([block.cosines(question) for block in passages._blocks])
    wanted = np.full(owners.max() + 2, UNKNOWN)
    np.maximum.at(wanted, owners, cosines)
    found = passages.similarities(question, len(wanted))
    assert np.abs(found - wanted).max() < 0.02

    chosen = [int(owners[BLOCK]), 7, 0, int(owners.max()) + 1]
    best = passages.best_passages(question, chosen)
    assert best[chosen[0]] == Passage(BLOCK, BLOCK + 1)
    assert set(best) == set(chosen) & set(owners.tolist())
    exact = vectors @ question
    for document, passage in best.items():
        rows = np.flatnonzero(owners == document)
        assert exact[passage.start] > exact[rows].max() - 0.02


def test_what_is_written_down_in_blocks_is_read_again_and_grows_on() -> None:
    vectors = made(2 * BLOCK + 300, seed=1)
    first, more = vectors[: BLOCK + 100], vectors[BLOCK + 100 :]
    passages = Passages(DIMENSION)
    places = np.arange(len(first))
    for part in (slice(0, 5), slice(5, BLOCK + 7), slice(BLOCK + 7, None)):
        passages.add(places[part], places[part], places[part], first[part])
    passages.forget([3, BLOCK + 1])

    arrays = {name: np.concatenate(parts) for name, parts in passages.arrays().items()}
    passages.add([], [], [], vectors[:0])
    again = Passages.of(arrays, DIMENSION)
    places = np.arange(len(first), len(vectors))
    again.add(places, places, places, more)

    question = vectors[8]
    found = again.similarities(question, len(vectors) + 1)
    wanted = vectors @ question
    wanted[[3, BLOCK + 1]] = 0
    assert np.abs(found[:-1] - wanted).max() < 0.03  # of 16 numbers each is rounded off more
    assert found[-1] == UNKNOWN
    assert int(found.argmax()) == 8
    assert again.best_passages(question, [BLOCK + 50]) == passages.best_passages(
        question, [BLOCK + 50]
    )
