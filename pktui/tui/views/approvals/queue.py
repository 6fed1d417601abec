"""The queue: what waits, oldest first, then what was decided, latest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pktui.ledger.approvals.finding import having

if TYPE_CHECKING:
    from pktui.ledger.records import Approval

State = Literal["waiting", "allowed", "ran", "denied", "expired", "withdrawn"]

_STATES: dict[str, State] = {
    "pending": "waiting",
    "allowed": "allowed",
    "spent": "ran",
    "denied": "denied",
    "expired": "expired",
    "withdrawn": "withdrawn",
}


def state_of(approval: Approval, now_us: int) -> State:
    """Return where the approval stands; past its expiry it is expired, whatever the row says."""
    if approval.status == "pending" and approval.expires_us <= now_us:
        return "expired"
    return _STATES[approval.status]


def settled_us(approval: Approval) -> int:
    """Return when it stopped waiting, as far as the record tells."""
    if approval.decided_us:
        return approval.decided_us
    return approval.created_us if approval.status == "withdrawn" else approval.expires_us


@dataclass(frozen=True, slots=True)
class Queue:
    """Approvals in the order of the list."""

    items: tuple[Approval, ...] = ()

    def index(self, approval_id: str) -> int | None:
        """Return the place of an approval, `None` where it is not listed."""
        for index, approval in enumerate(self.items):
            if approval.id == approval_id:
                return index
        return None

    def next_waiting(self, after: str, now_us: int) -> str:
        """Return the waiting approval that follows this one, else the first, else ""."""
        waiting = [item.id for item in self.items if state_of(item, now_us) == "waiting"]
        here = self.index(after)
        behind = [item.id for item in self.items[here + 1 :]] if here is not None else []
        others = [name for name in waiting if name != after]
        return next((name for name in others if name in behind), others[0] if others else "")

    def having(self, words: str) -> Queue:
        """Return the approvals that these words find."""
        return Queue(having(self.items, words))

    def waiting(self, now_us: int) -> int:
        """Return how many wait."""
        return sum(state_of(item, now_us) == "waiting" for item in self.items)


def arrange(pending: Sequence[Approval], recent: Sequence[Approval], now_us: int) -> Queue:
    """Put what waits before what was decided; each approval once."""
    by_id = {item.id: item for item in (*pending, *recent)}
    items = list(by_id.values())
    waiting = [item for item in items if state_of(item, now_us) == "waiting"]
    decided = [item for item in items if state_of(item, now_us) != "waiting"]
    waiting.sort(key=lambda item: item.created_us)
    decided.sort(key=lambda item: -settled_us(item))
    return Queue((*waiting, *decided))
