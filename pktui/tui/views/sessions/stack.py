"""Blocks one below the other: at which lines each stands, and which stands at a line."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.strip import Strip

    from pktui.tui.views.sessions.blocks import Block
    from pktui.tui.views.sessions.timeline import Place


class Stack:
    """`starts` has the first line of each block, and after the last one how many lines there are.

    Blocks are known by their index; it never changes.
    """

    def __init__(self, blocks: Sequence[Block] = ()) -> None:
        self.blocks = blocks
        self.starts = list(accumulate((len(block.strips) for block in blocks), initial=0))
        self._index = {block.place: at for at, block in enumerate(blocks) if block.place}

    @property
    def height(self) -> int:
        """The number of lines."""
        return self.starts[-1]

    def index(self, place: Place | None) -> int | None:
        """Return the block of a place, `None` where it is not among these."""
        return self._index.get(place) if place is not None else None

    def block(self, place: Place | None) -> Block | None:
        """Return the block of a place."""
        index = self.index(place)
        return self.blocks[index] if index is not None else None

    def at(self, line: int) -> int:
        """Return the block that a line is of; -1 or one too many where no block has it."""
        return bisect_right(self.starts, line) - 1

    def strip(self, line: int) -> tuple[Block, Strip, bool]:
        """Return a line with its block, and whether it is the block's last one."""
        index = self.at(line)
        block, first = self.blocks[index], self.starts[index]
        return block, block.strips[line - first], line + 1 == self.starts[index + 1]

    def with_place(self, order: Iterable[int]) -> int | None:
        """Return the first block in this order that something can be done with."""
        return next((at for at in order if self.blocks[at].place is not None), None)

    @property
    def first_place(self) -> Place | None:
        """The first place there is."""
        at = self.with_place(range(len(self.blocks)))
        return self.blocks[at].place if at is not None else None

    @property
    def last_place(self) -> Place | None:
        """The last place there is."""
        at = self.with_place(range(len(self.blocks) - 1, -1, -1))
        return self.blocks[at].place if at is not None else None

    def anchor(self, line: int) -> tuple[Place | None, int]:
        """Return the first place from the block of a line on, and how far above the line it is."""
        at = self.with_place(range(max(0, self.at(line)), len(self.blocks)))
        return (self.blocks[at].place, line - self.starts[at]) if at is not None else (None, 0)

    def places(self, first: int, last: int) -> list[Place]:
        """Return the places of the blocks from one line to another."""
        among = self.blocks[max(0, self.at(first)) : max(0, self.at(last)) + 1]
        return [block.place for block in among if block.place is not None]
