from __future__ import annotations

from rich.cells import cell_len
from rich.style import Style

from pktui.tui.glyphs import UNICODE
from pktui.tui.widgets.columns import GAP, Column, share_out
from pktui.tui.widgets.grid import Grid
from pktui.tui.widgets.rows import Pen

COLUMNS = (
    Column("state", short=1),
    Column("title", stretch=True, share=0.4, head="title"),
    Column("agent", order=1, head="agent"),
    Column("count", right=True, head="said"),
)


def widths(width: int) -> dict[str, int]:
    rows = [("✓ allowed", "a title", "claude-code", "1,234,567,890")]
    return share_out(COLUMNS, rows, width)


def test_a_title_has_two_fifths_of_its_row() -> None:
    assert widths(50)["title"] >= 20
    assert widths(31)["title"] >= 12


def test_a_column_is_shortened_before_another_is_dropped_and_a_number_is_never_cut() -> None:
    assert widths(80)["state"] == len("✓ allowed")
    assert widths(60)["state"] == 1
    assert "agent" in widths(55)
    assert "agent" not in widths(40)
    assert all(widths(width)["count"] == len("1,234,567,890") for width in range(20, 100))


def test_columns_with_their_gaps_are_as_wide_as_the_row() -> None:
    for width in range(24, 100):
        shown = widths(width)
        assert sum(shown.values()) + GAP * (len(shown) - 1) == width


def test_columns_grow_with_what_comes_into_the_window_and_stay_so() -> None:
    plain = Style()
    pen = Pen(40, None, UNICODE, under_cursor=False)  # type: ignore[arg-type]
    grid = Grid[str](
        (Column("name", head="name"), Column("rest", stretch=True), Column("n", right=True)),
        lambda item: (item, "", str(len(item))),
        lambda _item, _pen: dict.fromkeys(("name", "rest", "n"), plain),
    )
    assert grid.see(["one", "three"])
    assert "".join(text for text, _ in grid.draw("one", pen)).startswith("one    ")
    assert grid.see(["a longer one"])
    assert not grid.see(["one"])
    line = "".join(text for text, _ in grid.draw("one", pen))
    assert line.startswith("one" + " " * 9)
    assert line.endswith(" 3")
    assert cell_len(line) == pen.width


def test_a_text_is_cut_as_far_as_is_needed_and_grows_back_where_another_was_dropped() -> None:
    columns = (
        Column("title", stretch=True, share=0.4),
        Column("project", order=1, short=7, head="project"),
        Column("age", order=2, right=True),
    )
    rows = [("a title", "storefront", "12 d")]
    assert share_out(columns, rows, 40) == {"title": 22, "project": 10, "age": 4}
    assert share_out(columns, rows, 28) == {"title": 12, "project": 8, "age": 4}
    assert share_out(columns, rows, 24) == {"title": 12, "project": 10}
