"""Ids a person can say aloud: two syllables and a number, as in `tavo-93`."""

from __future__ import annotations

import os
from collections.abc import Callable

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_SYLLABLES = tuple(c + v for c in _CONSONANTS for v in _VOWELS)

# Returns a number from 0 up to, and not, its argument.
Below = Callable[[int], int]


def random_below(limit: int) -> int:
    """Draw from the system's randomness; even enough for limits far below 2**64."""
    return int.from_bytes(os.urandom(8), "big") % limit


def speakable_id(below: Below) -> str:
    """Return one of 441,000 ids."""
    first, second = _SYLLABLES[below(len(_SYLLABLES))], _SYLLABLES[below(len(_SYLLABLES))]
    return f"{first}{second}-{10 + below(90)}"
