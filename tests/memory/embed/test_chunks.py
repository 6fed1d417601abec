"""Long texts are cut so that every part fits the model and nothing is left out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktui.memory.embed.chunks import MOST_PASSAGES, cut_by_characters, cut_by_tokens


@given(tokens=st.integers(0, 2000), limit=st.integers(5, 300))
def test_parts_fit_cover_everything_and_overlap(tokens: int, limit: int) -> None:
    offsets = [(3 * number, 3 * number + 2) for number in range(tokens)]
    parts = cut_by_tokens(offsets, 3 * tokens, limit)
    if tokens <= limit:
        assert [(part.start, part.end) for part in parts] == [(0, 3 * tokens)]
        return
    assert all(part.end - part.start <= 3 * limit for part in parts)
    assert all(after.start < before.end for before, after in pairwise(parts))
    assert parts[0].start == 0
    if len(parts) < MOST_PASSAGES:
        assert parts[-1].end == offsets[-1][1]


@pytest.mark.parametrize("length", [0, 9, 10, 11, 95])
def test_characters_are_cut_where_a_model_tells_no_tokens(length: int) -> None:
    parts = cut_by_characters("x" * length, 10)
    assert (parts[0].start, parts[-1].end) == (0, length)
    assert all(part.end - part.start <= 10 for part in parts)


def test_a_log_of_megabytes_is_cut_short() -> None:
    assert len(cut_by_characters("x" * 1_000_000, 100)) == MOST_PASSAGES
