"""The queue: what waits, oldest first, then what was decided, latest first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pktui.insight.groups import Group, calls_of, group_of, grouped
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

    def having(self, words: str) -> Queue:
        """Return the approvals that these words find."""
        return Queue(having(self.items, words))

    def waiting(self, now_us: int) -> int:
        """Return how many wait."""
        return sum(state_of(item, now_us) == "waiting" for item in self.items)


@dataclass(frozen=True, slots=True)
class Listed:
    """The rows of the list: what waits, many of a kind as a group, and what was decided."""

    rows: tuple[Approval | Group, ...] = ()

    @classmethod
    def of(cls, queue: Queue, unfolded: Collection[str], now_us: int) -> Listed:
        """Lay out a queue; `unfolded` are the groups whose calls have rows of their own."""
        waiting = [one for one in queue.items if state_of(one, now_us) == "waiting"]
        decided = (one for one in queue.items if state_of(one, now_us) != "waiting")
        return cls((*grouped(waiting, unfolded), *decided))

    def index(self, row_id: str) -> int | None:
        """Return the place of an approval or a group, `None` where it has no row."""
        found = (index for index, row in enumerate(self.rows) if row.id == row_id)
        return next(found, None)

    def group_of(self, approval_id: str) -> Group | None:
        """Return the group that a call is in, None where it is in none."""
        return group_of(self.rows, approval_id)

    def asked_anew(self, approval_id: str) -> str:
        """Return the question that took the place of another, as a look showed something else."""
        calls = [one for row in self.rows for one in calls_of(row)]
        looks = ((one, one.looked) for one in calls if one.look and one.status == "pending")
        return next((one.id for one, look in looks if look and look.anew == approval_id), "")

    def next_waiting(self, after: str, now_us: int) -> str:
        """Return the row that waits and follows this one, else the first that does, else "".

        Never the group that this one is in, nor a call of this one.
        """
        here = self.index(after)
        own = self.group_of(after)
        kin = {after, own.id if own is not None else ""}
        if here is not None and isinstance(found := self.rows[here], Group):
            kin |= {one.id for one in found.members}
        waiting = [row.id for row in self.rows if row_state(row, now_us) == "waiting"]
        behind = {row.id for row in self.rows[here + 1 :]} if here is not None else set()
        others = [name for name in waiting if name not in kin]
        return next((name for name in others if name in behind), others[0] if others else "")


def row_state(row: Approval | Group, now_us: int) -> State:
    """Return where a row stands; the calls of a group wait."""
    return "waiting" if isinstance(row, Group) else state_of(row, now_us)


def arrange(pending: Sequence[Approval], recent: Sequence[Approval], now_us: int) -> Queue:
    """Put what waits before what was decided; each approval once."""
    by_id = {item.id: item for item in (*pending, *recent)}
    items = list(by_id.values())
    waiting = [item for item in items if state_of(item, now_us) == "waiting"]
    decided = [item for item in items if state_of(item, now_us) != "waiting"]
    waiting.sort(key=lambda item: item.created_us)
    decided.sort(key=lambda item: -settled_us(item))
    return Queue((*waiting, *decided))
