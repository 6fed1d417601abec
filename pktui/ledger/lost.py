"""Calls whose gateway died without a word get their end on record.

A gateway's calls are known by their ids, which begin with the token it announced itself with.
Whoever looks first settles them, a few at a time; what one process began, another ends.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pktui.ledger.journal.segment import KEY_SQL
from pktui.ledger.records import Caller
from pktui.ledger.schema import CALLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.approvals.approvals import Approvals
    from pktui.ledger.approvals.standing import Standing
    from pktui.ledger.database import Database
    from pktui.ledger.events import Events
    from pktui.ledger.presence import Presence
    from pktui.ledger.records import Present
    from pktui.ledger.transaction import Row

# Calls that are settled in one transaction.
_PIECE: Final = 100
_REASON: Final = "Its gateway ended without a word."
_OUTCOME: Final = (
    "SELECT 1 FROM events o WHERE o.call_id = {call} AND o.call_id <> '' AND o.kind = 'outcome'"
)
_OPEN: Final = f"""SELECT call_id, seq, {KEY_SQL}, server, tool, agent, grant_name,
        session, project, effect, approval_id FROM events
    WHERE call_id > ? AND call_id < ? AND call_id <> '' AND kind = 'decision'
        AND effect IN ('allow', 'approve')
        AND NOT EXISTS ({_OUTCOME.format(call="events.call_id")})"""  # noqa: S608
_ENDED: Final = _OUTCOME.format(call="?")
_SHARED: Final = f"""SELECT 1 FROM events
    WHERE {CALLS} AND effect <> 'allow' AND effect = 'approve' AND seq > ? AND approval_id = ?
        AND NOT EXISTS ({_OUTCOME.format(call="events.call_id")})"""  # noqa: S608
_RELEASED: Final = """SELECT 1 FROM events
    WHERE call_id = ? AND call_id <> '' AND kind = 'approval' AND effect = 'allow'"""
_START: Final = """SELECT agent, grant_name, session, project FROM events
    WHERE call_id = ? AND call_id <> '' AND kind = 'start'"""


class Lost:
    """Finds gateways that died and settles what they left."""

    def __init__(
        self,
        database: Database,
        index: Callable[[], Database],
        presence: Presence,
        events: Events,
        approvals: Approvals,
        standing: Standing,
    ) -> None:
        self._database = database
        self._index = index
        self._presence = presence
        self._events = events
        self._approvals = approvals
        self._standing = standing

    def settle(self) -> int:
        """Settle all that gateways left that are no more; return how many calls that were.

        A call that went out is `lost`: nobody knows whether it ran, so it keeps its quota. One
        that waited for a person is `cancelled`, and its question withdrawn. Raises
        `LedgerUnavailable`.
        """
        return sum(self._settle(dead) for dead in self._presence.dead("gateway"))

    def _settle(self, dead: Present) -> int:
        open_calls = self._open_calls(dead.token)
        settled = 0
        for start in range(0, len(open_calls), _PIECE):
            with self._database.transaction():
                piece = open_calls[start : start + _PIECE]
                settled += sum(self._end_call(row, dead) for row in piece)
        with self._database.transaction():
            if self._presence.leave(dead.token):
                self._end_gateway(dead, settled)
        return settled

    def _open_calls(self, token: str) -> list[Row]:
        return self._index().rows(_OPEN, (token, f"{token}~"))

    def _end_call(self, row: Row, dead: Present) -> int:
        """Put the end of one call on record; 0 where another was quicker."""
        call_id, place, seq, server, tool, *names, effect, approval_id = row
        index = self._index()
        if index.row(_ENDED, (call_id,)):
            return 0
        went_out = effect == "allow" or index.row(_RELEASED, (call_id,)) is not None
        if approval_id and not went_out:
            self._withdraw(approval_id, call_id, place)
        self._events.append(
            "outcome",
            caller=Caller(*names),
            call_id=call_id,
            server=server,
            tool=tool,
            outcome="lost" if went_out else "cancelled",
            reason=_REASON,
            approval_id=approval_id,
            detail=_who(dead),
            ref_seq=seq,
        )
        return 1

    def _withdraw(self, approval_id: str, call_id: str, place: int) -> None:
        """Take a question back, unless another call asked it or came later and waits for it too."""
        asked = self._approvals.get(approval_id)
        if asked is None or asked.call_id != call_id:
            return
        if self._index().row(_SHARED, (place, approval_id)) is None:
            self._approvals.withdraw(approval_id)

    def _end_gateway(self, dead: Present, calls: int) -> None:
        start = self._index().row(_START, (dead.token,))
        caller = Caller(*start) if start else Caller(dead.agent, project=dead.project)
        self._events.append(
            "end",
            caller=caller,
            server=dead.server,
            reason=_REASON,
            detail={**_who(dead), "calls": calls},
        )
        if caller.session:
            self._standing.disconnected(caller.session)


def _who(dead: Present) -> dict[str, object]:
    """Return which process died, and which one says so."""
    return {"lost_pid": dead.pid, "by_pid": os.getpid()}
