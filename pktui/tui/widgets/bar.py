"""One line of text made of parts, some of which do something when clicked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from pktui.tui.cells import fit

if TYPE_CHECKING:
    from textual import events


# Cells between what is at the left and what is at the right, at the least.
GAP = 2
_LEAST_CUT = 10


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the line; `action` is a Textual action to run at a click."""

    text: str
    style: Style
    action: str = ""
    keep: bool = False
    """What goes last where the line is narrow."""
    cut: bool = False
    """What is shown in part where there is no room for all of it."""


class Bar(Widget):
    """One line: parts from the left, parts at the right; the left gives way where it is narrow."""

    ALLOW_SELECT = False

    def left(self) -> Sequence[Part]:
        """Return the parts from the left, the most important first."""
        return ()

    def right(self) -> Sequence[Part]:
        """Return the parts at the right."""
        return ()

    def render_line(self, y: int) -> Strip:
        """Draw the line."""
        if y > 0:
            return Strip.blank(self.size.width, self.rich_style)
        width = self.size.width
        right = self._right_that_fits()
        room = width - width_of(right)
        segments = [self._segment(part) for part in self._left_that_fits(room - GAP)]
        strip = Strip(segments).adjust_cell_length(room, Style())
        strip = Strip.join([strip, Strip([self._segment(part) for part in right])])
        return strip.apply_style(self.rich_style)

    async def on_click(self, event: events.Click) -> None:
        """Run the action of the part under the pointer."""
        action = event.style.meta.get("bar")
        if isinstance(action, str) and action:
            await self.run_action(action)

    def _segment(self, part: Part) -> Segment:
        style = part.style
        if part.action:
            style += Style.from_meta({"bar": part.action})
        return Segment(part.text, style)

    @property
    def most_right(self) -> int:
        """The cells that what is at the right may take."""
        return self.size.width * 2 // 3

    def _right_that_fits(self) -> list[Part]:
        right = list(self.right())
        while right and width_of(right) > self.most_right:
            right.pop(0)
        return right

    def _left_that_fits(self, room: int) -> list[Part]:
        """Keep parts while they fit; parts of one action that follow one another go together."""
        groups = [
            list(group)
            for _, group in groupby(self.left(), key=lambda part: part.action or id(part))
        ]
        last = sum(width_of(parts) for parts in groups if parts[0].keep)
        room -= last
        kept: list[Part] = []
        full = False
        for parts in groups:
            text = "".join(part.text for part in parts)
            ends = cell_len(text if last else text.rstrip())
            if parts[0].keep:
                kept += parts
            elif not full and ends <= room:
                kept += parts
                room -= width_of(parts)
            else:
                if parts[0].cut and room > _LEAST_CUT and not full:
                    kept.append(replace(parts[0], text=fit(parts[0].text, room)))
                full = True
        return kept


def width_of(parts: Sequence[Part]) -> int:
    """Return the cells that the parts take."""
    return sum(cell_len(part.text) for part in parts)
