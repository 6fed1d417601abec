"""The embedding model: what the store asks of one, and the real ones, loaded late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.memory.embed.protocol import Embedder, Passage, Vectors
from pktui.memory.embed.weights import PACKAGED, checked_directory

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Embedder", "Passage", "Vectors", "load_embedder", "model_place"]


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


def model_place(model: str) -> Path:
    """Return the directory that `load_embedder` would read the model's weights from.

    Loads no model. Raises `StoreError` where the weights are missing, or are not the known ones.
    """
    if model in ("", PACKAGED):
        return checked_directory()
    if model == "wordllama":
        from pktui.memory.embed.static import static_directory

        return static_directory()
    from pktui.memory.embed.sentence import model_directory

    return model_directory(model)
