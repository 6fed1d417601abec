"""The line under the search box, there while a search was not answered: which word, and why."""

from __future__ import annotations

from collections.abc import Sequence

from textual.reactive import reactive

from pktui.errors import InvalidRequest, PktuiError
from pktui.memory.records import QUERY_KEYS
from pktui.query import Problem, parse_query
from pktui.tui.chips import Chip, chip_parts, chips_of
from pktui.tui.theme import ink_of
from pktui.tui.widgets.bar import Bar, Part


class QueryBar(Bar):
    """Says that the list below is not filtered."""

    chips: reactive[tuple[Chip, ...]] = reactive(())

    def left(self) -> Sequence[Part]:
        """Return the words of the query, the bad one with the reason."""
        return chip_parts(self.chips, ink_of(self.app))

    def right(self) -> Sequence[Part]:
        """Say what the list is then."""
        return (Part("not filtered ", ink_of(self.app).wait),)


def unanswered_chips(text: str, error: PktuiError) -> tuple[Chip, ...]:
    """Return the words of a query that was not answered, with what is wrong with which."""
    query = parse_query(text, QUERY_KEYS)
    problems: tuple[Problem, ...] = ()
    if isinstance(error, InvalidRequest):
        problems = tuple(
            Problem(item.start, item.end, _after(f"{item.key}:{item.value}", error))
            for item in query.filters
            if f"{item.key}:{item.value}" in error.what
        )
    return chips_of(text, QUERY_KEYS, problems or (Problem(0, len(text), error.what),))


def _after(token: str, error: PktuiError) -> str:
    """Return what the error says of the token, without the token."""
    rest = error.what.partition(token)[2].strip(" :")
    return f"{rest}; {error.cure}" if error.cure else rest
