"""The packaged model itself: loaded once, then meaning is found where no word is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pktui.errors import StoreError
from pktui.memory.embed import Embedder, load_embedder
from pktui.memory.embed import model as model_module
from pktui.memory.store import Store
from tests.memory.store.conftest import ADA, embed_all, log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder()


def test_vectors_have_length_one_and_the_order_of_their_texts(embedder: Embedder) -> None:
    texts = ["a cat", "word " * 300, "a kitten", ""]
    vectors = embedder.embed(texts)
    assert vectors.shape == (4, embedder.dimension)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=0.01)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    assert np.allclose((vectors * alone).sum(axis=1), 1, atol=0.001)
    assert vectors[0] @ vectors[2] > 0.5
    assert embedder.embed([]).shape == (0, embedder.dimension)


@pytest.mark.parametrize("words", [1, 2, 7, 40, 400])
def test_one_text_has_the_vector_it_has_among_others(embedder: Embedder, words: int) -> None:
    text = "How did we deploy the token service? " * words
    alone, among = embedder.embed([text])[0], embedder.embed([text, text])[0]
    assert np.allclose(alone, among, atol=1e-4)
    assert np.array_equal(alone, embedder.embed([text])[0])


def test_a_long_text_is_cut_by_tokens(embedder: Embedder) -> None:
    long = "".join(f"sentence number {number} says nothing. " for number in range(200))
    short, parts = embedder.passages(["short", long])
    assert [(part.start, part.end) for part in short] == [(0, 5)]
    assert len(parts) > 3
    assert parts[-1].end == len(long.rstrip())


def test_meaning_is_found_where_no_word_is_shared(embedder: Embedder, tmp_path: Path) -> None:
    filler = "The weather report mentions light rain over the hills. " * 60
    trouble = "The engine of my car broke down on the motorway, and a lorry towed it home. " * 20
    with Store.open(tmp_path / "memory", embedder) as store:
        session = store.start_session("s", ADA)
        log(
            store,
            session.id,
            "We moved the invoices to the new bookkeeping program",
            f"{filler}\n{trouble}\n{filler}",
            "Lunch was pasta with tomato sauce",
        )
        embed_all(store)
        hit = store.search("vehicle trouble while driving", "meaning").hits[0]
        assert "car broke down" in hit.snippet
        hybrid = store.search("accounting software migration").hits[0]
        assert hybrid.message is not None
        assert "bookkeeping" in hybrid.message.content


def test_a_name_that_is_not_on_this_machine_is_refused_without_a_download() -> None:
    with pytest.raises(StoreError) as failure:
        load_embedder("no-such-org/no-such-model")
    assert "the model no-such-org/no-such-model cannot be loaded" in failure.value.what
    assert "memory.model" in failure.value.cure


def test_weights_that_were_changed_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "PACKAGED_SHA256", "0" * 64)
    with pytest.raises(StoreError, match="are not the ones pktui knows"):
        load_embedder()
