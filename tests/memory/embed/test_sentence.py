"""Other models than the packaged one: read from this machine, in single precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pktui.errors import StoreError
from pktui.memory.embed import load_embedder
from pktui.memory.embed.weights import packaged_directory

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.timeout(180)

SENTENCES = ["How did we deploy the token service?", "word " * 100, "a kitten"]


def test_weights_that_were_saved_in_half_precision_are_used_in_single(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    saved = SentenceTransformer(str(packaged_directory()), device="cpu")
    saved.bfloat16().save(str(tmp_path))
    other = load_embedder(str(tmp_path), tmp_path)
    among = other.embed([*SENTENCES, "word " * 300])
    for text, vector in zip(SENTENCES, among, strict=False):
        assert np.allclose(other.embed([text])[0], vector, atol=1e-5)


def test_a_name_that_is_not_on_this_machine_is_refused_without_a_download(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as failure:
        load_embedder("no-such-org/no-such-model", tmp_path)
    assert "the model no-such-org/no-such-model cannot be loaded" in failure.value.what
    assert "memory.model" in failure.value.cure
