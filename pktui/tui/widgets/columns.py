"""Columns of a list: as wide as what is on the screen, dropped by priority where it is narrow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from rich.cells import cell_len

from pktui.tui.cells import fit, fit_right

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.tui.widgets.rows import Run

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `order`: the highest goes first where there is no room; 0 never goes.

    It is drawn as wide as its widest text, from `least` to `most` cells. A column that stretches
    takes what room is left instead, `share` of the row at the least. `head` is its faint title.
    One that has a `short` is cut before any other is dropped: to its sign where `short` is 1, else
    as far as is needed, to so many cells at the least.
    """

    name: str
    order: int = 0
    most: int = 24
    least: int = 0
    stretch: bool = False
    share: float = 0.0
    short: int = 0
    right: bool = False
    head: str = ""


def share_out(
    columns: Sequence[Column], texts: Iterable[Sequence[str]], width: int
) -> dict[str, int]:
    """Return the cells of each column that is shown, for all rows; a text for each column."""
    return share_widths(columns, widen([0] * len(columns), texts), width)


def widen(wide: Sequence[int], texts: Iterable[Sequence[str]]) -> list[int]:
    """Return the cells of the widest text of each column, `wide` at the least."""
    wider = list(wide)
    for row in texts:
        wider = [max(cells, cell_len(text)) for cells, text in zip(wider, row, strict=True)]
    return wider


def share_widths(columns: Sequence[Column], wide: Sequence[int], width: int) -> dict[str, int]:
    """Return the cells of each column that is shown; a gap stands between any two.

    `wide`: the cells of each column's widest text. Columns without any text are left out.
    """
    kept = {
        column.name: max(column.least, ceil(column.share * width))
        if column.stretch
        else max(column.least, cell_len(column.head), min(cells, column.most))
        for column, cells in zip(columns, wide, strict=True)
        if cells or column.stretch
    }

    whole = dict(kept)

    def over() -> int:
        return sum(kept.values()) + GAP * max(0, len(kept) - 1) - width

    for column in columns:
        if over() > 0 and column.short and column.name in kept:
            cells = 1 if column.short == 1 else max(column.short, kept[column.name] - over())
            kept[column.name] = min(kept[column.name], cells)
    droppable = sorted((one for one in columns if one.order), key=lambda one: -one.order)
    for column in droppable:
        if over() > 0:
            kept.pop(column.name, None)
    for column in columns:
        if over() < 0 and column.short > 1 and column.name in kept:
            kept[column.name] = min(whole[column.name], kept[column.name] - over())
    if over() > 0 and kept:
        numbers = {column.name for column in columns if column.right}
        widest = max(kept, key=lambda name: (name not in numbers, kept[name]))
        kept[widest] = max(1, kept[widest] - over())
    stretched = next((one.name for one in columns if one.stretch and one.name in kept), "")
    if stretched and over() < 0:
        kept[stretched] -= over()
    return kept


class Table:
    """Rows of texts in columns; widths are worked out once for each width there is."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        self.columns, self.rows = columns, rows
        self._widths: dict[int, dict[str, int]] = {}

    def widths(self, width: int) -> dict[str, int]:
        """Return the cells of each column that is shown in so many cells."""
        if width not in self._widths:
            self._widths[width] = share_out(self.columns, self.rows, width)
        return self._widths[width]

    def draw(self, at: int, width: int, styles: Mapping[str, Style]) -> list[Run]:
        """Draw a row."""
        return draw_cells(self.columns, self.rows[at], self.widths(width), styles)


def draw_cells(
    columns: Sequence[Column],
    texts: Sequence[str],
    widths: Mapping[str, int],
    styles: Mapping[str, Style],
) -> list[Run]:
    """Draw a row's texts in their columns."""
    runs: list[Run] = []
    for column, text in zip(columns, texts, strict=True):
        if column.name in widths:
            put = fit_right if column.right else fit
            before = " " * GAP if runs else ""
            runs.append((before + put(text, widths[column.name]), styles[column.name]))
    return runs


def draw_heads(columns: Sequence[Column], widths: Mapping[str, int], style: Style) -> list[Run]:
    """Draw the titles of the columns that are shown."""
    heads = [column.head for column in columns]
    return draw_cells(columns, heads, widths, {column.name: style for column in columns})
