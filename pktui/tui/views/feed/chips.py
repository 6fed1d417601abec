"""The filter as chips: what is understood, and what is not, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from pktui.ledger.feed_filter import KEYS, FeedFilter, exactly
from pktui.query import Problem, parse_query
from pktui.text import one_line

ALL = FeedFilter()


@dataclass(frozen=True, slots=True)
class Chip:
    """One word of the filter; `why` says what is wrong with it."""

    text: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed, what it means, and its words."""

    text: str = ""
    filter: FeedFilter = ALL
    chips: tuple[Chip, ...] = ()


def read_filter(text: str, now_us: int, project: str | None = None) -> Wanted:
    """Read what was typed; what cannot be used is left out of the filter and named.

    `project`: only calls made in that directory.
    """
    wanted, problems = FeedFilter.parse(text, now_us=now_us)
    if project is not None:
        here = exactly("project", project)
        wanted = replace(wanted, matches=(*wanted.matches, here))
    return Wanted(text, wanted, tuple(_chips(text, problems)))


def _chips(text: str, problems: Sequence[Problem]) -> list[Chip]:
    query = parse_query(text, KEYS)
    bad = {(problem.start, problem.end): problem.why for problem in problems}
    places = {(term.start, term.end) for term in query.terms} | set(bad)
    places |= {(item.start, item.end) for item in query.filters}
    return [
        Chip(one_line(text[start:end], 60), one_line(bad.get((start, end), ""), 120))
        for start, end in sorted(places)
    ]
