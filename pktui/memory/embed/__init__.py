"""The embedding model: what the store asks of one, and the real ones, loaded late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.memory.embed.protocol import Embedder, Passage, Vectors
from pktui.memory.embed.weights import PACKAGED

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Embedder", "Passage", "Vectors", "load_embedder"]


def load_embedder(model: str, directory: Path) -> Embedder:
    """Load a model: the packaged one (""), "wordllama", a directory, or a name in the local cache.

    The packaged one is exported to `directory` once. Nothing is downloaded. Raises `StoreError`
    where the model is missing, damaged or unusable.
    """
    if model in ("", PACKAGED):
        from pktui.memory.embed.packaged import PackagedModel

        return PackagedModel(directory)
    if model == "wordllama":
        from pktui.memory.embed.static import load_static_model

        return load_static_model()
    from pktui.memory.embed.sentence import load_sentence_model

    return load_sentence_model(model)
