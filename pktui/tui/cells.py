"""Text in columns of cells: cut with an ellipsis, padded, left or right."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size


def cut(text: str, width: int) -> str:
    """Return the text in at most `width` cells, with an ellipsis at its end where it is longer."""
    if width <= 0:
        return ""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def fit(text: str, width: int) -> str:
    """Return the text in exactly `width` cells, cut with an ellipsis where it is longer."""
    shown = cut(text, width)
    return shown + " " * (width - cell_len(shown))


def fit_right(text: str, width: int) -> str:
    """Return the text in exactly `width` cells, at the right; cut as `fit` does."""
    size = cell_len(text)
    return " " * (width - size) + text if size <= width else fit(text, width)
