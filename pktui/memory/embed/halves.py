"""The weights of a model's linear layers in half precision: half as much to read for a short text.

Inputs, sums and results stay in single precision, so that the vectors hardly differ: cosine above
0.999999 for the packaged model. Importing this module imports torch.
"""

from __future__ import annotations

import torch

_ENGINES = ("x86", "fbgemm")
"""Of torch's engines those that multiply by weights in half precision."""


def halves_pay() -> bool:
    """Tell whether this processor turns half into single precision while it multiplies."""
    knows = torch.cpu.get_capabilities()
    return bool(knows.get("avx2") and knows.get("f16c")) and (
        torch.backends.quantized.engine in _ENGINES
    )


def halve(model: torch.nn.Module) -> None:
    """Put the linear layers within a model on the processor into half precision."""
    for module in list(model.modules()):
        for name, part in list(module.named_children()):
            if type(part) is torch.nn.Linear:
                setattr(module, name, HalfLinear(part))


class HalfLinear(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked
    """A linear layer that keeps its weights in half precision, ordered for the processor."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self._packed = torch.ops.quantized.linear_prepack_fp16(layer.weight, layer.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return what the layer makes of its input, both in single precision."""
        return torch.ops.quantized.linear_dynamic_fp16(features, self._packed)
