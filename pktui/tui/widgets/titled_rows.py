"""A list with titles and figures among its rows: the cursor rests on what can be opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from pktui.tui.widgets.rows import Draw, Rows, RowSource

if TYPE_CHECKING:
    from pktui.tui.glyphs import Glyphs

T = TypeVar("T")


class TitledRows(Rows[T]):
    """`opens` tells which rows the cursor may rest on."""

    def __init__(
        self,
        source: RowSource[T],
        draw: Draw[T],
        *,
        opens: Callable[[T], bool],
        in_time: Callable[[T], object] | None = None,
        glyphs: Glyphs,
        id: str,  # noqa: A002
    ) -> None:
        super().__init__(source, draw, in_time=in_time, glyphs=glyphs, id=id)
        self._opens = opens

    @property
    def opens_something(self) -> bool:
        """Whether the row under the cursor can be chosen."""
        return self._rests(self.cursor)

    def lines_in_sight(self) -> Iterator[tuple[int, int]]:
        """Yield each row in the window that the cursor may rest on, and at which of its lines."""
        return ((index, y) for index, y in super().lines_in_sight() if self._rests(index))

    def move_to(self, index: int) -> None:
        """Put the cursor on the nearest such row, first in the direction of the move.

        Where none is left that way, the titles and figures there are scrolled to.
        """
        total, before = self.source.total, self.cursor
        if total == 0:
            return
        index = min(max(index, 0), total - 1)
        down = index >= before
        ahead = range(index, total) if down else range(index, -1, -1)
        found = next((at for at in ahead if self._rests(at)), None)
        if found is None:
            back = range(index, before, -1) if down else range(index, before)
            found = next((at for at in back if self._rests(at)), None)
            self.scroll_to(y=total if down else 0, animate=False, force=True)
        if found is not None:
            super().move_to(found)
            if not any(self._rests(at) for at in range(found)):
                self.scroll_to(y=0, animate=False, force=True)

    def _rests(self, index: int) -> bool:
        row = self.source.at(index)
        return row is not None and self._opens(row)
