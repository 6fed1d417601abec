"""The audit step: one row when a call is decided, one when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.gateway.enforcement.decision import Ended, ToolCall
    from pktui.gateway.protocol.jsonrpc import Refused
    from pktui.ledger.approvals.standing import StandingApproval
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Approval, Caller, Charged
    from pktui.policy.evaluate import Effect, Verdict


class Audit:
    """Writes the calls to one server into the ledger's log."""

    def __init__(self, ledger: Ledger, server: str) -> None:
        self._events = ledger.events
        self._server = server

    def decided(
        self,
        call: ToolCall,
        effect: Effect,
        verdict: Verdict,
        approval: Approval | StandingApproval | None = None,
        charges: Sequence[Charged] = (),
        changed: ToolCall | None = None,
    ) -> int:
        """Record what was decided, before anything goes out; return the row's `seq`.

        `changed` is the call as it goes out where a person changed it.
        """
        kept = (  # most have none of it
            call.agent_session
            or call.continues
            or call.beside
            or call.meta
            or call.unlisted
            or call.looks_for
            or changed
        )
        return self._events.append(
            "decision",
            caller=call.caller,
            call_id=call.call_id,
            server=self._server,
            tool=call.tool,
            effect=effect.value,
            rule=verdict.rule,
            reason=(_stood(approval) if approval is not None else "") or verdict.reason,
            args_hash=call.bound_hash or call.digest,
            arguments=call.arguments,
            approval_id=approval.id if approval is not None else "",
            detail=self._detail(call) | self._changed(changed) if kept else None,
            charges=charges,
        )

    def _detail(self, call: ToolCall) -> dict[str, object]:
        """Return what else is kept of a call, masked like its arguments."""
        detail: dict[str, object] = {}
        if call.agent_session:
            detail["agent_session"] = call.agent_session  # first: the index looks for it there
        if call.continues:
            detail["continues"] = call.continues
        for name, members in (("beside", call.beside), ("_meta", call.meta)):
            if members and (kept := self._events.masked(members)):
                detail[name] = msgspec.Raw(kept.encode())
        if call.looks_for:
            detail["looks_for"] = call.looks_for
        if call.unlisted:
            detail["unlisted"] = call.unlisted
        return detail

    def released(
        self,
        call: ToolCall,
        verdict: Verdict,
        approval: Approval | StandingApproval | None,
        charges: Sequence[Charged] = (),
        changed: ToolCall | None = None,
    ) -> None:
        """Record that a held call goes out now, by whose word, and with which change."""
        by = _stood(approval) or getattr(approval, "decided_by", "")
        self._events.append(
            "approval",
            caller=call.caller,
            call_id=call.call_id,
            server=self._server,
            tool=call.tool,
            effect="allow",
            rule=verdict.rule,
            reason=f"released by {by}" if by else "released: the policy allows it now",
            approval_id=approval.id if approval is not None else "",
            detail=self._changed(changed) or None,
            charges=charges,
        )

    def _changed(self, call: ToolCall | None) -> dict[str, object]:
        """Return the arguments that a person put in the place of the agent's, masked like those."""
        kept = self._events.masked(call.arguments) if call is not None else ""
        return {"changed": msgspec.Raw(kept.encode())} if kept else {}

    def ended(
        self,
        call: ToolCall,
        outcome: str,
        *,
        rule: str = "",
        reason: str = "",
        approval: Approval | None = None,
        seq: int = 0,
    ) -> None:
        """Record how a call ended that did not go out; `seq` is its decision's."""
        self._events.append(
            "outcome",
            caller=call.caller,
            call_id=call.call_id,
            server=self._server,
            tool=call.tool,
            rule=rule,
            reason=reason,
            outcome=outcome,
            approval_id=approval.id if approval is not None else "",
            ref_seq=seq,
        )

    def settled(self, end: Ended, given_back: Sequence[Charged] = ()) -> None:
        """Record how a forwarded call ended, and that it never went out where that is so."""
        self._events.append(
            "outcome",
            caller=end.call.caller,
            call_id=end.call.call_id,
            server=self._server,
            tool=end.call.tool,
            outcome=end.outcome,
            duration_us=end.duration_us,
            detail=None if end.sent else {"sent": False},
            ref_seq=end.seq,
            charges=given_back,
        )

    def refused(self, caller: Caller, refused: Refused, line: bytes) -> None:
        """Record a client line that was answered with an error instead of being forwarded."""
        self._events.refused(caller, self._server, refused.code, refused.why, line)


def _stood(approval: Approval | StandingApproval | None) -> str:
    """Name the standing approval that let a call through, empty where it was none."""
    made_by = getattr(approval, "made_by", "")
    return f"standing approval {approval.id} by {made_by}" if approval and made_by else ""
