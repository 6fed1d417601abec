"""The known word that somebody may have meant."""

from __future__ import annotations

import pytest

from pktui.suggest import did_you_mean, nearest

KNOWN = ("sessionId", "activeOnly", "query")


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("session_id", "sessionId"),
        ("ACTIVE-ONLY", "activeOnly"),
        ("qurey", "query"),
        ("limit", ""),
        ("", ""),
    ],
)
def test_the_nearest_word_is_found_whatever_its_case_and_dashes(word: str, near: str) -> None:
    assert nearest(word, KNOWN) == near


def test_a_word_that_is_less_like_than_the_cutoff_is_not_offered() -> None:
    assert nearest("quart", KNOWN, cutoff=0.6) == "query"
    assert nearest("quart", KNOWN, cutoff=0.8) == ""


def test_the_nearest_word_is_offered_or_else_all_are_named() -> None:
    assert did_you_mean("querry", iter(KNOWN)) == "Did you mean query?"
    assert did_you_mean("querry", KNOWN, '"{}"') == 'Did you mean "query"?'
    assert did_you_mean("x{}", KNOWN) == "Known here: sessionId, activeOnly, query"
    assert did_you_mean("x", (), none="There are: {}.") == "There are: ."
