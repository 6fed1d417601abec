"""What stands between a key press and a decision: time to look, and all of it seen.

A small state machine without a clock of its own: every method takes `now`, in seconds of a
clock that only moves forward. It decides nothing and knows no widget.
"""

from __future__ import annotations

from dataclasses import dataclass

# After an approval comes under the cursor its keys do nothing for this long.
QUIET_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a key does nothing now, in words for the line below the approval."""

    why: str
    wait: float = 0.0
    """Seconds until trying again can help; 0 where waiting does not help."""


class Guard:
    """Holds back decisions about the approval under the cursor.

    Keys count from `quiet` seconds after it came there; a key pressed earlier is dropped and
    starts the time anew, so that a held key or a run of typing never reaches the next approval.
    Allow needs, besides, that the last row of the arguments was on screen.
    """

    def __init__(self, quiet: float = QUIET_SECONDS) -> None:
        self._quiet = quiet
        self._id = ""
        self._open_at = 0.0
        self._last_row_seen = False

    @property
    def approval_id(self) -> str:
        """The approval under the cursor, or an empty string."""
        return self._id

    @property
    def seen_whole(self) -> bool:
        """Whether the last row of its arguments was on screen."""
        return self._last_row_seen

    def focus(self, approval_id: str, now: float) -> None:
        """Note what is under the cursor; anything new there starts from nothing."""
        if approval_id == self._id:
            return
        self._id = approval_id
        self._open_at = now + self._quiet
        self._last_row_seen = False

    def restart(self, now: float) -> None:
        """Begin the quiet time again: the approval left the screen and came back."""
        self._open_at = now + self._quiet

    def saw_last(self, approval_id: str) -> None:
        """Note that the last row of this approval's arguments was on screen."""
        if approval_id and approval_id == self._id:
            self._last_row_seen = True

    def waiting(self, now: float) -> float:
        """Return the seconds until keys count, 0 when they do."""
        return max(0.0, self._open_at - now) if self._id else 0.0

    def press(self, now: float, *, allow: bool) -> Refusal | None:
        """Tell whether a key typed at `now` may decide; `None` means yes."""
        if not self._id:
            return Refusal("nothing is selected")
        if now < self._open_at:
            self._open_at = max(self._open_at, now + self._quiet)
            return Refusal("a moment: keys count once you could read it", self._quiet)
        if allow and not self._last_row_seen:
            return Refusal("read to its last line first")
        return None
