"""The packaged model: exported once, then run without torch, with the same vectors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pktui.errors import StoreError
from pktui.memory.embed import weights
from pktui.memory.embed.child import Child
from pktui.memory.embed.packaged import LARGE_TEXTS, PackagedModel
from pktui.memory.embed.weights import DIMENSION, checked_directory, exported_file
from pktui.memory.store import Store
from tests.memory.store.conftest import ADA, embed_all, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


pytestmark = pytest.mark.timeout(180)

EXACT = 1e-5
OTHERS = range(1, 20)
SENTENCES = ["How did we deploy the token service?", "word " * 100, "a kitten", "", "naïve 会議"]
# By sentence-transformers, as it runs here and on a processor that has less.
_REFERENCE = """
import sys
import numpy as np
from pktui.memory.embed.sentence import load_sentence_model
np.save(sys.argv[1], load_sentence_model().embed(sys.argv[2:]))
"""
_WITHOUT_TORCH = """
import sys
from pathlib import Path
from pktui.memory.embed import load_embedder
embedder = load_embedder("", Path(sys.argv[1]))
embedder.embed(["a kitten"])
print(sorted({"torch", "sentence_transformers", "transformers", "onnx"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the exported model."""
    directory = tmp_path_factory.mktemp("data") / "models"
    made = PackagedModel(directory)
    made.close()
    assert made.degraded == ""
    return directory


@pytest.fixture
def model(models: Path) -> Iterator[PackagedModel]:
    loaded = PackagedModel(models)
    yield loaded
    loaded.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_vectors_have_length_one_and_the_order_of_their_texts(model: PackagedModel) -> None:
    texts = ["a cat", "word " * 300, "a kitten", ""]
    vectors = model.embed(texts)
    assert vectors.shape == (4, DIMENSION)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=EXACT)
    assert vectors[0] @ vectors[2] > 0.5
    assert model.embed([]).shape == (0, DIMENSION)


@pytest.mark.parametrize("words", [1, 7, 400])
def test_one_text_has_the_vector_it_has_among_others(model: PackagedModel, words: int) -> None:
    text = "How did we deploy the token service? " * words
    alone = model.embed([text])[0]
    for others in (
        [text],
        ["short"],
        ["word " * 300] * 9,
        ["", *("some more words " * n for n in OTHERS)],
    ):
        assert np.allclose(model.embed([text, *others])[0], alone, atol=EXACT)
        assert np.allclose(model.embed([*others, text])[-1], alone, atol=EXACT)


def test_the_vectors_are_those_of_sentence_transformers_on_a_lesser_processor(
    model: PackagedModel, tmp_path: Path
) -> None:
    processor = {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    }
    kept = tmp_path / "vectors.npy"
    command = [sys.executable, "-c", _REFERENCE, str(kept), *SENTENCES]
    subprocess.run(command, env={**os.environ, **processor}, check=True)
    assert np.allclose(np.load(kept), model.embed(SENTENCES), atol=EXACT)


def test_once_it_is_exported_torch_is_not_loaded(models: Path) -> None:
    command = [sys.executable, "-c", _WITHOUT_TORCH, str(models)]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b"[]\n"


def test_a_large_batch_goes_to_a_process_that_ends_when_nobody_asks_it(models: Path) -> None:
    model = PackagedModel(models)
    model.child = Child(models, idle_s=0.05)
    texts = [f"message number {number}" for number in range(LARGE_TEXTS + 1)]
    model.embed(texts[1:])
    assert model.child.pid == 0
    among = model.embed(texts)
    until(lambda: model.child.pid == 0)
    assert np.allclose(among[:3], model.embed(texts[:3]), atol=EXACT)
    assert np.array_equal(model.embed(texts), among)
    model.close()


def test_a_process_that_is_killed_is_made_up_for(models: Path) -> None:
    model = PackagedModel(models)
    texts = [f"message number {number}" for number in range(LARGE_TEXTS + 1)]
    first = model.embed(texts)
    os.kill(model.child.pid, 9)
    assert np.array_equal(model.embed(texts), first)
    model.close()
    with pytest.raises(StoreError, match="is ending"):
        model.embed(texts)


def test_where_it_cannot_be_exported_sentence_transformers_answers(
    models: Path, tmp_path: Path
) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("where the directory should be")
    model = PackagedModel(nowhere / "models")
    assert "models" in model.degraded
    exported = PackagedModel(models)
    assert np.allclose(model.embed(SENTENCES), exported.embed(SENTENCES), atol=EXACT)
    assert model.passages(SENTENCES) == exported.passages(SENTENCES)
    model.close()


def test_an_exported_model_that_is_not_whole_is_not_loaded(models: Path, tmp_path: Path) -> None:
    whole = exported_file(models)
    assert whole is not None
    copy = tmp_path / whole.parent.name
    shutil.copytree(whole.parent, copy)
    assert exported_file(tmp_path) == copy / whole.name
    numbers = copy / weights.NUMBERS
    numbers.write_bytes(numbers.read_bytes()[:-1])
    assert exported_file(tmp_path) is None
    assert not copy.exists()


def test_a_long_text_is_cut_by_tokens(model: PackagedModel) -> None:
    long = "".join(f"sentence number {number} says nothing. " for number in range(200))
    short, parts = model.passages(["short", long])
    assert [(part.start, part.end) for part in short] == [(0, 5)]
    assert len(parts) > 3
    assert parts[-1].end == len(long.rstrip())


def test_meaning_is_found_where_no_word_is_shared(model: PackagedModel, tmp_path: Path) -> None:
    filler = "The weather report mentions light rain over the hills. " * 60
    trouble = "The engine of my car broke down on the motorway, and a lorry towed it home. " * 20
    with Store.open(tmp_path / "memory", model) as store:
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


def test_weights_that_were_changed_are_not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PACKAGED_SHA256", "0" * 64)
    with pytest.raises(StoreError, match="are not the ones pktui knows"):
        checked_directory()
