"""The approval step: a person is asked once, and the answer is used once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pktui.ledger.canonical import args_hash
from pktui.ledger.records import NewApproval

if TYPE_CHECKING:
    from pktui.gateway.calls import ToolCall
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Approval
    from pktui.policy.evaluate import Verdict
    from pktui.settings import ApprovalSettings

_MINUTE_US: Final = 60_000_000


class Asking:
    """Opens, finds, spends and withdraws the approvals of calls to one server."""

    def __init__(
        self, ledger: Ledger, settings: ApprovalSettings, server: str, clock: Callable[[], int]
    ) -> None:
        self._approvals = ledger.approvals
        self._presence = ledger.presence
        self._expiry_us = round(settings.expiry_minutes * _MINUTE_US)
        self._server = server
        self._clock = clock

    def attended(self) -> bool:
        """Tell whether a console is open, so that waiting makes sense."""
        return bool(self._presence.alive("console"))

    def ask(self, call: ToolCall, verdict: Verdict, definition_hash: str) -> Approval:
        """Return the approval that answers this call, opening one where none does.

        An earlier identical call's approval is met again: allowed, denied or still open. One that
        was given for another definition of the tool is withdrawn.
        """
        digest = args_hash(call.arguments)
        found = self._approvals.find(call.caller.identity, self._server, call.tool, digest)
        if found is not None and self._stands(found):
            if _given_for(found, definition_hash):
                return found
            self.withdraw(found)
        return self._approvals.open(
            NewApproval(
                caller=call.caller,
                server=self._server,
                tool=call.tool,
                arguments=call.arguments,
                args_hash=digest,
                expires_us=self._clock() + self._expiry_us,
                definition_hash=definition_hash,
                rule=verdict.rule,
                reason=verdict.reason,
                once=verdict.once,
                call_id=call.call_id,
            )
        )

    def again(
        self, call: ToolCall, verdict: Verdict, held: Approval | None, definition_hash: str
    ) -> Approval:
        """Return the approval of a held call as it stands now.

        Where it was spent by an identical call, or the tool's definition changed meanwhile, the
        person is asked anew.
        """
        now = self._approvals.get(held.id) if held is not None else None
        if now is None or now.status == "spent" or not _given_for(now, definition_hash):
            return self.ask(call, verdict, definition_hash)
        if now.status == "expired":
            self._approvals.expire()
        return now

    def _stands(self, found: Approval) -> bool:
        """Tell whether the answer, or the question, is still good; a denial ends in time too."""
        if found.status == "denied":
            return found.expires_us > self._clock()
        return found.status in ("pending", "allowed")

    def spend(self, approval: Approval) -> None:
        """Use up an allowed approval."""
        self._approvals.spend(approval.id)

    def withdraw(self, approval: Approval | None) -> None:
        """Take a question back, unless it has been answered and used."""
        if approval is not None:
            self._approvals.withdraw(approval.id)


def _given_for(approval: Approval, definition_hash: str) -> bool:
    """Tell whether the definition is the approval's; one first listed since then is no change."""
    return approval.definition_hash in ("", definition_hash)
