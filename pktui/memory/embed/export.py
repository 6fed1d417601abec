"""Exporting the packaged model for onnxruntime, once. Importing this imports torch."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch

from pktui import files
from pktui.errors import StoreError
from pktui.memory.embed.onnx_model import OnnxModel
from pktui.memory.embed.weights import (
    MODEL,
    NUMBERS,
    digest_of,
    exported_file,
    exported_name,
)

if TYPE_CHECKING:
    from pktui.memory.embed.sentence import SentenceEmbedder

# What each text's two vectors must have, that of the export and that of the model.
LEAST_COSINE = 0.9999
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OPSET = 17
_DRAFT = ".export-"
# What somebody else's export may take.
_PATIENCE_S = 120.0
_SAMPLES = (
    "",
    "a kitten",
    "How did we deploy the token service?",
    "Wir haben die Rechnungen ins neue Programm übernommen; 会議は明日です。 🙂",
    "def rotate(token: str, *, keep: int = 3) -> None:\n    return None",
    *("many words of a longer message " * count for count in (3, 9, 20, 60)),
)


def export(model: SentenceEmbedder, directory: Path) -> Path:
    """Return the exported model in the directory, made and checked where there is none yet.

    Raises `StoreError` where it cannot be made, or does not give the vectors of the model.
    """
    files.make_private_directory(directory)
    guard = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not files.lock(guard, seconds=_PATIENCE_S):
            raise StoreError(f"another process exports to {directory}", "Wait for it to end")
        for left in directory.glob(f"{_DRAFT}*"):
            shutil.rmtree(left, ignore_errors=True)
        return exported_file(directory) or _exported(model, directory)
    except OSError as error:
        raise StoreError(
            f"the model cannot be exported to {directory}: {error.strerror or error}",
            "Free some space there, and make it writable",
        ) from error
    finally:
        os.close(guard)


def _exported(model: SentenceEmbedder, directory: Path) -> Path:
    room = Path(mkdtemp(prefix=_DRAFT, dir=directory))
    try:
        draft = room / "draft"
        draft.mkdir(mode=files.PRIVATE_DIRECTORY)
        _write(model, room / "whole.onnx")
        _part(room / "whole.onnx", draft)
        _check(model, OnnxModel(draft / MODEL))
        for file in (draft / MODEL, draft / NUMBERS):
            file.chmod(files.PRIVATE_FILE)
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        return draft.replace(directory / exported_name(digest_of(draft))) / MODEL
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _write(model: SentenceEmbedder, path: Path) -> None:
    sample = model.features(list(_SAMPLES[1:3]))
    axes = {0: "texts", 1: "tokens"}
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values taken as constant, which the check finds
            torch.onnx.export(
                _Layers(model.layers),
                tuple(sample[name] for name in _INPUTS),
                str(path),
                input_names=list(_INPUTS),
                output_names=["layers"],
                dynamic_axes=dict.fromkeys((*_INPUTS, "layers"), axes),
                opset_version=_OPSET,
                dynamo=False,
            )
    except Exception as error:  # an exporter may meet anything
        raise StoreError(
            f"torch {torch.__version__} cannot export the model: {error}",
            "It is run by sentence-transformers instead",
        ) from error


def _part(whole: Path, folder: Path) -> None:
    """Write the model with its numbers beside it, where they are mapped and not read."""
    onnx.save(
        onnx.load(whole),
        folder / MODEL,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=NUMBERS,
    )


def _check(model: SentenceEmbedder, exported: OnnxModel) -> None:
    wanted, made = model.embed(_SAMPLES), exported.embed(_SAMPLES)
    alone = np.concatenate([exported.embed([text]) for text in _SAMPLES])
    least = float(np.minimum((wanted * made).sum(axis=1), (wanted * alone).sum(axis=1)).min())
    if not least >= LEAST_COSINE or model.passages(_SAMPLES) != exported.passages(_SAMPLES):
        raise StoreError(
            f"the exported model is not the model: a cosine is {least:.5f}",
            "It is run by sentence-transformers instead",
        )


class _Layers(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked
    def __init__(self, layers: Any) -> None:
        super().__init__()
        self._layers = layers
        self.eval()

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        return self._layers(input_ids=ids, attention_mask=mask, token_type_ids=types)[0]
