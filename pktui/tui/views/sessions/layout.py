"""How the time line is laid out: its width, its colours, its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktui.tui.glyphs import UNICODE, Glyphs

if TYPE_CHECKING:
    import re

    from pktui.tui.theme import Ink

# Cells before every line: the bar and a space.
BAR = 2
# Cells for time and role where the time line is wide.
GUTTER = 14
WIDE = 50


@dataclass(frozen=True, slots=True)
class Look:
    """How blocks are laid out; `width` in cells without the rail."""

    width: int
    ink: Ink
    marks: re.Pattern[str] | None = None
    glyphs: Glyphs = UNICODE
