"""Linear layers in half precision: nearly the same numbers, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import pytest

from pktui.memory.embed.threads import half_the_processors

torch: Any = pytest.importorskip("torch")
halves: Any = pytest.importorskip("pktui.memory.embed.halves")

pytestmark = pytest.mark.skipif(
    not halves.halves_pay(), reason="the processor does not multiply halves"
)


@pytest.fixture
def model() -> Any:
    torch.manual_seed(7)
    torch.set_num_threads(half_the_processors())
    nn = torch.nn
    inner = nn.Sequential(nn.Linear(24, 32), nn.LayerNorm(32))
    return nn.Sequential(inner, nn.GELU(), nn.Linear(32, 16, bias=False)).eval()


@pytest.mark.parametrize("shape", [(1, 24), (11, 24), (2, 5, 24)])
def test_a_halved_model_answers_nearly_the_same(model: Any, shape: tuple[int, ...]) -> None:
    given = torch.randn(*shape)
    with torch.inference_mode():
        whole = model(given)
        halves.halve(model)
        half = model(given)
    assert half.dtype == torch.float32
    assert half.shape == whole.shape
    assert torch.allclose(half, whole, atol=2e-3)


def test_only_linear_layers_are_halved(model: Any) -> None:
    halves.halve(model)
    kinds = [type(part).__name__ for part in model.modules()]
    assert kinds.count("HalfLinear") == 2
    assert "Linear" not in kinds
    assert "LayerNorm" in kinds
