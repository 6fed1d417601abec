"""Text laid out in rows: the model behind every detail pane.

A `Line` is one line of meaning, already made visible; `lay_out` breaks it into `Row`s that fit
a width in cells and loses no character. The lead (a key, a gutter, a diff sign) is repeated as
`hang` before each further row, so that wrapped foreign text never looks like structure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    "wrong",
    "doubtful",
    "hit",
]

MIN_TEXT_WIDTH = 8


# A part of a text by its first character and the one after its last, in a tone of its own.
Span = tuple[int, int, Tone]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of meaning: visible text without line breaks. `spans` come in order."""

    text: str
    tone: Tone = "text"
    lead: str = ""
    lead_tone: Tone = "key"
    hang: str = ""
    """Shown before wrapped rows; padded or cut to the lead's width."""
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of cells; `line` is the index of the line that it is a part of."""

    lead: str
    lead_tone: Tone
    text: str
    tone: Tone
    spans: tuple[Span, ...] = ()
    line: int = 0

    def pieces(self) -> Iterator[tuple[str, Tone]]:
        """Yield the text in parts of one tone each."""
        at = 0
        for start, end, tone in self.spans:
            if at < start:
                yield self.text[at:start], self.tone
            yield self.text[start:end], tone
            at = end
        yield self.text[at:], self.tone


def lay_out(lines: Iterable[Line], width: int) -> tuple[Row, ...]:
    """Break the lines into rows of at most `width` cells."""
    rows: list[Row] = []
    for index, line in enumerate(lines):
        lead_width = cell_len(line.lead)
        room = max(MIN_TEXT_WIDTH, width - lead_width)
        hang = line.hang.ljust(lead_width)[:lead_width]
        lead, at = line.lead, 0
        for text in wrap(line.text, room):
            spans = tuple(_within(line.spans, at, at + len(text)))
            rows.append(Row(lead, line.lead_tone, text, line.tone, spans, index))
            lead, at = hang, at + len(text)
    return tuple(rows)


def _within(spans: Iterable[Span], start: int, end: int) -> Iterator[Span]:
    """Yield what of the spans is in a part of the text, counted from its start."""
    for first, last, tone in spans:
        if first < end and last > start:
            yield max(first, start) - start, min(last, end) - start, tone


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
