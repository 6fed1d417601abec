from __future__ import annotations

import pytest
from rich.cells import cell_len

from pktui.tui.document import Line, lay_out, wrap

TEXTS = [
    "",
    "plain",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "x" * 500,
    "漢字" * 40,
    "mixed 漢字 and words " * 12,
    "word " * 60,
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("width", [8, 9, 31, 80])
def test_wrapping_loses_nothing_and_fits(text: str, width: int) -> None:
    pieces = list(wrap(text, width))
    assert "".join(pieces) == text
    assert all(cell_len(piece) <= width for piece in pieces)


def test_words_stay_whole_where_there_is_room() -> None:
    assert list(wrap("one two three four", 10)) == ["one two ", "three four"]


def test_every_wrapped_row_keeps_a_lead() -> None:
    rows = lay_out([Line("x" * 30, lead="│ ", hang="│ ")], 12)
    assert [row.lead for row in rows] == ["│ "] * 3


def test_wrapped_rows_of_a_value_stay_in_its_column() -> None:
    rows = lay_out([Line("a" * 20, lead="key  ")], 15)
    assert [row.lead + row.text for row in rows] == ["key  " + "a" * 10, "     " + "a" * 10]


def test_a_lead_as_wide_as_the_pane_still_shows_the_text() -> None:
    rows = lay_out([Line("abcdefghij", lead="k" * 30)], 20)
    assert "".join(row.text for row in rows) == "abcdefghij"
