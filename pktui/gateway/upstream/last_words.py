"""What a server said last on its stderr: the reason, mostly, why it ended."""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from pktui.text import one_line

_LINES: Final = 30
_LINE_BYTES: Final = 2000
_LONGEST: Final = 300
_TELLING: Final = (
    r"error|exception|fatal|panic|can(?:no|')t|not found|no such|denied|failed|missing|invalid"
)
_REASON: Final = r"\s*[\w.]*(?:error|exception|fatal|panic)\b"
_FRAME: Final = r"\s*(?:at |File \")|\s*\^+\s*$|Traceback "


class LastWords:
    """Hears lines in one thread, and is asked in another."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=_LINES)

    def hear(self, line: bytes) -> None:
        """Take a line."""
        if line.strip():
            self._lines.append(line[:_LINE_BYTES])

    @property
    def text(self) -> str:
        """Return the line that says most, on one line, with its secrets masked.

        That is the last one that speaks of a failure: many programs end with a trace or a version.
        """
        from pktui.ledger.arguments.secrets import mask_text  # only where something failed

        lines = [line.decode(errors="replace") for line in self._lines]
        telling = [
            one
            for one in lines
            if re.search(_TELLING, one, re.IGNORECASE) and not re.match(_FRAME, one)
        ]
        reasons = [one for one in telling if re.match(_REASON, one, re.IGNORECASE)]
        last = (reasons or telling or lines or [""])[-1]
        return one_line(mask_text(last), _LONGEST)


def quoted(words: str) -> str:
    """Return last words as a sentence to put behind another, nothing where there are none."""
    return f'. It said: "{words}"' if words else ""
