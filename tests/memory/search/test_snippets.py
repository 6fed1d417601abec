"""The part of a text that shows why it was found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktui.memory.embed import Passage
from pktui.memory.search.bm25 import query_terms
from pktui.memory.search.snippets import LENGTH, MOST_MATCHES, Wanted, snippet

FILLER = "nothing to see here " * 40


def shown(text: str, query: str, passage: Passage | None = None) -> tuple[str, list[str]]:
    part, marks = snippet(text, Wanted(query_terms(query.split())), [query], passage)
    return part, [part[mark.start : mark.end] for mark in marks]


def test_a_short_text_is_shown_whole() -> None:
    assert shown("a retry deadlocks", "deadlock") == ("a retry deadlocks", ["deadlocks"])


def test_the_part_with_the_most_words_is_shown() -> None:
    text = f"a retry {FILLER} the retry has a deadlock {FILLER} a deadlock"
    part, marks = shown(text, "retry deadlock")
    assert marks == ["retry", "deadlock"]
    assert part.startswith("…")
    assert part.endswith("…")


def test_the_passage_decides_where_the_meaning_lies() -> None:
    text = f"a deadlock {FILLER} the machine stood still {FILLER}"
    start = text.index("the machine")
    part, marks = shown(text, "deadlock", Passage(start, start + 200))
    assert "the machine stood still" in part
    assert marks == []


def test_a_text_of_nothing_but_matches_is_not_read_to_its_end() -> None:
    text = "deadlock " * 3 * MOST_MATCHES
    part, marks = shown(text, "deadlock")
    assert text.startswith(part.rstrip("…"))
    assert set(marks) == {"deadlock"}
    far = Passage(len(text) - 90, len(text))
    part, marks = shown(text, "deadlock", far)
    assert part.startswith("…")
    assert set(marks) == {"deadlock"}


def test_a_phrase_is_marked_as_one() -> None:
    assert shown("it is: foo.bar(x) now", "foo.bar(")[1] == ["foo.bar("]


@given(
    text=st.text(max_size=600),
    query=st.text(min_size=1, max_size=12),
    start=st.integers(0, 600),
)
def test_marks_lie_within_the_snippet_and_do_not_overlap(text: str, query: str, start: int) -> None:
    passage = Passage(min(start, len(text)), len(text))
    part, marks = snippet(text, Wanted(query_terms([query])), [query], passage)
    assert len(part) <= LENGTH + 2
    ends = [0]
    for mark in marks:
        assert ends[-1] <= mark.start < mark.end <= len(part)
        ends.append(mark.end)


@pytest.mark.parametrize("text", ["", "x" * 5000])
def test_a_text_without_spaces_is_cut_all_the_same(text: str) -> None:
    assert len(shown(text, "y")[0]) <= LENGTH + 2
