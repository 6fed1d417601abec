"""Times that a question mentions: what was said then is likelier to be meant.

    today, yesterday, last week, last month
    2026-05-08, 8 May 2026, May 8, 8th of May, May 2026, in May, 2026

A day counts fully, the days beside it half (time zones, "the day before"), a month less, a year
least. Without a year every year's day or month is meant.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pktui.memory.times import microseconds

_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH = "|".join(_MONTHS)
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})\b(?:,? (\d{{4}})\b)?")
_MONTH_FIRST = re.compile(rf"\b({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (\d{{4}})\b)?")
_MONTH_ALONE = re.compile(
    rf"(?:\b(?:in|of|by|until|since|during|before|after|early|mid|late|this|last) )({_MONTH})\b"
    rf"|\b({_MONTH}),? (?=\d{{4}}\b)|\b((?!may|march)(?:{_MONTH}))\b"
)
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
_ISO = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_DAY, _BESIDE, _A_MONTH, _A_YEAR = 1.0, 0.5, 0.6, 0.1
_EARLIEST_YEAR = 2000


@dataclass(frozen=True, slots=True)
class Span:
    """Times from `start_us` to before `end_us`, microseconds since the epoch, and their weight."""

    start_us: int
    end_us: int
    weight: float


def mentioned(text: str, now: datetime) -> tuple[Span, ...]:
    """Return the times that the text mentions; where they overlap the highest weight counts."""
    plain = text.lower()
    spans = [*_relative(plain, now), *_days(plain, now)]
    if not spans:
        spans = _months(plain, now)
    if not spans:
        spans = [
            _span(datetime(int(y), 1, 1, tzinfo=UTC), 365, _A_YEAR) for y in _YEAR.findall(plain)
        ]
    return tuple(spans)


def _relative(text: str, now: datetime) -> list[Span]:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    spans: list[Span] = []
    if re.search(r"\btoday\b", text):
        spans += _around(today)
    if re.search(r"\byesterday\b", text):
        spans += _around(today - timedelta(days=1))
    if re.search(r"\blast week\b", text):
        spans.append(_span(today - timedelta(days=7 + today.weekday()), 7, _A_MONTH))
    if re.search(r"\blast month\b", text):
        first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
        spans.append(_month(first.year, first.month))
    return spans


def _days(text: str, now: datetime) -> list[Span]:
    found = [(int(d), _MONTHS.index(m) + 1, y) for d, m, y in _DAY_FIRST.findall(text)]
    found += [(int(d), _MONTHS.index(m) + 1, y) for m, d, y in _MONTH_FIRST.findall(text)]
    found += [(int(d), int(m), y) for y, m, d in _ISO.findall(text)]
    spans: list[Span] = []
    for day, month, written in found:
        for year in _years(text, written, now):
            if 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]:
                spans += _around(datetime(year, month, day, tzinfo=UTC))
    return spans


def _months(text: str, now: datetime) -> list[Span]:
    names = [name for match in _MONTH_ALONE.findall(text) for name in match if name]
    return [
        _month(year, _MONTHS.index(name) + 1) for name in names for year in _years(text, "", now)
    ]


def _years(text: str, written: str, now: datetime) -> list[int]:
    """Return the year beside the date, else those in the text, else all there can be."""
    years = [int(written)] if written else [int(year) for year in _YEAR.findall(text)]
    return [y for y in years if 1 <= y <= 9998] or list(range(_EARLIEST_YEAR, now.year + 1))


def _around(day: datetime) -> list[Span]:
    return [_span(day - timedelta(days=1), 3, _BESIDE), _span(day, 1, _DAY)]


def _month(year: int, month: int) -> Span:
    return _span(datetime(year, month, 1, tzinfo=UTC), monthrange(year, month)[1], _A_MONTH)


def _span(start: datetime, days: int, weight: float) -> Span:
    return Span(microseconds(start), microseconds(start + timedelta(days=days)), weight)
