"""Sessions in the order of a column: what each is sorted by, and where a page of it ends."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING

import msgspec

from pktui.errors import InvalidRequest
from pktui.memory.search.forms import folded
from pktui.text import one_line
from pktui.times import microseconds

if TYPE_CHECKING:
    from pktui.memory.records import Session, SessionSort

# What is sorted by, the time of the last activity (negative: the latest first), and the id.
Key = tuple[str | int, int, int]


def sort_key(sort: SessionSort, session: Session, count: int | None = None) -> Key:
    """Return the key of a session; `count` stands in for its messages."""
    latest = -microseconds(session.last_activity or session.started_at)
    first: str | int = latest
    if sort == "title":
        first = folded(session.title or session.name)
    elif sort == "agent":
        first = folded(session.agent)
    elif sort == "project":
        first = folded(PurePath(session.project).name or session.project)
    elif sort == "count":
        first = -(session.message_count if count is None else count)
    return first, latest, session.id


def cursor_of(key: Key) -> str:
    """Return the cursor of what comes after a key."""
    return msgspec.json.encode(key).decode()


def read_cursor(cursor: str) -> Key:
    """Return the key of a cursor; raises `InvalidRequest`."""
    try:
        key: Key = msgspec.json.decode(cursor, type=Key)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _strange(cursor) from error
    return key


def after_cursor(order: list[Key], cursor: str) -> int:
    """Return the place in the order that a cursor stands for; raises `InvalidRequest`."""
    try:
        return bisect_right(order, read_cursor(cursor)) if cursor else 0
    except TypeError as error:  # a number among texts
        raise _strange(cursor) from error


def _strange(cursor: str) -> InvalidRequest:
    return InvalidRequest(
        f"cursor {one_line(cursor, 40)!r} is not one of this list", "Leave it out"
    )


class Orders:
    """The orders that were asked for once, kept as sessions come, change and go."""

    def __init__(self) -> None:
        self.lists: dict[SessionSort, list[Key]] = {}

    def forget(self) -> None:
        """Make them anew when they are asked for."""
        self.lists.clear()

    def put(self, session: Session) -> None:
        """Take a session in."""
        for sort, order in self.lists.items():
            insort(order, sort_key(sort, session))

    def leave(self, session: Session) -> None:
        """Take a session out, as it was when it came in."""
        for sort, order in self.lists.items():
            del order[bisect_left(order, sort_key(sort, session))]

    def change(self, before: Session, after: Session) -> None:
        """Take a session in as it is now, in place of what it was."""
        for sort, order in self.lists.items():
            del order[bisect_left(order, sort_key(sort, before))]
            insort(order, sort_key(sort, after))

    def page(
        self,
        sort: SessionSort,
        every: Iterable[Session],
        chosen: Collection[int] | None,
        cursor: str,
        limit: int,
    ) -> tuple[list[int], str]:
        """Return the ids of a page of the chosen (None: of all), and the next page's cursor."""
        if sort not in self.lists:
            self.lists[sort] = sorted(sort_key(sort, session) for session in every)
        order = self.lists[sort]
        keys: Iterator[Key] = islice(order, after_cursor(order, cursor), None)
        found = list(islice((k for k in keys if chosen is None or k[2] in chosen), limit + 1))
        more = len(found) > limit
        found = found[:limit]
        return [number for _, _, number in found], cursor_of(found[-1]) if more and found else ""
