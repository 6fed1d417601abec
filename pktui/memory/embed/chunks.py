"""Cutting long texts into overlapping parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.memory.embed.protocol import Passage

if TYPE_CHECKING:
    from collections.abc import Sequence

# About what a screen can show of a passage, and what such models are trained on.
PASSAGE_TOKENS = 128
# Of one text: a log of megabytes is found by its words, and by what its beginning means.
MOST_PASSAGES = 256
# A fifth of each part is repeated in the next.
_OVERLAP = 5


def cut_by_tokens(
    offsets: Sequence[tuple[int, int]], characters: int, limit: int
) -> tuple[Passage, ...]:
    """Return parts of at most `limit` tokens; `offsets` are the tokens' characters."""
    if len(offsets) <= limit:
        return (Passage(0, characters),)
    parts = []
    for first in _starts(len(offsets), limit):
        last = min(first + limit, len(offsets)) - 1
        parts.append(Passage(offsets[first][0], offsets[last][1]))
    return tuple(parts)


def cut_by_characters(text: str, limit: int) -> tuple[Passage, ...]:
    """Return parts of at most `limit` characters."""
    if len(text) <= limit:
        return (Passage(0, len(text)),)
    return tuple(
        Passage(first, min(first + limit, len(text))) for first in _starts(len(text), limit)
    )


def _starts(length: int, limit: int) -> list[int]:
    """Return where the parts start: each overlaps the one before, the last ends at the end."""
    step = max(1, limit - limit // _OVERLAP)
    starts = list(range(0, length - limit, step))[: MOST_PASSAGES - 1]
    following = starts[-1] + step
    return [
        *starts,
        min(following, length - limit) if len(starts) < MOST_PASSAGES - 1 else following,
    ]
