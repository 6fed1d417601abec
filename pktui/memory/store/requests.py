"""The requests carried out last, so that one that comes again is not carried out again.

A client whose connection broke cannot know whether its request was carried out. It sends it again
with the same key, and gets what the first one made. The keys are in the rows, committed with them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal

REMEMBERED = 5_000
"""A request comes again within seconds; so many messages take longer to arrive."""

Kind = Literal["session", "message", "entry"]


class Requests:
    """What each request made or changed, by its key. The state's lock guards it."""

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

    def find(self, kind: Kind, key: str) -> int | None:
        """Return the id of what the request made, None for one that is not known."""
        return self._made.get((kind, key)) if key else None
