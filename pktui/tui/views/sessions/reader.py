"""Reading a session in parts: messages, and the tool calls its agent made at the time.

Everything here blocks and is called from thread workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from pktui.errors import LedgerError

if TYPE_CHECKING:
    from datetime import datetime

    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import CallRow
    from pktui.memory.records import Message, Page, Session
    from pktui.tui.services import Memory

AT_ONCE = 200
"""Messages read at a time."""
CALLS_AT_ONCE = 300
_END = 2**53 - 1
_LOGGING = frozenset({"start_logging_session", "log_message", "end_session"})
"""Calls that the messages themselves stand for."""


@dataclass(frozen=True, slots=True)
class Part:
    """Messages of a session that follow one another; `total` counts all of it."""

    messages: tuple[Message, ...]
    total: int
    calls: tuple[CallRow, ...] = ()

    @property
    def has_older(self) -> bool:
        """Whether there are messages before these."""
        return bool(self.messages) and self.messages[0].seq > 1

    @property
    def has_newer(self) -> bool:
        """Whether there are messages after these."""
        return bool(self.messages) and self.messages[-1].seq < self.total

    def items(self) -> tuple[Message | CallRow, ...]:
        """Return messages and calls in the order of their times."""
        timed: list[tuple[int, Message | CallRow]] = [
            *((microseconds(message.created_at), message) for message in self.messages),
            *((call.at_us, call) for call in self.calls),
        ]
        return tuple(item for _, item in sorted(timed, key=itemgetter(0)))


class Reader:
    """Reads one session from memory and ledger."""

    def __init__(self, memory: Memory, ledger: Ledger, session: Session) -> None:
        self._memory = memory
        self._ledger = ledger
        self._session = session

    def newest(self) -> Part:
        """Read the end of the session."""
        page = self._memory.messages(self._session.id, before=_END, limit=AT_ONCE)
        return self._part(page, until=None)

    def around(self, seq: int) -> Part:
        """Read the newest messages where they hold this one, else those before and after it."""
        newest = self.newest()
        if not newest.messages or newest.messages[0].seq <= seq:
            return newest
        after = max(0, seq - AT_ONCE // 2)
        page = self._memory.messages(self._session.id, after=after, limit=AT_ONCE)
        last = page.items[-1].created_at if page.items else None
        return self._part(page, until=last)

    def older(self, first: Message) -> Part:
        """Read messages before this one."""
        page = self._memory.messages(self._session.id, before=first.seq, limit=AT_ONCE)
        return self._part(page, until=first.created_at)

    def newer(self, last: Message) -> Part:
        """Read messages after this one."""
        page = self._memory.messages(self._session.id, after=last.seq, limit=AT_ONCE)
        return self._part(page, since=last.created_at, until=None)

    def _part(
        self, page: Page[Message], *, since: datetime | None = None, until: datetime | None
    ) -> Part:
        if not page.items:
            return Part((), page.total)
        return Part(page.items, page.total, self._calls(since or page.items[0].created_at, until))

    def _calls(self, since: datetime, until: datetime | None) -> tuple[CallRow, ...]:
        """Read what this session's agent called in this project in that time."""
        from pktui.ledger.feed.filter import FeedFilter, exactly

        session = self._session
        until = until or session.ended_at
        if not session.agent or session.source != "mcp":
            return ()
        wanted = FeedFilter(
            (
                exactly("agent", session.agent),
                exactly("project", session.project),
            ),
            since_us=microseconds(since),
            before_us=microseconds(until) if until else 0,
        )
        try:
            calls = self._ledger.feed.page(wanted, limit=CALLS_AT_ONCE)
        except LedgerError:
            return ()  # the status line tells of it; the messages are worth showing alone
        return tuple(call for call in calls if call.tool not in _LOGGING)


def microseconds(at: datetime) -> int:
    """Return the microseconds since the epoch."""
    return round(at.timestamp() * 1_000_000)
