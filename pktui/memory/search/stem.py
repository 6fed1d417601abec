"""English word endings cut off, so that "deadlocks" is found by "deadlock"."""

from __future__ import annotations

import threading

import snowballstemmer

_stemmer = snowballstemmer.stemmer("english")
_lock = threading.Lock()
# No suffix that the algorithm cuts off or changes ends in one of these.
_UNCHANGED = tuple("abfhjkopquvwxz")


def stem(word: str) -> str:
    """Return the stem of a lower-case word by the Snowball algorithm (Porter 2)."""
    if word.endswith(_UNCHANGED):
        return word
    with _lock:  # the stemmer keeps the word it works on in itself
        return str(_stemmer.stemWord(word))
