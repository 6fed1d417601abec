"""`ctrl+o`: a letter at every pane and row in sight; typing it goes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from rich.text import Text
from textual.screen import ModalScreen
from textual.widgets import Static

from pktui.tui.focus import focus_now
from pktui.tui.theme import ink_of
from pktui.tui.widgets.rows import Rows

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.screen import Screen
    from textual.widget import Widget

# Easy to reach first.
LETTERS = "asdfghjklqwertyuiopzxcvbnm"


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of the screen, and what going there does."""

    x: int
    y: int
    go: Callable[[], object]


class Jump(ModalScreen["Place | None"]):
    """Gives the place whose letters were typed, `None` at any other key."""

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__()
        self._places = dict(zip(labels(len(places)), places, strict=True))
        self._typed = ""

    def compose(self) -> ComposeResult:
        """Put a label on each place."""
        ink = ink_of(self.app)
        for label, place in self._places.items():
            mark = Static(Text(label, style=ink.mark), classes="jump", markup=False)
            mark.styles.offset = (place.x, place.y)
            mark.styles.width = len(label)
            yield mark

    def on_key(self, event: events.Key) -> None:
        """Go to the place whose label is typed whole; anything else leaves."""
        event.stop()
        self._typed += event.character or "\0"
        if self._typed in self._places:
            self.dismiss(self._places[self._typed])
        elif not any(label.startswith(self._typed) for label in self._places):
            self.dismiss(None)


def labels(count: int) -> list[str]:
    """Return as many labels: of one letter where those are enough, else of two."""
    if count <= len(LETTERS):
        return list(LETTERS[:count])
    pairs = product(LETTERS, LETTERS)
    return ["".join(next(pairs)) for _ in range(min(count, len(LETTERS) ** 2))]


def places_on(screen: Screen[object]) -> list[Place]:
    """Return every pane of rows or lines in sight, and each of its rows."""
    found: list[Place] = []
    for widget in screen.query("Rows, DocumentView, Transcript"):
        if widget.region and widget.is_on_screen and widget.focusable:
            found += _rows_of(widget) if isinstance(widget, Rows) else [_pane(widget)]
    return found[: len(LETTERS) ** 2]


def _pane(widget: Widget) -> Place:
    return Place(widget.region.x, widget.region.y, lambda: focus_now(widget))


def _rows_of(rows: Rows[object]) -> list[Place]:
    def to(index: int) -> Callable[[], object]:
        def go() -> None:
            focus_now(rows)
            rows.move_to(index)

        return go

    lines = rows.lines_in_sight()
    return [Place(rows.region.x, rows.region.y + y, to(index)) for index, y in lines]
