"""Rows of a list in columns that are as wide as what is on the screen of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from pktui.tui.cells import fit, fit_right
from pktui.tui.widgets.columns import GAP, Column, draw_heads, share_widths, widen

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.tui.widgets.rows import Pen, Run

T = TypeVar("T")


class Grid(Generic[T]):
    """Draws rows and the titles over them. `texts` gives a text for each column of a row.

    A column in `own` is drawn by that function, in so many cells.

    The columns grow with the rows that come into the window and never shrink again, so that
    scrolling moves nothing sideways; another list takes another grid.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        texts: Callable[[T], Sequence[str]],
        styles: Callable[[T, Pen], Mapping[str, Style]],
        own: Mapping[str, Callable[[T, int, Pen], Sequence[Run]]] | None = None,
    ) -> None:
        self.columns, self._texts, self._styles, self._own = columns, texts, styles, own or {}
        self._wide = [0] * len(columns)
        self._widths: dict[int, dict[str, int]] = {}

    def see(self, items: Sequence[T]) -> bool:
        """Make room for rows that are in the window; true where that changed the columns."""
        wide = widen(self._wide, map(self._texts, items))
        changed = wide != self._wide
        if changed:
            self._wide, self._widths = wide, {}
        return changed

    def draw(self, item: T, pen: Pen) -> list[Run]:
        """Draw a row on one line."""
        widths, styles = self._of(pen), self._styles(item, pen)
        runs: list[Run] = []
        for column, text in zip(self.columns, self._texts(item), strict=True):
            if column.name in widths:
                before = " " * GAP if runs else ""
                own = self._own.get(column.name)
                if own is not None:
                    runs += [(before, pen.ink.dim), *own(item, widths[column.name], pen)]
                else:
                    put = fit_right if column.right else fit
                    runs.append((before + put(text, widths[column.name]), styles[column.name]))
        return runs

    def heads(self, pen: Pen) -> list[Run]:
        """Draw the titles of the columns."""
        return draw_heads(self.columns, self._of(pen), pen.ink.faint)

    def _of(self, pen: Pen) -> dict[str, int]:
        if pen.width not in self._widths:
            self._widths[pen.width] = share_widths(self.columns, self._wide, pen.width)
        return self._widths[pen.width]
