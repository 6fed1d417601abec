"""The packaged model's layers recorded as one program.

For a text as short as a question, Python between the layers takes as long as the layers. Importing
this module imports torch.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    Forward = Callable[[dict[str, Any]], dict[str, Any]]

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_SAMPLE, _OTHER = "a question of some words", "another one, much longer than the first " * 8


def recorded(model: Any) -> Forward:
    """Return what does for one text what the model does, or the model where that cannot be had.

    `model` is a `SentenceTransformer` whose first part is a BERT. The program must give the very
    numbers of the model for a text of another length than the one it was recorded with.
    """
    try:
        forward = _recorded(model)
        same = torch.equal(_vector(forward, model, _OTHER), _vector(model, model, _OTHER))
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError):
        return model  # type: ignore[no-any-return]  # a module is called like a function
    return forward if same else model


def _recorded(model: Any) -> Forward:
    first, *rest = model
    sample = model.preprocess([_SAMPLE])
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values taken as constant, which `recorded` checks
        program = torch.jit.trace(
            _Layers(first.auto_model), tuple(sample[name] for name in _INPUTS), check_trace=False
        )

    def forward(features: dict[str, Any]) -> dict[str, Any]:
        with torch.jit.optimized_execution(False):  # else each new length costs time at first
            features["token_embeddings"] = program(*(features[name] for name in _INPUTS))
        for part in rest:
            features = part(features)
        return features

    return forward


class _Layers(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked
    def __init__(self, layers: torch.nn.Module) -> None:
        super().__init__()
        self._layers = layers
        self.eval()

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        return self._layers(input_ids=ids, attention_mask=mask, token_type_ids=types)[0]


def _vector(forward: Forward, model: Any, text: str) -> torch.Tensor:
    with torch.inference_mode():
        return forward(model.preprocess([text]))["sentence_embedding"]
