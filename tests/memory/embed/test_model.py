"""The packaged model itself: loaded once, then meaning is found where no word is shared."""

from __future__ import annotations

import os
import subprocess
import sys
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


pytestmark = pytest.mark.timeout(180)

EXACT = 1e-5
OTHERS = range(1, 20)
SENTENCES = ["How did we deploy the token service?", "word " * 100, "a kitten"]
_ELSEWHERE = """
import sys
import numpy as np
from pktui.memory.embed import load_embedder
embedder = load_embedder()
np.save(sys.argv[1], embedder.embed(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder()


def test_vectors_have_length_one_and_the_order_of_their_texts(embedder: Embedder) -> None:
    texts = ["a cat", "word " * 300, "a kitten", ""]
    vectors = embedder.embed(texts)
    assert vectors.shape == (4, embedder.dimension)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=EXACT)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    assert np.allclose(vectors, alone, atol=EXACT)
    assert vectors[0] @ vectors[2] > 0.5
    assert embedder.embed([]).shape == (0, embedder.dimension)


@pytest.mark.parametrize("words", [1, 2, 7, 40, 400])
def test_one_text_has_the_vector_it_has_among_others(embedder: Embedder, words: int) -> None:
    text = "How did we deploy the token service? " * words
    alone = embedder.embed([text])[0]
    assert np.array_equal(alone, embedder.embed([text])[0])
    for others in (
        [text],
        ["short"],
        ["word " * 300] * 9,
        ["", *("some more words " * n for n in OTHERS)],
    ):
        assert np.allclose(embedder.embed([text, *others])[0], alone, atol=EXACT)
        assert np.allclose(embedder.embed([*others, text])[-1], alone, atol=EXACT)


@pytest.mark.parametrize("processor", ["default", "avx2"])
def test_a_text_has_the_same_vector_on_a_processor_that_has_less(
    embedder: Embedder, tmp_path: Path, processor: str
) -> None:
    torch = pytest.importorskip("torch")
    if processor == "avx2" and torch.backends.cpu.get_cpu_capability() != "AVX512":
        pytest.skip("this processor has no more than that")
    kept = tmp_path / "vectors.npy"
    environment = {
        **os.environ,
        "ATEN_CPU_CAPABILITY": processor,
        "ONEDNN_MAX_CPU_ISA": "SSE41" if processor == "default" else "AVX2",
        "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    }
    command = [sys.executable, "-c", _ELSEWHERE, str(kept), *SENTENCES]
    subprocess.run(command, env=environment, check=True)
    assert np.allclose(np.load(kept), embedder.embed(SENTENCES), atol=EXACT)


def test_weights_that_were_saved_in_half_precision_are_used_in_single(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    saved = SentenceTransformer(str(model_module.packaged_directory()), device="cpu")
    saved.bfloat16().save(str(tmp_path))
    other = load_embedder(str(tmp_path))
    among = other.embed([*SENTENCES, "word " * 300])
    for text, vector in zip(SENTENCES, among, strict=False):
        assert np.allclose(other.embed([text])[0], vector, atol=EXACT)


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
