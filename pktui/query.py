"""The words a person types to find things: one grammar for sessions, feed, console and CLI.

    query   := item, white space, item …
    item    := ["-"] phrase | ["-"] filter | word
    phrase  := '"' any characters but '"' '"'        must occur as it stands
    filter  := key ":" (phrase | value)              key from the caller's list
    value   := any characters but white space and '"', and not an address (`file://…`)
    word    := any characters but white space

A "-" before a phrase or a filter excludes. All else is text, as pasted commands and code have it:
`--force`, `-x`, `5" disk`, `status: 500`, `std::vector`, URLs. Whether a value fits its key is the
caller's to say. Times are ISO dates or times (`2026-01-31`, `2026-01-31T08:00`; local, unless `Z`
or an offset follows) or ages (`30m`, `2h`, `7d`, `4w`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_OPERATOR = re.compile(
    r"""(?P<minus>-)?(?:(?P<key>[A-Za-z_]+):(?!:))?(?:"(?P<phrase>[^"]+)"|(?P<value>(?!//)[^\s"]+))(?!\S)"""
)
_WORD = re.compile(r"\S+")
_AGE = re.compile(r"(\d{1,6})([smhdw])")
TIME_KEYS = ("after", "before", "since")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase, with its place in the text that was typed; only a phrase is `negated`."""

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
    """A parsed query."""

    terms: tuple[Term, ...] = ()
    filters: tuple[Filter, ...] = ()

    def values(self, key: str) -> tuple[str, ...]:
        """Return the values of a filter key that are not negated."""
        return tuple(f.value for f in self.filters if f.key == key and not f.negated)


def parse_query(text: str, keys: Collection[str]) -> Query:
    """Split the text into terms and filters; never raises."""
    terms: list[Term] = []
    filters: list[Filter] = []
    position = 0
    while found := _WORD.search(text, position):
        start = found.start()
        operator = _OPERATOR.match(text, start)
        item = _operator(operator, keys) if operator is not None else None
        if item is None:
            item = Term(found[0], False, False, start, found.end())
        if isinstance(item, Filter):
            filters.append(item)
        else:
            terms.append(item)
        position = item.end
    return Query(tuple(terms), tuple(filters))


def _operator(match: re.Match[str], keys: Collection[str]) -> Term | Filter | None:
    """Return the phrase or filter, None for a word."""
    negated = match["minus"] is not None
    phrase = match["phrase"]
    key = (match["key"] or "").lower()
    if key in keys:
        return Filter(key, phrase or match["value"], negated, *match.span())
    if phrase is not None and not key:
        return Term(phrase, True, negated, *match.span())
    return None


def fits_name(wanted: str, name: str) -> bool:
    """Tell whether a name is the one wanted, or fits it as a pattern with `*` and `?`."""
    parts = re.split(r"([*?])", wanted.casefold())
    pattern = "".join({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in parts)
    return re.fullmatch(pattern, name.casefold(), re.DOTALL) is not None


def as_words(text: str, keys: Collection[str]) -> str:
    """Return the text as a query of nothing but words: no phrase, no exclusion, no filter.

    For text that is not a person's own: what an agent passes on must not widen what it may see.
    """
    words = text.replace('"', " ").split()
    return " ".join(
        word.replace(":", ": ") if parse_query(word, keys).filters else word for word in words
    )


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
    try:
        if span:
            return now + sign * timedelta(**{_UNITS[span[2]]: int(span[1])})
        return read_time(value)
    except OverflowError as error:
        raise ValueError(f"{value} is too far away") from error
    except ValueError as error:
        raise ValueError(
            f"{value} is no time: use 2026-01-31, 2026-01-31T08:00 (local time; Z or +02:00 says"
            " another zone) or a span like 30m, 2h, 7d"
        ) from error


def read_time(value: str) -> datetime:
    """Return the UTC time of an ISO date or time; one that says no zone is in the local one.

    A local time that occurs twice is the first. Raises `ValueError` where the text is no time,
    `OverflowError` where the local zone does not reach so far.
    """
    when = datetime.fromisoformat(value)
    try:
        return when.astimezone(UTC)
    except (ValueError, OSError) as error:
        raise OverflowError from error


def with_zones(text: str, keys: Collection[str]) -> str:
    """Return the query with the zone of this process added to each time that says none.

    For a query that another process reads: it may have been started in another zone.
    """
    parts = []
    at = 0
    for item in parse_query(text, keys).filters:
        zoned = _zoned(item.value) if item.key in TIME_KEYS else ""
        if zoned:
            sign = "-" if item.negated else ""
            parts += [text[at : item.start], f"{sign}{item.key}:{zoned}"]
            at = item.end
    return "".join([*parts, text[at:]])


def _zoned(value: str) -> str:
    """Return a time that says no zone with the local one, "" for anything else."""
    try:
        when = datetime.fromisoformat(value)
        return "" if when.tzinfo is not None else when.astimezone().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""
