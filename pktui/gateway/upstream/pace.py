"""How soon a server is asked again: it may want more patience, never less."""

from __future__ import annotations

from typing import Final

LEAST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 30.0
_MOST_DOUBLINGS: Final = 5


class Pace:
    """The waits between tries of one thing: a second at least, and longer each time in vain."""

    def __init__(self) -> None:
        self._in_vain = 0

    def succeeded(self) -> None:
        """Begin anew: what was tried brought something."""
        self._in_vain = 0

    def next_wait(self, asked_ms: int | None = None) -> float:
        """Return the seconds before the next try; `asked_ms` is what the server wants."""
        asked = (asked_ms or 0) / 1000
        if asked >= LEAST_SECONDS:
            return min(asked, LONGEST_SECONDS)
        wait = LEAST_SECONDS * (1 << min(self._in_vain, _MOST_DOUBLINGS))
        self._in_vain += 1
        return min(wait, LONGEST_SECONDS)
