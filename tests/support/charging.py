"""Taking from limits and giving back, as a decision and the end of its call do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from pktui.ledger.counters import Charge

if TYPE_CHECKING:
    from pktui.ledger import Ledger

C = TypeVar("C", bound=Charge)


def take(
    ledger: Ledger,
    charges: Sequence[C],
    call_id: str = "",
) -> C | None:
    """Decide a call that takes from limits; return the charge that does not fit, if any."""
    with ledger.transaction(rows=False):
        turn = ledger.transaction.turn()
        refused = ledger.counters.reserve(charges, call_id, turn)
        if refused is None:
            taken = ledger.counters.taken(turn, call_id)
            ledger.events.append("decision", call_id=call_id, effect="allow", charges=taken)
    return refused


def give_back(ledger: Ledger, call_id: str) -> bool:
    """End a call that did not run; tell whether it had taken anything."""
    with ledger.transaction(rows=False):
        charged = ledger.events.charged(call_id)
        back = ledger.counters.release(charged, ledger.transaction.turn())
        ledger.events.append("outcome", call_id=call_id, outcome="error", charges=back)
    return bool(back)
