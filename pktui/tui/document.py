"""Text laid out in rows: the model behind every detail pane.

A `Line` is one line of meaning, already made visible; `lay_out` breaks it into `Row`s that fit
a width in cells and loses no character. The lead (a key, a gutter, a diff sign) is repeated as
`hang` before each further row, so that wrapped foreign text never looks like structure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

# What a piece of text is; the style sheet gives it a colour.
Tone = Literal[
    "text",
    "strong",
    "key",
    "string",
    "number",
    "note",
    "heading",
    "added",
    "removed",
    "warning",
    "good",
]

MIN_TEXT_WIDTH = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One line of meaning: visible text without line breaks."""

    text: str
    tone: Tone = "text"
    lead: str = ""
    lead_tone: Tone = "key"
    hang: str = ""
    """Shown before wrapped rows; padded or cut to the lead's width."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of cells."""

    lead: str
    lead_tone: Tone
    text: str
    tone: Tone


def lay_out(lines: Iterable[Line], width: int) -> tuple[Row, ...]:
    """Break the lines into rows of at most `width` cells."""
    rows: list[Row] = []
    for line in lines:
        lead_width = cell_len(line.lead)
        room = max(MIN_TEXT_WIDTH, width - lead_width)
        hang = line.hang.ljust(lead_width)[:lead_width]
        lead = line.lead
        for text in wrap(line.text, room):
            rows.append(Row(lead, line.lead_tone, text, line.tone))
            lead = hang
    return tuple(rows)


def wrap(text: str, width: int) -> Iterable[str]:
    """Yield pieces of at most `width` cells; joined they are the text again."""
    start = 0
    while True:
        end = _fit(text, start, width)
        if end >= len(text):
            yield text[start:]
            return
        space = text.rfind(" ", start + width // 2, end)
        if space >= 0:
            end = space + 1
        yield text[start:end]
        start = end


def _fit(text: str, start: int, width: int) -> int:
    """Return the end of the longest piece from `start` that fits, at least one character."""
    end = start + width
    piece = text[start:end]
    if piece.isascii():
        return end
    while len(piece) > 1 and (over := cell_len(piece) - width) > 0:
        piece = piece[: -max(1, over // 2)]
    return start + len(piece) if len(piece) < width else end
