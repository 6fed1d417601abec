"""A sentence-transformers model, read from this machine only.

Everything is done in single precision: a text has the same vector (to 1e-5) alone and among others,
and on every processor, so that what one machine keeps another one finds. Half precision is no
quicker for batches, and its sums depend on the processor and on what else is in the batch.

Importing this module is cheap; loading the model takes seconds and some 400 MB.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pktui.errors import StoreError
from pktui.memory.embed.chunks import PASSAGE_TOKENS, cut_by_characters, cut_by_tokens
from pktui.memory.embed.threads import half_the_processors
from pktui.memory.embed.weights import PACKAGED, checked_directory
from pktui.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.memory.embed.protocol import Passage, Vectors

# On a processor small batches are quicker: less is padded to the length of the longest text.
_BATCH_TEXTS, _BATCH_TEXTS_CPU = 64, 8
_CURE = "Set memory.model in settings.toml to a model's directory, or leave it out"


def load_sentence_model(model: str = "") -> SentenceEmbedder:
    """Load a model: the packaged one, a directory, or a name that is in the local cache.

    Nothing is downloaded. Raises `StoreError` where the model is missing, damaged or unusable.
    """
    name = model or PACKAGED
    source = str(checked_directory()) if name == PACKAGED else model
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    # Threads that spin while they wait for each other starve everything else on a small machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Else the environment, or a build for a processor that has it, may ask for bfloat16 inside.
    os.environ["ONEDNN_DEFAULT_FPMATH_MODE"] = "STRICT"
    try:
        return SentenceEmbedder(name, _load(source))
    except (OSError, RuntimeError, ValueError, ImportError, KeyError) as error:
        raise StoreError(
            f"the model {one_line(name, 80)} cannot be loaded: {one_line(str(error))}", _CURE
        ) from error


def model_directory(model: str) -> Path:
    """Return where a model lies: its own directory, or that of its name in the local cache.

    Nothing of it is loaded. Raises `StoreError` where it is in neither.
    """
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    for name in (model, f"sentence-transformers/{model}"):
        with suppress(OSError, ValueError):  # not there, and no name of a model
            return Path(snapshot_download(name, local_files_only=True))
    named = one_line(model, 80)
    raise StoreError(f"the model {named} is no directory, nor in the local cache", _CURE)


class SentenceEmbedder:
    """A loaded sentence-transformers model."""

    def __init__(self, name: str, model: Any) -> None:
        self._name = name
        self._model = model
        self._dimension = int(model.get_embedding_dimension())
        self._batch_texts = _BATCH_TEXTS_CPU if model.device.type == "cpu" else _BATCH_TEXTS
        self._tokens = min(PASSAGE_TOKENS, int(model.max_seq_length or PASSAGE_TOKENS) - 2)

    @property
    def name(self) -> str:
        """The name it was loaded by."""
        return self._name

    @property
    def dimension(self) -> int:
        """The number of numbers in a vector."""
        return self._dimension

    @property
    def layers(self) -> Any:
        """The transformer alone, a torch module."""
        return self._model[0].auto_model

    def features(self, texts: Sequence[str]) -> dict[str, Any]:
        """Return what the transformer is given for the texts."""
        return self._model.preprocess(list(texts))  # type: ignore[no-any-return]

    def passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
        """Cut each text that is longer than a passage into overlapping parts."""
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            return [cut_by_characters(text, 3 * self._tokens) for text in texts]
        encoded = tokenizer(
            list(texts),
            add_special_tokens=False,
            truncation=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        return [
            cut_by_tokens(offsets, len(text), self._tokens)
            for text, offsets in zip(texts, encoded["offset_mapping"], strict=True)
        ]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 for each text; texts of like length share a batch."""
        import numpy as np
        import torch

        torch.set_num_threads(half_the_processors())
        try:
            vectors = self._model.encode(
                list(texts),
                batch_size=self._batch_texts,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        except (RuntimeError, ValueError) as error:
            raise StoreError(
                f"the model {self._name} failed: {one_line(str(error))}", "Restart the memory"
            ) from error
        return np.asarray(vectors, np.float32).reshape(len(texts), self._dimension)


def _load(source: str) -> Any:
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(half_the_processors())
    torch.set_float32_matmul_precision("highest")
    model = SentenceTransformer(source, device=_device(torch), local_files_only=True)
    return model.eval().float()


def _device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
