"""Settled calls on their way from the ledger into the memory, beside the session they belong to.

Off the path of a call, and only where the memory runs already. A call goes to the session that its
caller logs to at that time; one whose caller has none stays in the ledger alone.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pktui.agent_names import recorded_call_id
from pktui.errors import PktuiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import CallRow
    from pktui.memory.client import MemoryClient
    from pktui.memory.records import Identity, NewCall, Outcome
    from pktui.settings import Paths

    Connect = Callable[[Identity], MemoryClient]

_MOST: Final = 200
_TIMEOUT_S: Final = 5.0
# A call without an outcome for so long is told as one without a result.
_SETTLED_US: Final = 600_000_000
_OWN_SERVER: Final = "memory"
_NEVER_SENT: Final = frozenset({"deny", "hide", "refused"})
_OUTCOMES: Final[dict[str, Outcome]] = {
    "ok": "ok",
    "": "no result",
    "lost": "no result",
    "cancelled": "cancelled",
}


class RememberedCalls:
    """Tells the memory of the calls since the first look, each once; `connect` reaches it."""

    def __init__(self, paths: Paths, connect: Connect | None = None) -> None:
        self._paths = paths
        self._connect = connect or self._client
        self._after: int | None = None

    def tell(self, ledger: Ledger, now_us: int) -> None:
        """Send what has settled since the last look; what cannot be sent waits for the next."""
        if self._after is None or not self._paths.memory_dir.exists():
            self._after = ledger.events.last_seq()
            return
        rows = _settled(ledger.feed.page(after_seq=self._after, limit=_MOST), now_us)
        if not rows:
            return
        from pktui.errors import MemoryUnavailable
        from pktui.memory.records import Identity

        by_caller: dict[Identity, list[NewCall]] = defaultdict(list)
        for row in rows:
            if row.server != _OWN_SERVER and row.tool:
                who = Identity(row.agent, row.grant, row.project, row.session)
                by_caller[who].append(_call(row))
        for who, calls in by_caller.items():
            try:
                with closing(self._connect(who)) as memory:
                    memory.log_calls(calls)
            except MemoryUnavailable:
                return
            except PktuiError:
                continue  # the caller logs to no session
        self._after = rows[-1].seq

    def _client(self, who: Identity) -> MemoryClient:
        from pktui.memory.client import MemoryClient

        return MemoryClient(self._paths, who, timeout=_TIMEOUT_S, start=False)


def _settled(rows: Sequence[CallRow], now_us: int) -> Sequence[CallRow]:
    """Return the rows before the first call that may still get its outcome."""
    for at, row in enumerate(rows):
        waits = not row.outcome and row.effect not in _NEVER_SENT
        if waits and now_us - row.at_us < _SETTLED_US:
            return rows[:at]
    return rows


def _call(row: CallRow) -> NewCall:
    from pktui.memory.records import NewCall

    denied = row.effect in _NEVER_SENT
    return NewCall(
        tool=f"mcp__{row.server}__{row.tool}",
        arguments=row.arguments,
        outcome="denied" if denied else _OUTCOMES.get(row.outcome, "error"),
        result=row.reason if denied else "",
        created_at=datetime.fromtimestamp(row.at_us / 1_000_000, UTC),
        call_id=recorded_call_id(row.seq),
    )
