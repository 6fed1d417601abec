"""The approval step: a person is asked once, and the answer is used once.

Unless the answer was a wider one: a standing approval answers every call that it is for, but for
tools that destroy or move money, and only while the tool is defined as it was then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import PolicyError
from pktui.gateway.enforcement.places import place_of
from pktui.ledger.arguments.canonical import json_text
from pktui.ledger.records import Approval, Looked, NewApproval

if TYPE_CHECKING:
    from pktui.gateway.enforcement.decision import ToolCall
    from pktui.gateway.enforcement.pins import Pins
    from pktui.ledger.approvals.standing import StandingApproval
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Caller
    from pktui.policy.evaluate import Verdict
    from pktui.settings import ApprovalSettings

_MINUTE_US: Final = 60_000_000


class Asking:
    """Opens, finds, spends and withdraws the approvals of calls to one server."""

    def __init__(
        self,
        ledger: Ledger,
        settings: ApprovalSettings,
        server: str,
        pins: Pins,
        clock: Callable[[], int],
        *,
        looks: bool,
    ) -> None:
        """`looks`: there is a server that can be asked what a call would change."""
        self._looks = looks
        self._ledger = ledger
        self._approvals = ledger.approvals
        self._presence = ledger.presence
        self._expiry_us = round(settings.expiry_minutes * _MINUTE_US)
        self._server = server
        self._pins = pins
        self._clock = clock
        self._live: tuple[StandingApproval, ...] | None = None

    def attended(self) -> bool:
        """Tell whether a console is open, so that waiting makes sense."""
        return bool(self._presence.alive("console"))

    def has_no_grant(self, caller: Caller) -> bool:
        """Tell whether the grant that the caller came with has ended, so that nobody is asked."""
        return bool(caller.key) and not self._ledger.grants.stands(caller.key)

    def is_too_much(self, call: ToolCall, verdict: Verdict) -> bool:
        """Tell whether no more questions of this client can be kept; answers count all the same.

        Whoever asks without end would fill the record with it.
        """
        size = len(json_text(call.arguments)) + len(json_text(call.beside))
        if self._ledger.events.may_ask(call.caller, self._server, size):
            return False
        met = self.answer(call, verdict)
        return met is None or (isinstance(met, Approval) and met.status == "pending")

    def forget(self) -> None:
        """Read the standing approvals again: the ledger changed."""
        self._live = None

    def redefined(self) -> None:
        """End the standing approvals of tools that are defined otherwise now."""
        self._ledger.standing.redefined(self._server)
        self.forget()

    def needs_look(self, call: ToolCall, verdict: Verdict, held: Approval | None = None) -> bool:
        """Tell whether what a call would change is to be looked at before anything else.

        So it is before a person is asked, and before a call goes out that one has allowed.
        """
        if verdict.look is None or call.looked is not None or not self._looks:
            return False
        met = self._met(call, verdict, held)
        if met is None:
            return not self._approvals.crowded(call.caller.identity)
        return isinstance(met, Approval) and met.status == "allowed"

    def ask(self, call: ToolCall, verdict: Verdict) -> Approval | StandingApproval | None:
        """Return what answers this call, asking a person where nothing does.

        None: so many questions of this client wait that no more is asked.

        An earlier identical call's approval is met again: allowed, denied or still open; one that
        was given for another definition of the tool is taken back. Where that is open, or there
        is none, a standing approval answers. A permission is taken back, and the person asked anew,
        where what the call would change shows another answer than it did to them.
        """
        digest = call.digest
        found = self._found(call, digest)
        if found is not None and not self._given_for(found, verdict):
            self._approvals.void(found.id)
            found = None
        other = found if found is not None and self._shows_other(call, verdict, found) else None
        if other is not None:
            self._approvals.void(other.id)
            found = None
        if found is not None and found.status != "pending":
            return found
        standing = self._standing(call, verdict, digest)
        if standing is not None:
            self.withdraw(found)
            return standing
        if found is None and self._approvals.crowded(call.caller.identity):
            return None
        return found or self._open(call, verdict, digest, other)

    def answer(self, call: ToolCall, verdict: Verdict) -> Approval | StandingApproval | None:
        """Return what `ask` would, but None where it would open a question; changes nothing."""
        digest = call.digest
        found = self._found(call, digest)
        if found is not None and not self._given_for(found, verdict):
            found = None
        if found is not None and found.status != "pending":
            return found
        return self._standing(call, verdict, digest) or found

    def again(
        self, call: ToolCall, verdict: Verdict, held: Approval | None
    ) -> Approval | StandingApproval | None:
        """Return what answers a held call now; None as with `ask`.

        The person is asked anew where the answer was used by an identical call, or the question
        was taken back by one, or the tool's definition changed meanwhile.
        """
        now = self._stays(held, verdict)
        if now is None or self._shows_other(call, verdict, now):
            return self.ask(call, verdict)
        if now.status == "expired":
            self._approvals.expire()
        return now

    def _stays(self, held: Approval | None, verdict: Verdict) -> Approval | None:
        """Return a held call's answer, None where it has none that is still good."""
        now = self._approvals.get(held.id) if held is not None else None
        if now is None or now.status in ("spent", "withdrawn", "pending") or self._forged(now):
            return None
        return now if self._given_for(now, verdict) else None

    def _met(
        self, call: ToolCall, verdict: Verdict, held: Approval | None
    ) -> Approval | StandingApproval | None:
        """Return what `ask`, or for a held call `again`, would find; changes nothing."""
        return self._stays(held, verdict) or self.answer(call, verdict)

    def _shows_other(self, call: ToolCall, verdict: Verdict, allowed: Approval) -> bool:
        """Tell whether a look found other than what was shown to the person who allowed it."""
        if allowed.status != "allowed" or verdict.look is None or call.looked is None:
            return False
        return not call.looked.is_same(allowed.looked)

    def changed(self, held: Approval | None) -> Approval | None:
        """Return the permission that a person gave a held call with other arguments, if any."""
        now = self._approvals.get(held.id) if held is not None else None
        if now is None or now.status != "allowed" or not now.changed_hash or self._forged(now):
            return None
        return now if self._given_for(now, None) else None

    def use(self, answer: Approval | StandingApproval) -> None:
        """Use up an allowed approval, or count the use of a standing one."""
        if isinstance(answer, Approval):
            self._approvals.spend(answer.id)
        else:
            self._ledger.standing.use(answer.id)

    def withdraw(self, approval: Approval | None) -> None:
        """Take a question back, unless it has been answered and used."""
        if approval is not None:
            self._approvals.withdraw(approval.id)

    def _found(self, call: ToolCall, digest: str) -> Approval | None:
        """Return the identical call's approval that is still good."""
        found = self._approvals.find(call.caller.identity, self._server, call.tool, digest)
        return found if found is not None and self._stands(found) else None

    def _open(
        self, call: ToolCall, verdict: Verdict, digest: str, other: Approval | None
    ) -> Approval:
        """Ask; `other` is a permission that was taken back as a look now shows something else."""
        looked, reason = self._looked(call, verdict), verdict.reason
        if other is not None and looked is not None:
            before = other.looked.shown if other.looked is not None else ""
            looked = msgspec.structs.replace(looked, anew=other.id, before=before)
            changed = f"What {looked.tool} shows has changed since {other.id} was allowed."
            reason = f"{changed} {reason}".rstrip()
        return self._approvals.open(
            NewApproval(
                caller=call.caller,
                server=self._server,
                tool=call.tool,
                arguments=call.arguments,
                args_hash=digest,
                expires_us=self._clock() + self._expiry_us,
                definition_hash=self._pins.definition_hash(call.tool),
                rule=verdict.rule,
                reason=reason,
                looked=looked,
                once=self._once(call, verdict),
                approvers=verdict.approvers,
                call_id=call.call_id,
                beside=call.beside,
                meta=call.meta,
            )
        )

    def _looked(self, call: ToolCall, verdict: Verdict) -> Looked | None:
        if verdict.look is None or call.looked is not None:
            return call.looked
        why = "an agent's own tools have no server that could be asked"
        return Looked(verdict.look.tool, self._clock(), why=why)

    def _once(self, call: ToolCall, verdict: Verdict) -> bool:
        """Tell whether a person has to look at each such call."""
        return verdict.once or self._pins.is_grave(call.tool)

    def _standing(self, call: ToolCall, verdict: Verdict, digest: str) -> StandingApproval | None:
        """Return the standing approval that answers the call, the oldest where several do."""
        if self._live is None:
            self._live = self._ledger.standing.live(self._server)
        if not (self._live and verdict.standing) or self._once(call, verdict):
            return None
        now, defined = self._clock(), self._pins.definition_hash(call.tool)
        for one in self._live:
            if (
                one.definition_hash == defined
                and one.answers(call.caller, call.tool, digest, now)
                and (not one.conditions or self._fulfils(call, one.conditions))
                and self._ledger.stands("standing", one.id)
            ):
                return one
        return None

    def _fulfils(self, call: ToolCall, conditions: str) -> bool:
        """Tell whether a call certainly is one that a standing approval is limited to.

        Conditions speak of arguments; what else a call carries, nobody has judged.
        """
        if call.beside:
            return False
        from pktui.policy.predicate import read_predicate  # few standing approvals have conditions

        try:
            predicate = read_predicate(conditions)
        except PolicyError:
            return False
        definition = self._pins.definition(call.tool)
        return predicate.holds(call.arguments, definition, place_of(call.caller.project))

    def _stands(self, found: Approval) -> bool:
        """Tell whether the answer, or the question, is still good; a denial ends in time too."""
        if self._forged(found):
            return False
        if found.status == "denied":
            return found.expires_us > self._clock()
        return found.status in ("pending", "allowed")

    def _forged(self, found: Approval) -> bool:
        """Tell whether an answer that allows is not as the journal has it: it does not count."""
        return found.status == "allowed" and not self._ledger.stands("approvals", found.id)

    def _given_for(self, approval: Approval, verdict: Verdict | None) -> bool:
        """Tell whether it was asked of as many people, of the tool as it is still defined.

        One first listed since then is no change; one that is not as it was pinned is.
        """
        if verdict is not None and approval.needed < verdict.approvers:
            return False
        if approval.definition_hash:
            return approval.definition_hash == self._pins.definition_hash(approval.tool)
        return not self._pins.changed(approval.tool)
