from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as some

from pktui.query import (
    Filter,
    Term,
    as_words,
    parse_query,
    parse_until,
    parse_when,
    read_time,
    with_zones,
)

KEYS = ("agent", "session", "since", "tool")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_words_phrases_filters_and_exclusions_are_told_apart() -> None:
    query = parse_query('login "exact phrase" -"draft" agent:claude -tool:"fs read"', KEYS)
    assert query.terms == (
        Term("login", False, False, 0, 5),
        Term("exact phrase", True, False, 6, 20),
        Term("draft", True, True, 21, 29),
    )
    assert query.filters == (
        Filter("agent", "claude", False, 30, 42),
        Filter("tool", "fs read", True, 43, 58),
    )
    assert query.values("agent") == ("claude",)
    assert query.values("tool") == ()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "http://localhost:80/x",
            "10:31",
            "std::vector",
            "a-b",
            "x=1;",
            "--force",
            "-x",
            "-draft",
        ),
        *("--agent:claude", "agent:", "agent::new()", "agnet:claude", 'tool:"', 'tool:a"b"', '5"'),
        *('"open', '"a"b', '"a",', '-"', '""', "-", '-""', '{"agent":"x"}'),
    ],
)
def test_what_is_no_whole_operator_is_a_word_as_it_stands(text: str) -> None:
    query = parse_query(f"ok {text} ok", KEYS)
    assert [term.text for term in query.terms] == ["ok", text, "ok"]
    assert not query.filters
    assert not any(term.phrase or term.negated for term in query.terms)


@given(some.text(some.sampled_from('ab:-" \tagent'), max_size=40) | some.text(max_size=40))
def test_everything_typed_is_in_an_item_and_nothing_twice(text: str) -> None:
    query = parse_query(text, KEYS)
    places = sorted(
        [(term.start, term.end) for term in query.terms]
        + [(item.start, item.end) for item in query.filters]
    )
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
    covered = {at for start, end in places for at in range(start, end)}
    assert all(text[at].isspace() for at in range(len(text)) if at not in covered)


@given(some.lists(some.sampled_from(['"', "-", ":", " ", "agent", "tool:", "x"])).map("".join))
def test_words_alone_hold_no_operator(text: str) -> None:
    query = parse_query(as_words(text, KEYS), KEYS)
    assert not query.filters
    assert not any(term.phrase or term.negated for term in query.terms)


@pytest.mark.parametrize("text", ["-", '""', '"', "- -", ":", "a:b:c", '-"', 'x"y"z', "\x00", "::"])
def test_any_text_parses_to_an_end(text: str) -> None:
    parse_query(text, KEYS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2h", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("7d", datetime(2026, 4, 24, 12, tzinfo=UTC)),
        ("2026-01-31T00:00Z", datetime(2026, 1, 31, tzinfo=UTC)),
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
        ("2026-12-31T00:00Z", datetime(2026, 12, 31, tzinfo=UTC)),
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


@pytest.mark.parametrize(
    ("zone", "typed", "expected"),
    [
        ("Asia/Tokyo", "2026-02-02T08:00", datetime(2026, 2, 1, 23, tzinfo=UTC)),
        ("Asia/Tokyo", "2026-02-02 08:00", datetime(2026, 2, 1, 23, tzinfo=UTC)),
        ("Asia/Tokyo", "2026-02-02", datetime(2026, 2, 1, 15, tzinfo=UTC)),
        ("Asia/Tokyo", "2026-02-02T08:00Z", datetime(2026, 2, 2, 8, tzinfo=UTC)),
        ("America/New_York", "2026-02-02T08:00", datetime(2026, 2, 2, 13, tzinfo=UTC)),
        ("America/New_York", "2026-07-02", datetime(2026, 7, 2, 4, tzinfo=UTC)),
        ("America/New_York", "2026-11-01T01:30", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ("Asia/Kathmandu", "2026-02-02T08:00", datetime(2026, 2, 2, 2, 15, tzinfo=UTC)),
        ("UTC", "2026-02-02T08:00", datetime(2026, 2, 2, 8, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_local(
    in_zone: Callable[[str], None], zone: str, typed: str, expected: datetime
) -> None:
    in_zone(zone)
    assert parse_when(typed, NOW) == parse_until(typed, NOW) == expected


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Asia/Kathmandu", "UTC"])
@given(when=some.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=some.just(UTC)))  # noqa: DTZ001  hypothesis wants them so
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_time_that_is_shown_is_the_time_that_is_typed(
    in_zone: Callable[[str], None], zone: str, when: datetime
) -> None:
    in_zone(zone)
    when = when.replace(microsecond=0)
    assume(when.astimezone().fold == 0)
    assert read_time(when.astimezone().strftime("%Y-%m-%d %H:%M:%S")) == when
    assert read_time(when.astimezone().isoformat()) == when


def test_a_query_for_another_process_says_its_zone(in_zone: Callable[[str], None]) -> None:
    in_zone("Asia/Tokyo")
    typed = 'after:2026-02-02  a -before:"2026-02-03 08:00" since:7d agent:2026-02-02 after:x'
    assert with_zones(typed, KEYS) == typed
    assert with_zones(typed, (*KEYS, "after", "before")) == (
        "after:2026-02-02T00:00:00+09:00  a -before:2026-02-03T08:00:00+09:00"
        " since:7d agent:2026-02-02 after:x"
    )
    assert with_zones("after:2026-02-02T08:00Z", ("after",)) == "after:2026-02-02T08:00Z"
    assert with_zones("after:0001-01-01", ("after",)).startswith("after:0001-01-01")


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("value", ["0001-01-01", "9999-12-31T23:59"])
def test_a_time_at_the_end_of_the_calendar_is_read_or_too_far(
    in_zone: Callable[[str], None], zone: str, value: str
) -> None:
    in_zone(zone)
    with suppress(ValueError):
        assert parse_when(value, NOW).tzinfo is UTC
