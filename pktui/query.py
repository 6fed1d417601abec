"""The words a person types to find things: one grammar for sessions, feed, console and CLI.

    query   := item*
    item    := ["-"] (phrase | filter | word)
    phrase  := '"' any characters but '"' '"'        must occur as it stands
    filter  := key ":" (phrase | word)               key from the caller's list, value not empty
    word    := any characters but white space and '"'

A leading "-" excludes. A colon after a word that is no known key is part of the word (URLs,
times, code), unless the word is one slip away from a key: then it is a problem, as are a filter
without a value and a quote that is never closed. Times are ISO dates or times (`2026-01-31`,
`2026-01-31T08:00`, taken as UTC) or ages (`30m`, `2h`, `7d`, `4w`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pktui.suggest import nearest

_ITEM = re.compile(
    r"""(?P<minus>-)?(?:(?P<key>[A-Za-z_]+):)?(?:"(?P<phrase>[^"]*)(?P<close>"|$)|(?P<word>[^\s"]*))"""
)
_AGE = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase to find, with its place in the text that was typed."""

    text: str
    phrase: bool
    negated: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Filter:
    """A `key:value` condition, with its place in the text that was typed."""

    key: str
    value: str
    negated: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the query that cannot be used, and why."""

    start: int
    end: int
    why: str


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; `problems` is empty where all of it was understood."""

    terms: tuple[Term, ...] = ()
    filters: tuple[Filter, ...] = ()
    problems: tuple[Problem, ...] = ()

    def values(self, key: str) -> tuple[str, ...]:
        """Return the values of a filter key that are not negated."""
        return tuple(f.value for f in self.filters if f.key == key and not f.negated)


def parse_query(text: str, keys: Collection[str]) -> Query:
    """Split the text into terms and filters; never raises."""
    terms: list[Term] = []
    filters: list[Filter] = []
    problems: list[Problem] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _ITEM.match(text, position)
        assert match is not None
        end = max(match.end(), position + 1)
        _read_item(match, text, keys, terms, filters, problems)
        position = end
    return Query(tuple(terms), tuple(filters), tuple(problems))


def _read_item(
    match: re.Match[str],
    text: str,
    keys: Collection[str],
    terms: list[Term],
    filters: list[Filter],
    problems: list[Problem],
) -> None:
    start, end = match.span()
    negated = match["minus"] is not None
    phrase = match["phrase"] is not None
    value = match["phrase"] if phrase else match["word"]
    if phrase and not match["close"]:
        problems.append(Problem(start, end, 'a quote is never closed: add "'))
        return
    key = (match["key"] or "").lower()
    if key in keys:
        if value:
            filters.append(Filter(key, value, negated, start, end))
        else:
            problems.append(Problem(start, end, f"{key}: needs a value"))
        return
    if key:
        near = nearest(key, keys, cutoff=0.8)
        if near:
            problems.append(Problem(start, end, f"no filter {key}: did you mean {near}:?"))
            return
        value = text[match.start("key") : end]
        phrase = False
    if value:
        terms.append(Term(value, phrase, negated, start, end))


def parse_when(value: str, now: datetime) -> datetime:
    """Return the UTC time that an ISO date or time, or an age before `now`, stands for.

    Raises `ValueError` with a sentence for a person.
    """
    return _moment(value, now, -1)


def parse_until(value: str, now: datetime) -> datetime:
    """Return the UTC time that an ISO date or time, or a span after `now`, stands for.

    Raises `ValueError` with a sentence for a person.
    """
    return _moment(value, now, 1)


def _moment(value: str, now: datetime, sign: int) -> datetime:
    span = _AGE.fullmatch(value)
    if span:
        try:
            return now + sign * timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError as error:
            raise ValueError(f"{value} is too far away") from error
    try:
        when = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(
            f"{value} is no time: use 2026-01-31, 2026-01-31T08:00 or a span like 30m, 2h, 7d"
        ) from error
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
