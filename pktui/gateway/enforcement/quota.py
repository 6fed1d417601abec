"""The quota step: the policy looks at the ledger's counters, the Enforcer reserves from them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from pktui.policy.evaluate import Charge, Effect, Usage, Verdict

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Charged


class LedgerQuota:
    """The counters that all gateways share, as the transaction under way sees them.

    Outside one it can only be looked.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._counters = ledger.counters
        self._turn = ledger.transaction.turn

    def usage(self, charge: Charge) -> Usage:
        """Return what is used in the charge's window now, without counting."""
        used, retry_at_us = self._counters.usage(charge, self._turn())
        return Usage(charge, used, retry_at_us)

    def reserve(self, charges: Sequence[Charge], call_id: str) -> Verdict | None:
        """Take every charge or none; return the denial where one does not fit."""
        refused = self._counters.reserve(charges, call_id, self._turn())
        if refused is None:
            return None
        usage = self.usage(refused)
        fits_later = refused.amount <= refused.max
        reason = refused.on_deny or f"The quota {refused.counter} is used up."
        return Verdict(
            Effect.DENY,
            refused.rule,
            reason,
            usages=(usage,),
            retry_at_us=usage.retry_at_us if fits_later else 0,
            over_limit=True,
        )

    def taken(self, call_id: str) -> tuple[Charged, ...]:
        """Return what a call took in this transaction."""
        return self._counters.taken(self._turn(), call_id)


class Uncounted:
    """The counters as a call sees them that was charged already and goes on: nothing is used."""

    def usage(self, charge: Charge) -> Usage:
        """Return that the charge fits."""
        return Usage(charge, Decimal(0), 0)
