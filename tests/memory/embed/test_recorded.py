"""Where a model cannot be recorded, or its record says something else, the model itself is used."""

from __future__ import annotations

from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")
recorded: Any = pytest.importorskip("pktui.memory.embed.recorded")

pytestmark = pytest.mark.timeout(180)


class Layers(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked
    """One number for each token, from `rule`."""

    def __init__(self, rule: Any) -> None:
        super().__init__()
        self._rule = rule

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> tuple[Any]:
        return (self._rule(input_ids) * attention_mask + token_type_ids,)


class Embedding(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked
    """The first part of a model: tokens are the letters of a text."""

    def __init__(self, rule: Any) -> None:
        super().__init__()
        self.auto_model = Layers(rule)

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        names = ("input_ids", "attention_mask", "token_type_ids")
        features["token_embeddings"] = self.auto_model(*(features[name] for name in names))[0]
        return features


class Mean(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked
    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        return {**features, "sentence_embedding": features["token_embeddings"].mean(dim=1)}


class Model(torch.nn.Sequential):  # type: ignore[misc]  # torch is not type-checked
    def preprocess(self, texts: list[str]) -> dict[str, Any]:
        ids = torch.tensor([[float(ord(letter)) for letter in text] for text in texts])
        ones = torch.ones_like(ids)
        return {"input_ids": ids, "attention_mask": ones, "token_type_ids": 0 * ones}


def model(rule: Any) -> Any:
    return Model(Embedding(rule), Mean()).eval()


def test_a_record_says_what_the_model_says() -> None:
    made = model(lambda ids: torch.sin(ids) * ids.shape[1])
    forward = recorded.recorded(made)
    assert forward is not made
    for text in ("a", "some words", "many " * 50):
        with torch.inference_mode():
            wanted = made(made.preprocess([text]))["sentence_embedding"]
            assert torch.equal(forward(made.preprocess([text]))["sentence_embedding"], wanted)


def test_a_record_that_holds_for_one_length_only_is_not_used() -> None:
    made = model(lambda ids: ids * 2 if ids.shape[1] < 50 else ids * 3)
    assert recorded.recorded(made) is made


def test_a_model_with_other_inputs_is_not_recorded() -> None:
    made = model(lambda ids: ids)
    made.preprocess = lambda texts: {"input_ids": Model.preprocess(made, texts)["input_ids"]}
    assert recorded.recorded(made) is made
