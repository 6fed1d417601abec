"""The packaged model in onnxruntime: a quarter of a second to load, and no torch.

One thread a call, the caller's own, so that the background's arithmetic has the background's
priority. Single precision; importing this costs numpy, loading the model some 130 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pktui.errors import StoreError
from pktui.memory.embed.tokenizer import Tokens
from pktui.memory.embed.weights import DIMENSION, MOST_TOKENS, PACKAGED, packaged_directory
from pktui.memory.onnx_runtime import load_onnxruntime
from pktui.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pktui.memory.embed.protocol import Passage, Vectors

# Small batches are quicker: less is padded to the length of the longest text.
_BATCH_TEXTS = 8


def packaged_tokens() -> Tokens:
    """Return the packaged model's tokenizer."""
    return Tokens(packaged_directory() / "tokenizer.json", "Install pktui again")


class OnnxModel:
    """The exported model in memory. Usable from several threads."""

    name = PACKAGED
    dimension = DIMENSION

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        onnxruntime = load_onnxruntime()

        self._tokens = packaged_tokens()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep what the largest batch took
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the library raises nothing narrower
            raise StoreError(
                f"the model {path} cannot be loaded: {one_line(str(error))}",
                f"Remove {path}: it is made anew",
            ) from error

    def passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
        """Cut each text that is longer than a passage into overlapping parts."""
        return self._tokens.passages(texts)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 for each text; texts of like length share a batch."""
        ids = [
            one if len(one) <= MOST_TOKENS else [*one[: MOST_TOKENS - 1], one[-1]]
            for one in self._tokens.ids(texts, marks=True)
        ]
        order = sorted(range(len(texts)), key=lambda row: len(ids[row]))
        vectors = np.zeros((len(texts), DIMENSION), np.float32)
        for first in range(0, len(order), _BATCH_TEXTS):
            rows = order[first : first + _BATCH_TEXTS]
            vectors[rows] = self._batch([ids[row] for row in rows])
        return vectors

    def _batch(self, ids: Sequence[list[int]]) -> Vectors:
        width = max(len(one) for one in ids)
        tokens = np.zeros((len(ids), width), np.int64)
        mask = np.zeros_like(tokens)
        for row, one in enumerate(ids):
            tokens[row, : len(one)] = one
            mask[row, : len(one)] = 1
        given = {"input_ids": tokens, "attention_mask": mask}
        given["token_type_ids"] = np.zeros_like(tokens)
        try:
            (layers,) = self._session.run(None, given)
        except Exception as error:  # the library raises nothing narrower
            raise StoreError(
                f"the model {PACKAGED} failed: {one_line(str(error))}", "Restart the memory"
            ) from error
        sums = np.einsum("rtd,rt->rd", layers, mask.astype(np.float32))
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)  # that of the mean is a factor off
        return np.asarray(sums / np.maximum(lengths, 1e-12), np.float32)
