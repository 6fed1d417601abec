"""Reading a session in parts: its newest messages, those around a hit, older and newer ones.

Everything here blocks and is called from thread workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pktui.memory.records import Message
    from pktui.tui.services import Memory

AT_ONCE = 200
"""Messages read at a time."""
_END = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Part:
    """Messages of a session that follow one another; `total` counts all of it."""

    messages: tuple[Message, ...]
    total: int

    @property
    def has_older(self) -> bool:
        """Whether there are messages before these."""
        return bool(self.messages) and self.messages[0].seq > 1

    @property
    def has_newer(self) -> bool:
        """Whether there are messages after these."""
        return bool(self.messages) and self.messages[-1].seq < self.total


def read_newest(memory: Memory, session_id: int) -> Part:
    """Read the end of a session."""
    page = memory.messages(session_id, before=_END, limit=AT_ONCE)
    return Part(page.items, page.total)


def read_around(memory: Memory, session_id: int, seq: int) -> Part:
    """Read the newest messages where they hold this one, else those before and after it."""
    newest = read_newest(memory, session_id)
    if not newest.messages or newest.messages[0].seq <= seq:
        return newest
    page = memory.messages(session_id, after=max(0, seq - AT_ONCE // 2), limit=AT_ONCE)
    return Part(page.items, page.total)


def read_older(memory: Memory, session_id: int, seq: int) -> Part:
    """Read messages before this one."""
    page = memory.messages(session_id, before=seq, limit=AT_ONCE)
    return Part(page.items, page.total)


def read_newer(memory: Memory, session_id: int, seq: int) -> Part:
    """Read messages after this one."""
    page = memory.messages(session_id, after=seq, limit=AT_ONCE)
    return Part(page.items, page.total)
