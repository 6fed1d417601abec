"""The model without layers: its arithmetic on small weights, and the package's own."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from pktui.errors import StoreError
from pktui.memory.embed import load_embedder, static
from pktui.memory.embed.static import StaticModel

if TYPE_CHECKING:
    from pathlib import Path

WORDS = {"?": 0, "north": 1, "east": 2, "south": 3}
VECTORS = np.array([[0, 0], [0, 2], [2, 0], [0, -2]], np.float16)


@pytest.fixture
def small(tmp_path: Path) -> StaticModel:
    tokenizer = Tokenizer(WordLevel(WORDS, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    save_file({"vectors": VECTORS}, tmp_path / "weights.safetensors")
    return StaticModel(tmp_path / "weights.safetensors", tmp_path / "tokenizer.json")


def test_a_vector_is_the_mean_direction_of_its_tokens(small: StaticModel) -> None:
    found = small.embed(["north", "north east", "unknown", "north south", ""])
    half = float(np.sqrt(0.5))
    wanted = np.array([[0, 1], [half, half], [0, 0], [0, 0], [0, 0]])
    assert np.allclose(found, wanted)
    assert found.dtype == np.float32


def test_long_texts_are_cut_into_overlapping_parts(small: StaticModel) -> None:
    text = "north " * 200
    first, second = small.passages([text])[0]
    assert (first.start, second.end) == (0, len(text) - 1)
    assert second.start < first.end


def test_a_missing_package_is_told_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "find_spec", lambda _: None)
    with pytest.raises(StoreError, match="wordllama") as failure:
        load_embedder("wordllama", tmp_path)
    assert "pktui[wordllama]" in failure.value.cure


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleSpec("wordllama", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(static, "find_spec", lambda _: package)
    with pytest.raises(StoreError, match="cannot be read"):
        load_embedder("wordllama", tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "l2_supercat_256.safetensors").write_bytes(b"other")
    with pytest.raises(StoreError, match="are not the ones pktui knows"):
        load_embedder("wordllama", tmp_path)


@pytest.mark.skipif(find_spec("wordllama") is None, reason="wordllama is not installed")
def test_the_packages_weights_find_what_is_meant(tmp_path: Path) -> None:
    model = load_embedder("wordllama", tmp_path)
    asked, near, far = model.embed(["a login fails", "cannot sign in to my account", "lunch menu"])
    assert model.dimension == 256
    assert asked @ near > asked @ far + 0.1
