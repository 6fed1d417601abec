"""A model without layers: a text's vector is the mean of its tokens' vectors.

The weights are those of the package `wordllama`, which is not imported. A hundred times as fast as
the packaged model and a tenth of its memory; what it finds by meaning is less (CONTRIBUTING.md has
both figures).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pktui.errors import StoreError
from pktui.memory.embed.tokenizer import Tokens
from pktui.memory.embed.weights import sha256
from pktui.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.memory.embed.protocol import Passage, Vectors

# What `memory.model` says to have it.
STATIC = "wordllama"
_WEIGHTS = Path("weights", "l2_supercat_256.safetensors")
_TOKENIZER = Path("tokenizers", "l2_supercat_tokenizer_config.json")
_SHA256 = "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
_CURE = 'Install it with pip install "pktui[wordllama]", or leave memory.model out of settings.toml'


def load_static_model() -> StaticModel:
    """Load the model; raises `StoreError` where its package is missing or holds other weights."""
    directory = static_directory()
    return StaticModel(directory / _WEIGHTS, directory / _TOKENIZER)


def static_directory() -> Path:
    """Return the package's directory once its weights proved to be the known ones.

    Raises `StoreError` where it is missing or holds others.
    """
    package = find_spec(STATIC)
    if package is None or not package.submodule_search_locations:
        raise StoreError(f"the package {STATIC} with the model's weights is missing", _CURE)
    directory = Path(package.submodule_search_locations[0])
    weights = directory / _WEIGHTS
    try:
        digest = sha256(weights)
    except OSError as error:
        raise StoreError(
            f"the model's weights {weights} cannot be read: {error.strerror or error}", _CURE
        ) from error
    if digest != _SHA256:
        raise StoreError(
            f"the model's weights {weights} are not the ones pktui knows (SHA-256 {digest[:12]}…)",
            _CURE,
        )
    return directory


class StaticModel:
    """The vectors of all tokens, in memory. Usable from several threads."""

    name = STATIC

    def __init__(self, weights: Path, tokenizer: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        self._tokens = Tokens(tokenizer, _CURE)
        try:
            (self._vectors,) = load_file(weights).values()  # one row a token, in half precision
        except (OSError, ValueError, SafetensorError) as error:
            raise StoreError(
                f"the model's weights {weights} cannot be read: {one_line(str(error))}", _CURE
            ) from error
        self.dimension = int(self._vectors.shape[1])

    def passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
        """Cut each text that is longer than a passage into overlapping parts."""
        return self._tokens.passages(texts)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 for each text, of zeros where it has no token."""
        sums = np.zeros((len(texts), self.dimension), np.float32)
        for row, ids in enumerate(self._tokens.ids(texts, marks=False)):
            sums[row] = self._vectors[ids].sum(axis=0, dtype=np.float32)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)  # that of the mean is a factor off
        return np.asarray(sums / np.maximum(lengths, 1e-12), np.float32)
