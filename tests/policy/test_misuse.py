from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pktui.policy.misuse import misuse

if TYPE_CHECKING:
    from pktui.policy.risk import Category


def tool(*inputs: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {name: {} for name in inputs}}
    return {"name": "x", "inputSchema": schema}


@pytest.mark.parametrize(
    ("category", "inputs", "reach", "abuse"),
    [
        ("Read", ("url",), "Every address", "carries your data away"),
        ("Read", ("filePath",), "Every file", "out of the project"),
        ("Write", ("content", "to"), "People and places", "to others"),
        ("Execute", ("command", "cwd"), "network, other programs", "second command"),
        ("Read", ("sql",), "Every table", "looks like a question"),
        ("Destructive", ("path",), "Every file", "no undo"),
        ("Financial", ("amount",), "The money", "small sums"),
        ("Write", (), "All that its server can change", "rely on later"),
    ],
)
def test_category_and_inputs_say_what_a_misuse_reaches_and_how(
    category: Category, inputs: tuple[str, ...], reach: str, abuse: str
) -> None:
    said = misuse(tool(*inputs), category)
    assert reach in said.reach
    assert abuse in said.abuse


def test_a_schema_that_is_no_schema_counts_as_none() -> None:
    assert misuse({"name": 3, "inputSchema": ["url"]}, "Read").reach.startswith("All that")
