"""Panes with quiet heads and one line between them, which moves; a pane may fill the view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.containers import Container, Vertical
from textual.strip import Strip
from textual.widget import Widget

from pktui.text import one_line
from pktui.tui.context import context_of
from pktui.tui.theme import ink_of

if TYPE_CHECKING:
    from typing import Any

    from textual import events
    from textual.screen import Screen

# Cells that a pane keeps when the line beside it is moved, and how far a key moves that.
LEAST = 16
STEP = 4
# What a title and a note at the right leave of the line.
_ENDS = 5
# Parts of a title that stay, if cut, and what the title keeps of the line beside a note; the last
# parts of a title give way, and those of a note before them.
_KEPT = 2
_TITLE = 0.4
AWAY = "-away"


class PaneHead(Widget):
    """The first line of a pane: its title in a line, which is heavy where the focus is."""

    ALLOW_SELECT = False

    def render_line(self, y: int) -> Strip:
        """Draw the line."""
        pane, ink, glyphs = self.parent, ink_of(self.app), context_of(self).glyphs
        assert isinstance(pane, Pane)
        width, focused = self.size.width, pane.has_focus_within
        rule = glyphs.heavy_rule if focused else glyphs.rule
        line = ink.accent if focused else ink.line
        title = _text(pane.title, ink.bold if focused else ink.dim)
        note = _text(pane.note, ink.dim)
        least = min(title.cell_len, round(_TITLE * width))
        while note and note.cell_len > width - least - 2 * _ENDS:
            note = note[: max(0, note.plain.rfind(f" {glyphs.dot} "))]
        room = width - _ENDS - (note.cell_len + _ENDS if note else 0)
        between = f" {glyphs.rule} "
        while title.cell_len > room and title.plain.count(between) >= _KEPT:
            title = title[: title.plain.rfind(between)]
        title.truncate(max(0, room), overflow="ellipsis")
        drawn = Text(rule * 2, line, no_wrap=True, end="")
        if title:
            drawn.append_text(Text.assemble(" ", title, " "))
        end = Text.assemble(" ", note, " ", (rule, line)) if note else Text()
        drawn.append(rule * max(0, width - drawn.cell_len - end.cell_len), line)
        drawn.append_text(end)
        strip = Strip(drawn.render(self.app.console))
        return strip.adjust_cell_length(width, Style()).apply_style(self.rich_style)


class Pane(Vertical):
    """A part of a view under a head of its own.

    What is set as `title` or `note` is made visible, unless it is a `Text`.
    """

    def __init__(self, title: str = "", *, id: str, classes: str = "") -> None:  # noqa: A002
        super().__init__(PaneHead(), id=id, classes=f"pane {classes}")
        self._title: str | Text = title
        self._note: str | Text = ""

    @property
    def title(self) -> str | Text:
        """What the head says at the left."""
        return self._title

    @title.setter
    def title(self, title: str | Text) -> None:
        if title != self._title:
            self._title = title
            self._draw_head()

    @property
    def note(self) -> str | Text:
        """What the head says at the right, where there is room."""
        return self._note

    @note.setter
    def note(self, note: str | Text) -> None:
        if note != self._note:
            self._note = note
            self._draw_head()

    def on_descendant_focus(self) -> None:
        """Draw the head as active."""
        self._draw_head()

    def on_descendant_blur(self) -> None:
        """Draw the head as at rest."""
        self._draw_head()

    def _draw_head(self) -> None:
        for head in self.query_children(PaneHead):
            head.refresh()


class Divider(Widget):
    """The line between two panes beside each other; it is dragged with the mouse."""

    ALLOW_SELECT = False

    def render_line(self, y: int) -> Strip:
        """Draw the line; it begins in the heads of its panes."""
        glyphs = context_of(self).glyphs
        sign = glyphs.tee if y == 0 else glyphs.bar
        return Strip([Segment(sign, ink_of(self.app).line)]).apply_style(self.rich_style)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Hold the line."""
        event.stop()
        self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Move it with the mouse."""
        panes = self.parent
        if self.app.mouse_captured is self and isinstance(panes, Panes):
            panes.move(self, event.screen_x - self.region.x)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Let it go; its place is remembered."""
        event.stop()
        self.release_mouse()
        panes = self.parent
        if isinstance(panes, Panes):
            panes.remember()


class Panes(Container):
    """Panes beside each other, a `Divider` between any two.

    Their widths are kept as shares for each set of panes that stand beside each other.
    """

    @property
    def beside(self) -> bool:
        """Whether the panes stand beside each other, not below."""
        layout = self.styles.layout
        return layout is not None and layout.name == "horizontal"

    # What the lines and widths are for: whether the panes stand beside each other, and which.
    _fitted: tuple[bool, str] = (False, "")

    def on_mount(self) -> None:
        """Look after each layout whether a style sheet has shown or hidden a pane."""
        self.screen.screen_layout_refresh_signal.subscribe(self, self._laid_out)

    def _laid_out(self, _screen: Screen[Any]) -> None:
        if (self.beside, _arrangement(self._there())) != self._fitted:
            self.fit()

    def on_resize(self) -> None:
        """Take the widths that were chosen."""
        self.fit()

    def fit(self) -> None:
        """Draw a line only between panes that are there, in the widths that were chosen."""
        divider = before = None
        for child in self.children:
            if isinstance(child, Divider):
                child.display, divider = False, child
            elif child.display and not child.has_class(AWAY):
                if divider is not None:
                    divider.display = self.beside and before is not None
                before = child
        there = self._there()
        self._fitted = self.beside, _arrangement(there)
        kept = context_of(self).kept.panes.get(_arrangement(there), ())
        if self.beside and (kept or len(there) == 1):
            self._share(kept or (1,))
        else:
            for child in there:
                child.styles.width = None

    def _there(self) -> list[Widget]:
        return [
            child
            for child in self.children
            if child.display and not isinstance(child, Divider) and not child.has_class(AWAY)
        ]

    def divider_of(self, widget: Widget) -> Divider | None:
        """Return the line beside the pane that holds the widget: at its right, else its left."""
        at = next(
            (n for n, one in enumerate(self.children) if one in widget.ancestors_with_self), 0
        )
        after = [one for one in self.children[at:] if isinstance(one, Divider) and one.display]
        before = [one for one in self.children[:at] if isinstance(one, Divider) and one.display]
        return next(iter([*after, *reversed(before)]), None)

    def move(self, divider: Divider, cells: int) -> None:
        """Move a line by so many cells; a pane keeps some."""
        at = self.children.index(divider)
        there = self._there()
        left = next((one for one in reversed(self.children[:at]) if one in there), None)
        right = next((one for one in self.children[at:] if one in there), None)
        if left is None or right is None or not self.beside:
            return
        widths = {one: one.outer_size.width for one in there}
        cells = max(LEAST - left.outer_size.width, min(cells, right.outer_size.width - LEAST))
        if cells:
            widths[left] += cells
            widths[right] -= cells
            self._share(tuple(widths.values()))

    def _share(self, shares: Sequence[int]) -> None:
        for child, share in zip(self._there(), shares, strict=True):
            child.styles.width = f"{share}fr"

    def remember(self) -> None:
        """Keep the widths for the next start."""
        there, console = self._there(), context_of(self)
        if len(there) > 1:
            widths = tuple(one.outer_size.width for one in there)
            console.keep(panes={**console.kept.panes, _arrangement(there): widths})


def _arrangement(panes: Sequence[Widget]) -> str:
    return "+".join(pane.id or "" for pane in panes)


def _text(words: str | Text, style: Style) -> Text:
    return words.copy() if isinstance(words, Text) else Text(one_line(words, 400), style)


def panes_around(widget: Widget) -> Iterator[Panes]:
    """Yield the rows of panes that hold a widget, the nearest first."""
    return (node for node in widget.ancestors if isinstance(node, Panes))


def is_zoomed(view: Widget) -> bool:
    """Tell whether one pane fills the view."""
    return any(child.has_class(AWAY) for panes in view.query(Panes) for child in panes.children)


def zoom(view: Widget, widget: Widget | None) -> None:
    """Let the pane that holds the widget fill its view; `None`: show all panes."""
    within = widget.ancestors_with_self if widget is not None else ()
    for panes in view.query(Panes):
        for child in panes.children:
            child.set_class(widget is not None and child not in within, AWAY)
        panes.fit()
