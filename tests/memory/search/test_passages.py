"""The vectors in memory: added, forgotten, written down and read again."""

from __future__ import annotations

import numpy as np

from pktui.memory.search.passages import UNKNOWN, Passages

DIMENSION = 16
BLOCK = 16_384


def made(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


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
