from __future__ import annotations

import time

import pytest

from pktui.tui.moments import SECOND, age, clock_time, countdown, day_time, duration, span_words


@pytest.mark.parametrize(
    ("left", "shown"),
    [
        (-5, "0:00"),
        (0, "0:00"),
        (1, "0:01"),
        (42_000_000, "0:42"),
        (725_000_000, "12:05"),
        (3_723_000_000, "1:02:03"),
    ],
)
def test_a_countdown_counts_begun_seconds(left: int, shown: str) -> None:
    assert countdown(left) == shown


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (870, "870 µs"),
        (12_400, "12 ms"),
        (3_400_000, "3.4 s"),
        (125_000_000, "2:05"),
    ],
)
def test_a_duration_has_its_unit(span: int, shown: str) -> None:
    assert duration(span) == shown


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (-3, "now"),
        (999_999, "now"),
        (42_000_000, "42 s"),
        (200_000_000, "3 min"),
        (18_100_000_000, "5 h"),
        (200_000_000_000, "2 d"),
    ],
)
def test_an_age_is_one_number(span: int, shown: str) -> None:
    assert age(span) == shown


def test_times_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert clock_time(0) == "05:30:00"
        assert day_time(86_400_000_000) == "1970-01-02 05:30:00"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_span_is_said_in_its_two_largest_units() -> None:
    said = [span_words(seconds * SECOND) for seconds in (0, 42, 120, 4_320, 3_605, 273_600)]
    assert said == ["0 s", "42 s", "2 min", "1 h 12 min", "1 h", "3 d 4 h"]
