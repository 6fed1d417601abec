"""Reading a session: its whole outline at once, its texts in parts, its calls as they are opened.

Everything here blocks and is called from thread workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from pktui.errors import LedgerError
from pktui.tui.views.sessions.joining import USE_MEMBER, by_key, joined, told_by
from pktui.tui.views.sessions.timeline import LineCall, Timeline

if TYPE_CHECKING:
    from datetime import datetime

    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Approval, CallRow, Event, Result
    from pktui.memory.records import Call, CallBrief, Message, Session
    from pktui.tui.services import Memory

# Messages read at a time.
AT_ONCE = 200
# Calls of one session that are read of the ledger, the last ones.
MOST_CALLS = 50_000
# Calls of a session that are read and joined with the ledger before its first paint, the last ones.
_MOST_SOON = 1_000
_AT_ONCE_CALLS = 500
_MOST_USES = 20_000
# Rows at the end of a session that are looked at again until their calls have ended.
_MOST_OPEN = 200
_SETTLED = frozenset({"deny", "hide", "refused"})
_EVER = 2**62
_SECOND = 1_000_000
# How far the clocks of an agent's record and of the ledger may be apart.
_BESIDE_US = 60 * _SECOND


@dataclass(frozen=True, slots=True)
class Part:
    """Messages of a session that follow one another."""

    messages: tuple[Message, ...]

    @property
    def first(self) -> int:
        """The `seq` of the first, 0 where there are none."""
        return self.messages[0].seq if self.messages else 0

    @property
    def last(self) -> int:
        """The `seq` of the last, 0 where there are none."""
        return self.messages[-1].seq if self.messages else 0


@dataclass(frozen=True, slots=True)
class WholeCall:
    """Everything on record about a call; `history` is read when it is opened."""

    call: LineCall
    row: CallRow | None = None
    kept: Call | None = None
    approval: Approval | None = None
    history: tuple[Event, ...] = ()
    answer: Result | None = None
    """Its result in the ledger."""

    @property
    def arguments(self) -> str:
        """The arguments, JSON text: as the ledger has them, else as the memory has."""
        return (self.row.arguments if self.row else "") or (
            self.kept.arguments if self.kept else ""
        )

    @property
    def told(self) -> str:
        """What the agent's own record says it was given."""
        return self.kept.result if self.kept else ""


class Reader:
    """Reads one session from memory and ledger, and what came to it since."""

    def __init__(self, memory: Memory, ledger: Ledger, session: Session) -> None:
        self._memory = memory
        self._ledger = ledger
        self._session = session
        self._lock = Lock()
        self._times: list[int] = []
        self._roles = ""
        self._briefs: list[CallBrief] = []
        # Whether calls before those in `_briefs` were left out so far.
        self._without_older = False
        self._rows: dict[int, CallRow] = {}
        self._answered: frozenset[str] = frozenset()
        self._connections: set[str] = set()
        self._looked: frozenset[str] = frozenset()
        self._line: Timeline | None = None

    def opening(self, *, whole: bool = False) -> Timeline:
        """Read the session; of one with very many calls only the last ones, and no ledger.

        `whole`: all of its calls, as a place among them is looked for.
        """
        return self._read(soon=not whole)

    def completed(self) -> Timeline:
        """Read what `opening` left out, and what only a longer look finds."""
        if self._without_older:
            self._read()
        self._find_connections()
        return self._read()

    def timeline(self) -> Timeline:
        """Read what is new in the session, and return all of it; the same where nothing is."""
        return self._read()

    def _read(self, *, soon: bool = False) -> Timeline:
        with self._lock:
            if self._without_older and not soon:
                self._briefs, self._without_older = [], False
            outline = self._memory.outline(
                self._session.id,
                after=len(self._times),
                calls_after=len(self._briefs),
                calls_last=_MOST_SOON + 1 if soon else None,
            )
            self._times += outline.times_us
            self._roles += outline.roles
            self._briefs += outline.calls
            before, answered = dict(self._rows), self._answered
            self._without_older = soon and len(self._briefs) > _MOST_SOON
            if not self._without_older:
                # Without the ledger, which the status line tells of, the rest is worth showing.
                with suppress(LedgerError):
                    self._read_rows()
            moved = (before, answered) != (self._rows, self._answered)
            if self._line is None or outline.times_us or outline.calls or moved:
                calls = joined(self._session, self._briefs, self._rows.values(), self._answered)
                self._line = Timeline(tuple(self._times), self._roles, calls)
            return self._line

    def _find_connections(self) -> None:
        """Look for connections of the agent whose calls its own record names."""
        session = self._session
        if session.source == "mcp" or not self._times:
            return
        uses = {brief.call_id for brief in self._briefs if brief.call_id}
        with suppress(LedgerError):
            told = self._ledger.feed.uses(
                USE_MEMBER,
                since_us=self._times[0] - _BESIDE_US,
                before_us=max(self._times) + _BESIDE_US,
                limit=_MOST_USES,
            )
            found = {connection for connection, use in told if use in uses}
            with self._lock:
                self._connections |= found

    def _read_rows(self) -> None:
        session, feed = self._session, self._ledger.feed
        if session.source == "mcp":
            told = by_key(self._briefs)
            missing = [key for key in told if key not in self._rows]
            rows = tuple(row for row in feed.named(missing) if told_by(row, told))
            self._rows |= {row.seq: row for row in rows}
            self._connections |= {row.session for row in rows if row.session}
            if not self._connections:
                self._connections |= self._began_by()
            # What the agent itself says is its session has its calls over other connections, too.
            known = self._rows.values()
            self._connections |= {row.agent_session for row in known if row.agent_session}
        elif session.source_id:
            self._connections.add(session.source_id)
        since = microseconds(session.started_at) if session.source == "mcp" else 0
        ended = session.ended_at if session.source == "mcp" else None
        if self._connections == self._looked:
            since = max(since, self._settled_us())
        self._looked = frozenset(self._connections)
        rows = feed.of_sessions(
            sorted(self._connections),
            since_us=since,
            before_us=microseconds(ended) if ended else _EVER,
            limit=MOST_CALLS,
        )
        self._rows |= {row.seq: row for row in rows}
        newest = list(self._rows.values())[-_MOST_OPEN:]
        self._answered = self._ledger.results.kept([row.call_id for row in newest])

    def _settled_us(self) -> int:
        """Return up to when no row that was read can still become another."""
        newest = list(self._rows.values())[-_MOST_OPEN:]
        unsettled = [row.at_us for row in newest if not row.outcome and row.effect not in _SETTLED]
        return min(unsettled, default=newest[-1].at_us if newest else 0)

    def _began_by(self) -> set[str]:
        """Return the connection that began a session which the agent logs itself."""
        from pktui.ledger.feed.filter import FeedFilter, exactly

        session, began = self._session, microseconds(self._session.started_at)
        wanted = FeedFilter(
            (
                exactly("server", "memory"),
                exactly("tool", "start_logging_session"),
                exactly("agent", session.agent),
                exactly("project", session.project),
            ),
            since_us=began - _BESIDE_US,
            before_us=began + 1,
        )
        return {row.session for row in self._ledger.feed.page(wanted, limit=1) if row.session}

    # Texts

    def around(self, slot: int, total: int) -> Part:
        """Read the messages before and after a slot; as many as one part holds, if there are."""
        after = min(max(0, slot - AT_ONCE // 2), max(0, total - AT_ONCE))
        return self._part(after)

    def older(self, first: int) -> Part:
        """Read messages before the one of that `seq`."""
        page = self._memory.messages(self._session.id, before=first, limit=AT_ONCE)
        return Part(page.items)

    def newer(self, last: int) -> Part:
        """Read messages after the one of that `seq`."""
        return self._part(last)

    def _part(self, after: int) -> Part:
        items = self._memory.messages(self._session.id, after=after, limit=AT_ONCE).items
        # What came since the outline was read has no place in the line yet.
        return Part(tuple(one for one in items if one.seq <= len(self._times)))

    # Calls

    def whole(self, calls: Sequence[LineCall]) -> Mapping[int, WholeCall]:
        """Read these calls whole, by their ids; one that is gone is left out."""
        kept = self._kept(sorted(call.kept for call in calls if call.kept))
        rows: dict[int, CallRow] = {}
        answers: dict[str, Result] = {}
        approvals: dict[str, Approval] = {}
        try:
            found = self._ledger.feed.named([call.row for call in calls if call.row])
            rows = {row.seq: row for row in found}
            answers = self._ledger.results.of([row.call_id for row in found])
            for number in {row.approval_id for row in found if row.approval_id}:
                approval = self._ledger.approvals.get(number)
                if approval is not None:
                    approvals[number] = approval
        except LedgerError:
            pass  # what the memory keeps of them is worth showing alone
        made = {}
        for call in calls:
            row = rows.get(call.row)
            if row or call.kept in kept:
                approval = approvals.get(row.approval_id) if row else None
                answer = answers.get(row.call_id) if row else None
                if answer is not None and not answer.text and call.kept in kept:
                    answer = None  # of which only the hash is kept: the agent's record says more
                made[call.id] = WholeCall(call, row, kept.get(call.kept), approval, (), answer)
        return made

    def with_history(self, whole: WholeCall) -> WholeCall:
        """Read all events of a call."""
        if whole.row is None or not whole.row.call_id:
            return whole
        try:
            events = self._ledger.events.of_call(whole.row.call_id)
        except LedgerError:
            return whole
        return replace(whole, history=events)

    def _kept(self, seqs: Sequence[int]) -> Mapping[int, Call]:
        found: dict[int, Call] = {}
        for seq in seqs:
            if seq not in found:
                later = [other for other in seqs if seq <= other < seq + _AT_ONCE_CALLS]
                page = self._memory.calls(
                    self._session.id, after=seq - 1, limit=later[-1] - seq + 1
                )
                found |= {call.seq: call for call in page.items}
        return found


def microseconds(at: datetime) -> int:
    """Return the microseconds since the epoch."""
    return round(at.timestamp() * 1_000_000)
