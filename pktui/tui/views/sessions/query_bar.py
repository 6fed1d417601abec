"""The line under the search box: its filters, or what of a search was not understood, and why."""

from __future__ import annotations

from collections.abc import Sequence

from textual.message import Message
from textual.reactive import reactive

from pktui.errors import InvalidRequest, PktuiError
from pktui.memory.records import QUERY_KEYS
from pktui.query import Problem, parse_query
from pktui.tui.chips import Chip, chip_parts, chips_of
from pktui.tui.theme import ink_of
from pktui.tui.widgets.bar import Bar, Part


class QueryBar(Bar):
    """Shows the filters as chips, which a click drops; says where the list is not filtered."""

    chips: reactive[tuple[Chip, ...]] = reactive(())
    answered: reactive[bool] = reactive(True)

    class Dropped(Message):
        """A chip was clicked: it no longer filters."""

        def __init__(self, chip: Chip) -> None:
            super().__init__()
            self.chip = chip

    def action_drop(self, at: int) -> None:
        """Drop a chip; for clicks."""
        self.post_message(self.Dropped(self.chips[at]))

    def left(self) -> Sequence[Part]:
        """Return the chips, the bad one with the reason."""
        return chip_parts(self.chips, ink_of(self.app), drop=self.answered)

    def right(self) -> Sequence[Part]:
        """Say what the list is where the search was not answered."""
        return () if self.answered else (Part("not filtered ", ink_of(self.app).wait),)


def filter_chips(text: str) -> tuple[Chip, ...]:
    """Return the filters of a query."""
    places = {(one.start, one.end) for one in parse_query(text, QUERY_KEYS).filters}
    return tuple(one for one in chips_of(text, QUERY_KEYS, ()) if (one.start, one.end) in places)


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
