"""Which column a list is sorted by: `S` goes to the next, a click on a head takes it or ends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class Sorting:
    """`columns`: the order that each head stands for; `by`: the one in force, "" for none."""

    def __init__(self, columns: Mapping[str, str], changed: Callable[[], object]) -> None:
        self._columns, self._changed = columns, changed
        self.by = ""

    @property
    def heads(self) -> frozenset[str]:
        """The heads of the column that is sorted by."""
        return frozenset(head for head, order in self._columns.items() if order == self.by)

    def next(self) -> None:
        """Sort by the next column, after the last one by none."""
        orders = ["", *dict.fromkeys(self._columns.values())]
        self._sort_by(orders[(orders.index(self.by) + 1) % len(orders)])

    def click(self, head: str) -> None:
        """Sort by the column under this head; by none where it is sorted by it."""
        order = self._columns.get(head)
        if order is not None:
            self._sort_by("" if order == self.by else order)

    def _sort_by(self, order: str) -> None:
        self.by = order
        self._changed()
