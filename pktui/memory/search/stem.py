"""English word endings cut off."""

from __future__ import annotations


def stem(word: str) -> str:
    """Return the stem of a lower-case word."""
    return word
