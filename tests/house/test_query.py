from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from pktui.query import Filter, Term, parse_query, parse_until, parse_when

KEYS = ("agent", "session", "since", "tool")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_words_phrases_filters_and_exclusions_are_told_apart() -> None:
    query = parse_query('login "exact phrase" -draft agent:claude -tool:"fs read"', KEYS)
    assert query.problems == ()
    assert query.terms == (
        Term("login", False, False, 0, 5),
        Term("exact phrase", True, False, 6, 20),
        Term("draft", False, True, 21, 27),
    )
    assert query.filters == (
        Filter("agent", "claude", False, 28, 40),
        Filter("tool", "fs read", True, 41, 56),
    )
    assert query.values("agent") == ("claude",)
    assert query.values("tool") == ()


@pytest.mark.parametrize("text", ["http://localhost:80/x", "10:31", "std::vector", "a-b", "x=1;"])
def test_colons_and_dashes_inside_a_word_belong_to_it(text: str) -> None:
    assert [term.text for term in parse_query(text, KEYS).terms] == [text]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('"never closed', "never closed"),
        ("agnet:claude", "did you mean agent:"),
        ("agent:", "needs a value"),
    ],
)
def test_a_slip_is_a_problem_with_its_place(text: str, why: str) -> None:
    (problem,) = parse_query(f"ok {text}", KEYS).problems
    assert why in problem.why
    assert (problem.start, problem.end) == (3, 3 + len(text))


@pytest.mark.parametrize("text", ["-", '""', '"', "- -", ":", "a:b:c", '-"', 'x"y"z', "\x00", "::"])
def test_any_text_parses_to_an_end(text: str) -> None:
    parse_query(text, KEYS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2h", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("7d", datetime(2026, 4, 24, 12, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T08:00+02:00", datetime(2026, 1, 31, 6, tzinfo=UTC)),
    ],
)
def test_times_are_dates_or_ages(value: str, expected: datetime) -> None:
    assert parse_when(value, NOW) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("30d", datetime(2026, 5, 31, 12, tzinfo=UTC)),
        ("90s", datetime(2026, 5, 1, 12, 1, 30, tzinfo=UTC)),
        ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
    ],
)
def test_ends_are_dates_or_spans(value: str, expected: datetime) -> None:
    assert parse_until(value, NOW) == expected


@pytest.mark.parametrize("read", [parse_when, parse_until])
@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "999999w", ""])
def test_what_is_no_time_says_what_is(
    read: Callable[[str, datetime], datetime], value: str
) -> None:
    with pytest.raises(ValueError, match=r"use 2026-01-31|too far away"):
        read(value, NOW)
