"""Times that a question mentions: what was said near them is likelier to be meant.

    today, yesterday, 3 days ago, two weeks ago, last Friday, last week, last month, last year
    2026-05-08, 8.5.2026, 5/8/2026 (8 May or 5 August), 8 May 2026, May 8, 8th of May, Dec 29
    first week of May 2026, May 2026, in May
    spring 2026, 2026

Days are those of the local zone. A day counts fully, a longer span less. What lies outside counts
by its distance: half as much at a day from a day, later from a longer span. Without a year every
year's day or month is meant.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt

from pktui.times import microseconds

_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_NUMBERS = {
    word: number
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), 1
    )
} | {"a": 1, "an": 1, "a couple of": 2, "a few": 3}
_PLACES = {"first": 0, "second": 1, "third": 2, "fourth": 3, "last": -1}

_FULL = "|".join(_MONTHS)
_MONTH = "|".join([*_MONTHS, "sept", *(name[:3] for name in _MONTHS)])
_DAY_NUMBER = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR_AFTER = r"(?:,? (\d{4})\b)?"
_DAY_FIRST = re.compile(rf"\b{_DAY_NUMBER}(?: of)? ({_MONTH})\b\.?{_YEAR_AFTER}")
_MONTH_FIRST = re.compile(rf"\b({_MONTH})\b\.? {_DAY_NUMBER}\b{_YEAR_AFTER}")
_MONTH_ALONE = re.compile(
    rf"(?:\b(?:in|of|by|until|since|during|before|after|early|mid|late|this|last) )({_FULL})\b"
    rf"|\b({_MONTH})\.?,? (?=\d{{4}}\b)|\b((?!may|march)(?:{_FULL}))\b"
)
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
_ISO = re.compile(r"\b(\d{4})[-/](\d\d)[-/](\d\d)\b")
_DOTTED = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})\.(\d{4})\b(?!\.\d)")
_SLASHED = re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})/(\d{4})\b(?!/)")
_WEEK_OF = re.compile(
    rf"\b(first|second|third|fourth|last) week of (?:({_MONTH})\b\.?)? ?(\d{{4}})?\b"
)
_SEASON = re.compile(rf"\b({'|'.join(_SEASONS)})(?: of|,)? (\d{{4}})\b")
_AGO = re.compile(rf"\b(\d{{1,3}}|{'|'.join(_NUMBERS)}) (day|week|month|year)s? ago\b")
_LAST_DAY = re.compile(rf"\b(?:last|this|on) ({'|'.join(_WEEKDAYS)})\b")

_DAY, _WEEK, _A_MONTH, _SEASON_LONG, _A_YEAR = 1.0, 0.8, 0.6, 0.4, 0.1
_EARLIEST_YEAR = 2000
_US_A_DAY = 86_400_000_000
# At so many days outside a span of a day, a week, … its weight is halved: a part of its length.
_REACH = 0.25
_LEAST_REACH_DAYS = 1.0


@dataclass(frozen=True, slots=True)
class Span:
    """Times from `start_us` to before `end_us`, microseconds since the epoch, and their weight."""

    start_us: int
    end_us: int
    weight: float

    def nearness(self, times: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the weight of each time: its own within the span, halved with distance."""
        outside = np.maximum(self.start_us - times, times - (self.end_us - 1))
        reach = max(_LEAST_REACH_DAYS * _US_A_DAY, _REACH * (self.end_us - self.start_us))
        halvings = np.maximum(outside, 0).astype(np.float32) / np.float32(reach)
        return np.asarray(self.weight * np.exp2(-halvings), np.float32)


def mentioned(text: str, now: datetime) -> tuple[Span, ...]:
    """Return the times that the text mentions; where they overlap the highest weight counts."""
    plain = text.lower()
    here = now.astimezone().date()
    spans = [*_relative(plain, here), *_days(plain, here)]
    spans = spans or [*_weeks(plain, here), *_seasons(plain)] or _months(plain, here)
    if not spans:
        years = (int(year) for year in _YEAR.findall(plain))
        spans = [_span(date(year, 1, 1), 365, _A_YEAR) for year in years]
    return tuple(spans)


def _relative(text: str, today: date) -> list[Span]:
    spans: list[Span] = []
    if re.search(r"\btoday\b", text):
        spans.append(_span(today, 1, _DAY))
    if re.search(r"\byesterday\b", text):
        spans.append(_span(today - timedelta(days=1), 1, _DAY))
    for name in _LAST_DAY.findall(text):
        back = (today.weekday() - _WEEKDAYS.index(name)) % 7 or 7
        spans.append(_span(today - timedelta(days=back), 1, _DAY))
    for count, unit in _AGO.findall(text):
        number = _NUMBERS.get(count) or int(count)
        spans.append(_ago(today, number, unit))
    if re.search(r"\blast week\b", text) and not _WEEK_OF.search(text):
        spans.append(_span(today - timedelta(days=7 + today.weekday()), 7, _WEEK))
    if re.search(r"\blast month\b", text):
        first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
        spans.append(_month(first.year, first.month))
    if re.search(r"\blast year\b", text):
        spans.append(_span(date(today.year - 1, 1, 1), 365, _A_YEAR))
    return spans


def _ago(today: date, number: int, unit: str) -> Span:
    """Return the day that is meant, wider the vaguer the unit is."""
    days, width, weight = {
        "day": (1, 1, _DAY),
        "week": (7, 7, _WEEK),
        "month": (30, 31, _A_MONTH),
        "year": (365, 365, _A_YEAR),
    }[unit]
    return _span(today - timedelta(days=number * days + width // 2), width, weight)


def _days(text: str, today: date) -> list[Span]:
    found = [(int(d), _month_number(m), y) for d, m, y in _DAY_FIRST.findall(text)]
    found += [(int(d), _month_number(m), y) for m, d, y in _MONTH_FIRST.findall(text)]
    found += [(int(d), int(m), y) for y, m, d in _ISO.findall(text)]
    found += [(int(d), int(m), y) for d, m, y in _DOTTED.findall(text)]
    for one, other, y in _SLASHED.findall(text):  # which is the day depends on the country
        found += [(int(one), int(other), y), (int(other), int(one), y)]
    return [
        _span(date(year, month, day), 1, _DAY)
        for day, month, written in found
        for year in _years(text, written, today)
        if 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]
    ]


def _weeks(text: str, today: date) -> list[Span]:
    """Return the weeks of a month, or of a year where no month is named."""
    spans = []
    for place, name, written in _WEEK_OF.findall(text):
        month = _month_number(name) if name else 1
        for year in _years(text, written, today) if name or written else ():
            days = monthrange(year, month)[1] if name else 365
            first = days - 7 if _PLACES[place] < 0 else 7 * _PLACES[place]
            spans.append(_span(date(year, month, 1) + timedelta(days=first), 7, _WEEK))
    return spans


def _seasons(text: str) -> list[Span]:
    """Return the northern seasons; a winter begins in the year that is named."""
    return [
        _span(date(int(year), _SEASONS[name], 1), 91, _SEASON_LONG)
        for name, year in _SEASON.findall(text)
        if 1 <= int(year) <= 9998
    ]


def _months(text: str, today: date) -> list[Span]:
    names = [name for match in _MONTH_ALONE.findall(text) for name in match if name]
    return [_month(year, _month_number(name)) for name in names for year in _years(text, "", today)]


def _month_number(name: str) -> int:
    """Return the month of a name or its beginning, from 1."""
    return next(at for at, full in enumerate(_MONTHS, 1) if full.startswith(name[:3]))


def _years(text: str, written: str, today: date) -> list[int]:
    """Return the year beside the date, else those in the text, else all there can be."""
    years = [int(written)] if written else [int(year) for year in _YEAR.findall(text)]
    return [y for y in years if 1 <= y <= 9998] or list(range(_EARLIEST_YEAR, today.year + 1))


def _month(year: int, month: int) -> Span:
    return _span(date(year, month, 1), monthrange(year, month)[1], _A_MONTH)


def _span(start: date, days: int, weight: float) -> Span:
    """Return a span of whole days; `start` is in the local zone."""
    return Span(_local(start), _local(start + timedelta(days=days)), weight)


def _local(day: date) -> int:
    """Return when the day begins here."""
    midnight = datetime.combine(day, time())
    try:
        return microseconds(midnight.astimezone(UTC))
    except (OverflowError, ValueError, OSError):  # too far for the system's calendar of zones
        return microseconds(midnight.replace(tzinfo=UTC))
