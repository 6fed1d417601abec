"""A query as chips: what is understood, and what is not, underlined and with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.style import Style

from pktui.query import parse_query
from pktui.text import one_line
from pktui.tui.widgets.bar import Part

if TYPE_CHECKING:
    from pktui.query import Problem
    from pktui.tui.theme import Ink


@dataclass(frozen=True, slots=True)
class Chip:
    """One word of the query; `why` says what is wrong with it."""

    text: str
    why: str = ""
    start: int = 0
    end: int = 0


def chips_of(text: str, keys: Collection[str], problems: Iterable[Problem]) -> tuple[Chip, ...]:
    """Return the words of a query in their order, each with its problem."""
    query = parse_query(text, keys)
    bad = {(problem.start, problem.end): problem.why for problem in problems}
    places = {(term.start, term.end) for term in query.terms} | set(bad)
    places |= {(item.start, item.end) for item in query.filters}
    return tuple(
        Chip(one_line(text[start:end], 60), one_line(bad.get((start, end), ""), 120), start, end)
        for start, end in sorted(places)
    )


def without(text: str, chip: Chip) -> str:
    """Return a query without one of its words."""
    return f"{text[: chip.start].rstrip()} {text[chip.end :].lstrip()}".strip()


def chip_parts(chips: Iterable[Chip], ink: Ink, *, drop: bool = False) -> list[Part]:
    """Return the chips as parts of a line; `drop`: a click on one runs `drop` with its place."""
    parts: list[Part] = []
    for at, chip in enumerate(chips):
        action = f"drop({at})" if drop else ""
        parts.append(Part(" ", ink.dim))
        if chip.why:
            parts.append(Part(f" {chip.text} ", ink.bad + Style(underline=True), action))
            parts.append(Part(f" {chip.why}", ink.wait, cut=True))
        else:
            parts.append(Part(f" {chip.text} ", ink.accent + ink.cursor, action))
    return parts
