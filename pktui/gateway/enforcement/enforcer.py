"""The Enforcer: the one place where it is decided whether a tool call happens.

Pin, policy, approval, quota, audit, in that order and in one ledger transaction: what is decided
is on record before anything goes out, and where it cannot be put on record the answer is no.
It knows nothing of transports; relays and hooks use it alike.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.errors import LedgerError, LedgerUnavailable, PktuiError, TeamUnavailable
from pktui.gateway.enforcement.approvals import Asking
from pktui.gateway.enforcement.audit import Audit
from pktui.gateway.enforcement.decision import (
    NOTHING,
    Decision,
    Ended,
    Looking,
    Outcome,
    Ruling,
    ToolCall,
)
from pktui.gateway.enforcement.methods import Methods
from pktui.gateway.enforcement.pins import Pins
from pktui.gateway.enforcement.places import place_of
from pktui.gateway.enforcement.quota import LedgerQuota, Uncounted
from pktui.gateway.enforcement.short_way import ShortWay
from pktui.ledger.arguments.canonical import call_hash
from pktui.ledger.records import Approval
from pktui.ledger.results import Answered, Recorder
from pktui.policy.evaluate import Call, Effect, Verdict, evaluate
from pktui.policy.text.problems import quote
from pktui.settings import ServerSettings

if TYPE_CHECKING:
    from pktui.gateway.enforcement.policy_file import ServerPolicy
    from pktui.gateway.protocol.jsonrpc import Refused
    from pktui.ledger.approvals.standing import StandingApproval
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Caller, Charged
    from pktui.policy.document.policy import Policy
    from pktui.policy.look import Look
    from pktui.settings import ApprovalSettings

_NO_RULES = ServerSettings()
_ALLOW, _APPROVE = Effect.ALLOW, Effect.APPROVE
# What every call needs; to take a member from its enum is a search each time.
_FORWARD, _HOLD = Ruling.FORWARD, Ruling.HOLD

_STOPPED = Verdict(Effect.DENY, "(stopped)", "A person has stopped all tool calls.")
_AGENT_STOPPED = Verdict(Effect.DENY, "(stopped)", "A person has stopped this agent's tool calls.")

_UNKNOWN_TOOL = "(unknown tool)"

# The rule of what is denied while the team's database cannot be reached.
_AWAY = "(team away)"

_CROWDED = Verdict(
    Effect.DENY, "(too many)", "Too many calls of this client wait for a person already."
)

_ASKED_TOO_MUCH = Verdict(
    Effect.DENY, "(too many)", "This client has asked a person for too much within the hour."
)

_GRANT_ENDED = Verdict(
    Effect.DENY, "(grant ended)", "The grant of this client was revoked, or has expired."
)

# Ends of calls that are kept while they cannot be recorded.
_MOST_LATE = 16_384


class Enforcer:
    """Decides the calls to one server. Safe from several threads.

    `clock` gives microseconds UTC; `log` takes a sentence for the person who runs the gateway;
    `rules` is what is set for this server. `methods` looks after all that is no tool call;
    `redacts` tells whether secrets in the server's results are masked. `always_holds`: the caller
    itself sees to it that a call is not held where no console is open. `spent` says which of a
    caller's budgets is used up, None: there are none. `carries_changes`: a call can go out with a
    person's arguments. `looks`: the server can be asked what a call would change.
    """

    def __init__(
        self,
        ledger: Ledger,
        policy: ServerPolicy,
        settings: ApprovalSettings,
        server: str,
        *,
        clock: Callable[[], int],
        log: Callable[[str], None],
        rules: ServerSettings = _NO_RULES,
        always_holds: bool = False,
        spent: Callable[[Caller], str] | None = None,
        carries_changes: bool = True,
        looks: bool = True,
    ) -> None:
        self.methods = Methods(ledger, server, rules.denied, log)
        self.redacts = rules.redact
        self._ledger = ledger
        self._policy = policy
        self._server = server
        self._clock = clock
        self._log = log
        self._pins = Pins(ledger, server)
        self._short_way = ShortWay(server, self._pins)
        self._quota = LedgerQuota(ledger)
        self._asking = Asking(ledger, settings, server, self._pins, clock, looks=looks)
        self._audit = Audit(ledger, server)
        self._keeps_results = ledger.keeps_results
        self._recorder = Recorder(lambda: ledger.results, log)
        self._always_holds = always_holds
        self._spent = spent
        self._carries_changes = carries_changes
        self._late = threading.Lock()
        self._unrecorded: list[Ended] = []
        # What calls took from their limits that are under way.
        self._charged: dict[str, tuple[Charged, ...]] = {}
        self._version: object = None
        self._stopped = False
        self._stopped_agents: frozenset[str] = frozenset()
        # The policy that the last call was decided by.
        self.in_force: Policy | None = None

    def decide(self, call: ToolCall, *, hold: bool = True) -> Decision:
        """Decide a call. `hold=False`: the caller cannot keep it waiting for a person."""
        return self.decide_all((call,), room=int(hold))[0]

    def decide_all(self, calls: Sequence[ToolCall], *, room: int) -> list[Decision]:
        """Decide calls that came together, in one transaction: all of them count, or none does.

        Those before the first that asks a person are on record by themselves. At most `room` of
        them can be kept waiting for a person.
        """
        decisions: list[Decision] = []
        written = 0
        transaction = self._ledger.transaction
        try:
            with transaction:
                policy = self._refresh()
                for call in calls:
                    decision = self._decide_shortly(call, policy)
                    if decision is None:
                        verdict = self._evaluate(call, policy)
                        if verdict.effect is _APPROVE and transaction.take_rows():
                            written = len(decisions)
                        decision = self._decide(call, verdict, hold=room > 0)
                    room -= decision.ruling is _HOLD
                    decisions.append(decision)
        except LedgerError as error:
            self._take_back(zip(calls[written:], decisions[written:], strict=False))
            if isinstance(error, TeamUnavailable) and not transaction.behind:
                away = [self._decide_away(call, error) for call in calls[written:]]
                return decisions[:written] + away
            return decisions[:written] + [self._broken(call, error) for call in calls[written:]]
        return decisions

    def _decide_away(self, call: ToolCall, why: TeamUnavailable) -> Decision:
        """Decide a call while the team's database cannot be asked; that is on record here.

        It is denied, but where the policy lets reading go on: then by what was known last.
        """
        verdict = Verdict(Effect.DENY, _AWAY, str(why))
        try:
            with self._ledger.transaction(rows=False):
                if self._goes_on(call):
                    verdict = Verdict(_ALLOW, _AWAY, f"The policy lets reading go on: {why}")
                    seq = self._audit.decided(call, _ALLOW, verdict)
                    return _answered(call, verdict, _FORWARD, seq, None)
                return _refusal(call, verdict, self._audit.decided(call, Effect.DENY, verdict))
        except LedgerError as error:
            return self._broken(call, error)

    def _goes_on(self, call: ToolCall) -> bool:
        """Tell whether a call only reads, was allowed without a question, and may go on."""
        policy = self._policy.current()
        if policy is None or not policy.reads_on_outage or self._stopped or self._stopped_agents:
            return False
        if call.caller.key or (self._spent is not None and self._spent(call.caller)):
            return False
        try:
            found = self._short_way.find(call, policy)
        except TeamUnavailable:  # nothing is known of the tool
            return False
        return found is not None and not found[1] and self._pins.only_reads(call.tool)

    def resume(self, call: ToolCall, held: Decision, *, hold: bool) -> Decision:
        """Decide a held call again; `hold=False` when it cannot be kept any longer."""
        try:
            with self._ledger.transaction():
                return self._resume(call, held, hold=hold)
        except LedgerError as error:
            return self._broken(call, error)

    def look(self, call: ToolCall, look: Look, call_id: str) -> Looking:
        """Decide a look at what a call would change, which gets that id; it is on record then.

        Only a tool that reads, and that the policy allows without asking, is looked at with.
        """
        asked = ToolCall(call_id, look.tool, NOTHING, call.caller, looks_for=call.call_id)
        try:
            asked = msgspec.structs.replace(asked, arguments=look.given(call.arguments))
        except LookupError as error:
            return Looking(asked, why=f"the call has no {error.args[0]}")
        try:
            with self._ledger.transaction(rows=False):
                verdict = self._evaluate(asked, self._refresh())
                why = self._unlooked(asked, verdict)
                if why:
                    return Looking(asked, why=why)
                reason = f"A look at what a call of {call.tool} would change."
                verdict = msgspec.structs.replace(verdict, reason=reason)
                return Looking(asked, self._audit.decided(asked, _ALLOW, verdict))
        except LedgerError as error:
            return Looking(asked, why=str(error))

    def _unlooked(self, asked: ToolCall, verdict: Verdict) -> str:
        """Say why a look is not made, empty where it is."""
        if verdict.effect is not _ALLOW:
            told = _UNLOOKED[verdict.effect]
            return f"{told}, and only what the policy allows is asked: {verdict.reason}"
        return "" if self._pins.only_reads(asked.tool) else "it is not known to read only"

    def withdraw(self, call: ToolCall, held: Decision) -> Decision:
        """Take back a held call: its client cancelled it or left."""
        try:
            with self._ledger.transaction():
                self._asking.withdraw(held.approval)
                self._audit.ended(call, "cancelled", seq=held.seq)
        except LedgerError as error:
            return self._broken(call, error)
        return Decision(call.call_id, call.tool, Ruling.WITHDRAWN, approval=held.approval)

    def settle(self, call: ToolCall, outcome: Outcome, duration_us: int, *, seq: int = 0) -> None:
        """Record how a forwarded call ended; one that provably did not run gives its quota back.

        `seq` is its decision's.
        """
        self.settle_all((Ended(call, outcome, duration_us, seq),))

    def settle_all(self, ended: Sequence[Ended]) -> None:
        """Record how calls ended that ended together, in one transaction.

        Where that fails they are recorded with the next that succeeds.
        """
        if not ended and not self._unrecorded:
            return
        late: list[Ended] = []
        try:
            with self._ledger.transaction:
                with self._late:
                    late, self._unrecorded = self._unrecorded, late
                for end in (*late, *ended):
                    charged = self._charged.pop(end.call.call_id, None)
                    back: Sequence[Charged] = ()
                    # The server refused it or never got it; a call whose end nobody knows may
                    # have run, so it keeps its charge.
                    if end.outcome == "error" or not end.sent:
                        back = self._give_back(end, charged)
                    self._audit.settled(end, back)
        except LedgerError as error:
            tools = ", ".join(sorted({end.call.tool for end in ended}))
            self._log(f"the end of {len(ended)} calls ({tools}) is not on record yet: {error}")
            with self._late:
                bare = [msgspec.structs.replace(end, result=b"") for end in ended]
                self._unrecorded = [*late, *self._unrecorded, *bare][-_MOST_LATE:]

    def keep_results(self, ended: Iterable[Ended]) -> None:
        """Have what calls that ended were answered put on record, behind them."""
        if not self._keeps_results:
            return
        answered: list[Answered] = []
        for end in ended:
            call = end.call
            if end.result:
                answered.append(
                    Answered(
                        *(call.call_id, self._server, call.tool),
                        *(end.outcome, end.result, end.seq),
                    )
                )
        if answered:
            self._recorder.take(answered)

    def close(self) -> None:
        """Put on record what is still to be; nothing is decided any more."""
        self.settle_all(())
        self._recorder.close()

    def _give_back(self, end: Ended, charged: Sequence[Charged] | None) -> Sequence[Charged]:
        """Give back what a call took that provably did not run; return that."""
        if charged is None:  # another process decided it
            charged = self._ledger.events.charged(end.call.call_id)
        return self._ledger.counters.release(charged, self._ledger.transaction.turn())

    def refused(self, caller: Caller, refused: Refused, line: bytes) -> None:
        """Record a client line that was not understood."""
        try:
            self._audit.refused(caller, refused, line)
        except LedgerError as error:
            self._log(f"a refused message is not on record: {error}")

    def saw(
        self, definitions: Sequence[Mapping[str, Any]], *, cursor: str = "", next_cursor: str = ""
    ) -> str:
        """Take note of a page of listed tools; their first definitions are pinned.

        `cursor` is what the page was asked for with, `next_cursor` what the next one will be.
        Returns why the page may not be shown, empty where it may: a definition that is not on
        record could not be told from the one that was accepted.
        """
        try:
            seen = self._pins.saw(
                definitions,
                cursor=cursor,
                next_cursor=next_cursor,
                then=self._asking.redefined,
            )
            self._short_way.forget()
            flagged = {tool.name: tool.flags for tool in seen if tool.flags}
            written = self._policy.saw(definitions, complete=not next_cursor, flagged=flagged)
        except LedgerError as error:
            why = f"the tools of {self._server} are not on record: {error}"
            self._log(why)
            return why
        except PktuiError as error:
            self._log(f"{self._server} has no policy yet: {error}")
            return ""
        if written is not None:
            self._log(f"{self._server} had no policy; a recommended one is now in {written}")
        return ""

    def left(self, session: str) -> None:
        """End what was allowed until this connection ends."""
        try:
            self._ledger.standing.disconnected(session)
            self._asking.forget()
        except LedgerError as error:
            self._log(f"what was allowed until the client left is not ended: {error}")

    def policy(self) -> Policy | None:
        """Return the policy in force now, None where there never was a good one."""
        return self._policy.current()

    def hides(self, tool: str) -> bool:
        """Tell whether the policy hides the tool, as far as it was read with the last call."""
        policy = self.in_force or self._policy.current()
        return policy is not None and policy.hides(tool)

    def leaves_to_server(self, tool: str) -> bool:
        """Tell whether the server itself answers for a name that it does not list."""
        policy = self.in_force or self._policy.current()
        return policy is not None and policy.leaves_to_server(tool)

    def knows(self, tool: str) -> bool:
        """Tell whether the server was ever seen to list the tool.

        Where that cannot be told, the call is decided, which tells why.
        """
        try:
            return self._pins.knows(tool)
        except LedgerError:
            return True

    def definition_text(self, tool: str) -> str:
        """Return a tool's definition as last listed, JSON text; raises `LedgerError`."""
        return self._pins.definition_text(tool)

    def preview(self, call: ToolCall) -> Verdict:
        """Return the verdict with every step that led to it; nothing is counted or recorded."""
        return self._evaluate(call, self._refresh(), trace=True)

    def answer(self, call: ToolCall, verdict: Verdict) -> Approval | StandingApproval | None:
        """Return the answer or the open question that a previewed call meets; changes nothing.

        None: no person is needed, or one is asked anew.
        """
        return self._asking.answer(call, verdict) if verdict.effect is Effect.APPROVE else None

    def state(self) -> object:
        """Return what changes whenever a held call may have got its answer."""
        policy = self._policy.current()
        try:
            version = self._ledger.data_version()
        except LedgerError:
            return object()
        return version, self._pins.times_seen, policy.digest if policy is not None else ""

    def is_over(self, held: Decision) -> bool:
        """Tell whether the held call's approval has run out of time."""
        return held.approval is not None and held.approval.expires_us <= self._clock()

    def _evaluate(self, call: ToolCall, policy: Policy | None, *, trace: bool = False) -> Verdict:
        if call.missing:
            return _unknown(self._server, call.tool)
        caller = call.caller
        stop = self._stop_of(caller)
        if stop is not None and (policy is None or not policy.hides(call.tool)):
            return stop
        subject = Call(
            self._server,
            call.tool,
            call.arguments,
            caller.identity,
            caller.session,
            self._pins.definition(call.tool),
            place_of(caller.project),
            self._spent(caller) if self._spent is not None else "",
            self._ledger.team is not None,
        )
        changed = self._pins.changed(call.tool)
        counted = Uncounted() if call.continues or call.looks_for else self._quota
        verdict = evaluate(policy, subject, counted, definition_changed=changed, trace=trace)
        if policy is None and self._policy.problem is not None:
            return msgspec.structs.replace(verdict, reason=str(self._policy.problem))
        return verdict

    def _stop_of(self, caller: Caller) -> Verdict | None:
        if self._stopped:
            return _STOPPED
        stopped = self._stopped_agents
        return _AGENT_STOPPED if stopped and caller.place in stopped else None

    def _refresh(self) -> Policy | None:
        """Read what others may have set again, where they have; return the policy in force."""
        version = self._ledger.changes()
        if version != self._version:
            self._version = version
            self._stopped = self._ledger.approvals.stopped()
            self._stopped_agents = self._ledger.approvals.stopped_agents()
            self._pins.forget()
            self._short_way.forget()
            self._asking.forget()
        self.in_force = policy = self._policy.current()
        return policy

    def _decide_shortly(self, call: ToolCall, policy: Policy | None) -> Decision | None:
        """Let a call through that its rule allows as it did before; None: decide it in full."""
        if (
            self._stopped
            or self._stopped_agents
            or (self._spent is not None and self._spent(call.caller))
        ):
            return None
        found = self._short_way.find(call, policy)
        if found is None:
            return None
        verdict, charges = found
        charged: tuple[Charged, ...] = ()
        if charges:
            turn = self._ledger.transaction.turn()
            if self._ledger.counters.reserve(charges, call.call_id, turn) is not None:
                return None
            self._charged[call.call_id] = charged = turn.taken[call.call_id]
        seq = self._audit.decided(call, _ALLOW, verdict, None, charged)
        rule, reason = verdict.rule, verdict.reason
        return Decision(call.call_id, call.tool, _FORWARD, rule, reason, None, 0, seq)

    def _decide(self, call: ToolCall, verdict: Verdict, *, hold: bool) -> Decision:
        if verdict.effect is _APPROVE:
            return self._ask(call, verdict, hold=hold)
        if verdict.effect is _ALLOW:
            return self._let_through(call, verdict, None)
        return _refusal(call, verdict, self._audit.decided(call, verdict.effect, verdict))

    def _ask(self, call: ToolCall, verdict: Verdict, *, hold: bool) -> Decision:
        if self._asking.has_no_grant(call.caller):
            return self._deny(call, _GRANT_ENDED, 0)
        if self._asking.is_too_much(call, verdict):
            return self._deny(call, _ASKED_TOO_MUCH, 0)
        if self._asking.needs_look(call, verdict):
            return _look_first(call, verdict, 0)
        approval = self._asking.ask(call, verdict)
        if approval is None:
            return self._deny(call, _CROWDED, 0)
        if not isinstance(approval, Approval) or approval.status == "allowed":
            return self._let_through(call, verdict, approval)
        if approval.status == "denied":
            seq = self._audit.decided(call, Effect.DENY, verdict, approval)
            return _answered(call, verdict, Ruling.DENIED_BY_PERSON, seq, approval)
        seq = self._audit.decided(call, Effect.APPROVE, verdict, approval)
        if hold and (self._always_holds or self._asking.attended()):
            return _answered(call, verdict, Ruling.HOLD, seq, approval)
        self._audit.ended(call, "waiting", seq=seq)
        return _answered(call, verdict, Ruling.WAITING, seq, approval)

    def _let_through(
        self,
        call: ToolCall,
        verdict: Verdict,
        approval: Approval | StandingApproval | None,
        held_seq: int = 0,
    ) -> Decision:
        """Take the quota, use the approval up and put it on record that the call goes out.

        `held_seq` is the row of a held call's decision, 0 for a call decided just now. Where a
        person changed the call, the policy decides that again: it is what goes out.
        """
        changed = _as_changed(call, approval)
        if changed is not None:
            verdict = self._evaluate(changed, self.in_force)
            if verdict.effect not in (_ALLOW, _APPROVE):
                return self._deny(call, _of_the_change(verdict), held_seq)
            if not self._carries_changes:
                return self._tell_changed(call, changed, verdict, approval, held_seq)
        charged: tuple[Charged, ...] = ()
        if verdict.charges and not call.continues:
            over = self._quota.reserve(verdict.charges, call.call_id)
            if over is not None:
                return self._deny(call, over, held_seq)
            self._charged[call.call_id] = charged = self._quota.taken(call.call_id)
        if approval is not None:
            self._asking.use(approval)
        if held_seq:
            self._audit.released(call, verdict, approval, charged, changed)
        else:
            held_seq = self._audit.decided(call, _ALLOW, verdict, approval, charged, changed)
        single = approval if isinstance(approval, Approval) else None
        return _answered(call, verdict, _FORWARD, held_seq, single, changed)

    def _tell_changed(
        self,
        call: ToolCall,
        changed: ToolCall,
        verdict: Verdict,
        approval: Approval | StandingApproval | None,
        held_seq: int,
    ) -> Decision:
        """Refuse a call that was allowed with other arguments; a call with these runs, once."""
        assert isinstance(approval, Approval)
        if held_seq:
            self._audit.ended(call, "denied", approval=approval, seq=held_seq)
        else:
            held_seq = self._audit.decided(call, Effect.DENY, verdict, approval)
        return _answered(call, verdict, Ruling.CHANGED, held_seq, approval, changed)

    def _deny(self, call: ToolCall, verdict: Verdict, held_seq: int) -> Decision:
        if held_seq:
            self._audit.ended(
                call, "denied", rule=verdict.rule, reason=verdict.reason, seq=held_seq
            )
            return _refusal(call, verdict, held_seq)
        return _refusal(call, verdict, self._audit.decided(call, Effect.DENY, verdict))

    def _resume(self, call: ToolCall, held: Decision, *, hold: bool) -> Decision:
        """Judge anew: a deny set meanwhile beats the person's answer, an allow needs none."""
        verdict = self._evaluate(call, self._refresh())
        if self._asking.has_no_grant(call.caller):
            verdict = _GRANT_ENDED
        if verdict.effect is Effect.ALLOW:
            answer = self._asking.changed(held.approval)
            if answer is None:
                self._asking.withdraw(held.approval)
            return self._let_through(call, verdict, answer, held.seq)
        if verdict.effect is not Effect.APPROVE:
            self._asking.withdraw(held.approval)
            return self._deny(call, verdict, held.seq)
        if self._asking.needs_look(call, verdict, held.approval):
            return _look_first(call, verdict, held.seq)
        approval = self._asking.again(call, verdict, held.approval)
        if approval is None:
            return self._deny(call, _CROWDED, held.seq)
        if not isinstance(approval, Approval) or approval.status == "allowed":
            return self._let_through(call, verdict, approval, held.seq)
        if approval.status == "pending" and hold:
            return _answered(call, verdict, Ruling.HOLD, held.seq, approval)
        ruling, ended = _ENDS[approval.status]
        self._audit.ended(call, ended, approval=approval, seq=held.seq)
        return _answered(call, verdict, ruling, held.seq, approval)

    def _take_back(self, decided: Iterable[tuple[ToolCall, Decision]]) -> None:
        """Say of calls that are on record as let through, and do not go out, that they ended."""
        if self._ledger.transaction.behind:
            ended = [
                Ended(call, "cancelled", 0, decision.seq, sent=False)
                for call, decision in decided
                if decision.ruling is _FORWARD
            ]
            with self._late:
                self._unrecorded += ended

    def _broken(self, call: ToolCall, error: LedgerError) -> Decision:
        self._charged.pop(call.call_id, None)
        self._log(f"a call to {call.tool} was denied: {error}")
        return Decision(call.call_id, call.tool, Ruling.BROKEN, "(no record)", str(error))


_ENDS = {
    "pending": (Ruling.WAITING, "waiting"),
    "denied": (Ruling.DENIED_BY_PERSON, "denied"),
    "expired": (Ruling.EXPIRED, "expired"),
    "withdrawn": (Ruling.WITHDRAWN, "cancelled"),
}


_UNLOOKED = {
    Effect.DENY: "it is denied",
    Effect.HIDE: "it is hidden",
    Effect.APPROVE: "it asks a person itself",
}


def _look_first(call: ToolCall, verdict: Verdict, seq: int) -> Decision:
    return Decision(call.call_id, call.tool, Ruling.LOOK, verdict.rule, seq=seq, look=verdict.look)


def _unknown(server: str, tool: str) -> Verdict:
    reason = f"Server {server} has no tool {quote(tool)}."
    return Verdict(Effect.DENY, _UNKNOWN_TOOL, reason)


def _refusal(call: ToolCall, verdict: Verdict, seq: int) -> Decision:
    if verdict.rule == _UNKNOWN_TOOL or (verdict.effect is Effect.HIDE and not call.shown):
        ruling = Ruling.UNKNOWN
    elif verdict is _STOPPED or verdict is _AGENT_STOPPED:
        ruling = Ruling.STOPPED
    elif verdict.rule == _AWAY:
        ruling = Ruling.AWAY
    else:
        ruling = Ruling.OVER_QUOTA if verdict.over_limit else Ruling.DENIED_BY_RULE
    return _answered(call, verdict, ruling, seq, None)


def _as_changed(call: ToolCall, answer: Approval | StandingApproval | None) -> ToolCall | None:
    """Return the call as a person changed it on allowing it, None where they did not.

    The agent may have called with their arguments by itself. Raises `LedgerUnavailable` where they
    are not those that the permission is bound to.
    """
    if not isinstance(answer, Approval) or answer.changed_hash in ("", call.digest):
        return None
    arguments = json.loads(answer.changed)
    if call_hash(arguments, call.beside) != answer.changed_hash:
        raise LedgerUnavailable(
            f"the changed arguments of approval {answer.id} are not those that were allowed",
            "The agent can ask again with the same call",
        )
    return msgspec.structs.replace(
        call, arguments=arguments, bound_hash=answer.changed_hash, changed=True
    )


def _of_the_change(verdict: Verdict) -> Verdict:
    said = "A person allowed this call with other arguments, which the policy refuses"
    reason = f"{said}: {verdict.reason}"
    return msgspec.structs.replace(verdict, reason=reason)


def _answered(
    call: ToolCall,
    verdict: Verdict,
    ruling: Ruling,
    seq: int,
    approval: Approval | None,
    changed: ToolCall | None = None,
) -> Decision:
    asked = approval is not None and ruling in (_HOLD, Ruling.WAITING)
    return Decision(
        call.call_id,
        call.tool,
        ruling,
        verdict.rule,
        approval.reason if approval is not None and asked else verdict.reason,
        approval,
        verdict.retry_at_us,
        seq,
        changed=changed.arguments if changed is not None else None,
    )
