"""The requests carried out last, so that one that comes again is not carried out again.

A client whose connection broke cannot know whether its request was carried out. It sends it again
with the same key, and gets what the first one made. The keys are in the rows, committed with them;
those of deletions, which leave no row, are marks for a day.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, cast

# A request comes again within seconds; so many messages take longer to arrive.
REMEMBERED = 5_000

DELETION_PREFIX = "deleted "
DELETION_KEPT = timedelta(days=1)

Deleted = Literal["deleted session", "deleted entry"]
Kind = Literal["session", "message", "entry", Deleted]


class Requests:
    """What each request made, changed or removed, by its key. The state's lock guards it."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[Kind, str], int] = OrderedDict()

    def remember(self, kind: Kind, key: str, made: int) -> None:
        """Keep in mind that the request made, or changed, the record with that id."""
        if key:
            self._made[kind, key] = made
            self._made.move_to_end((kind, key))
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)

    def fill(self, kind: Kind, known: Iterable[tuple[str, int]]) -> None:
        """Take in the keys and ids of rows, the oldest first."""
        for key, made in known:
            self.remember(kind, key, made)

    def fill_deletion(self, mark: str) -> None:
        """Take in a deletion from its mark, see `deletion_mark`."""
        what, number, key = mark.removeprefix(DELETION_PREFIX).split(" ", 2)
        self.remember(cast("Deleted", DELETION_PREFIX + what), key, int(number))

    def find(self, kind: Kind, key: str) -> int | None:
        """Return the id of what the request made, None for one that is not known."""
        return self._made.get((kind, key)) if key else None


def deletion_mark(kind: Deleted, key: str, removed: int) -> str:
    """Return how a request that removed the record with that id is called among the marks."""
    return f"{kind} {removed} {key}"
