"""An agent's own tool calls before the Enforcer: decided, held for a person, and settled."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.agent_names import hooked_call_id
from pktui.agents.hooks.session_state import SessionState
from pktui.gateway.enforcement.budget import refresh_usage, spent_of
from pktui.gateway.enforcement.decision import Decision, Outcome, Ruling, ToolCall
from pktui.gateway.enforcement.denial import words
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.policy_file import open_policy
from pktui.ledger.arguments.canonical import canonical_json, json_text
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Caller
from pktui.person import started_by
from pktui.settings import bundled
from pktui.text import storable
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.agents.hooks.event import HookedAgent, HookEvent
    from pktui.errors import PolicyError
    from pktui.settings import Paths, Settings

# The longest that a call waits for a person; the hook is registered with 30 s more.
HOLD_S: Final = 300.0
_LOOK_S: Final = 0.05
# How often a console that was closed is noticed.
_ATTENDED_S: Final = 1.0
# How long agents that have gone stay known as that.
_REMEMBERED_US: Final = 24 * 3600 * 1_000_000
BLOCKED: Final = 2


class Answer(msgspec.Struct, frozen=True):
    """What the hook's process ends with: its status, and what it prints."""

    status: int = 0
    out: str = ""
    err: str = ""


PASS: Final = Answer()


class EventHandler:
    """The ledger, the policy and the Enforcer for one event of one agent; use as a context.

    Raises `PktuiError` where the ledger or the policies' directory cannot be used, `OSError` where
    the session's state cannot be kept.
    """

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        agent: HookedAgent,
        event: HookEvent,
        log: Callable[[str], None],
    ) -> None:
        self._paths = paths
        self._agent = agent
        self._event = event
        self._log = log
        self._state = SessionState(paths, agent.id, event.session)
        self._ledger = Ledger.open(paths.ledger_file, audit=settings.audit, shared=settings.ledger)
        rules = settings.server(agent.id)
        policy = open_policy(
            paths,
            agent.id,
            settings.policy_file(paths, agent.id) if rules.policy else None,
            changed=self._policy_changed,
            shipped=bundled("config", "policies", f"{agent.id}.json"),
        )
        self._enforcer = Enforcer(
            self._ledger,
            policy,
            settings.approvals,
            agent.id,
            clock=self._ledger.clock,
            log=log,
            rules=rules,
            always_holds=True,
            carries_changes=False,
            looks=False,
            spent=spent_of(paths, settings, self._ledger, now_us),
        )
        self._state.seen()
        project = storable(self._state.project(event.directory))
        self._caller = Caller(agent.name, "", storable(event.session), project)

    def __enter__(self) -> EventHandler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ledger.close()

    def decide(self, environment: Mapping[str, str]) -> Answer:
        """Decide the call, waiting for a person where a console is open."""
        call = self._call(self._new_id())
        decision = self._enforcer.decide(call)
        if decision.ruling is Ruling.HOLD and not self._attended():
            if self._agent.asks(environment):
                return self._hand_over(call, decision)
            decision = self._enforcer.resume(call, decision, hold=False)
        elif decision.ruling is Ruling.HOLD:
            decision = self._wait(call, decision)
        if decision.ruling is Ruling.FORWARD:
            self._note(call)
            return PASS
        return Answer(BLOCKED, err=_said(call, decision))

    def settle(self, outcome: Outcome) -> None:
        """Put on record how a call ended that was decided here."""
        call_id = self._known_id()
        known = self._ledger.events.of_call(call_id) if call_id else ()
        if not known or any(one.kind == "outcome" and one.outcome != "waiting" for one in known):
            return
        duration = self._event.duration_us or max(0, now_us() - known[-1].at_us)
        call, seq, result = self._call(call_id), known[0].seq, self._event.result
        self._enforcer.settle(call, outcome, duration, seq=seq)
        if result is not None and self._ledger.keeps_results:
            from pktui.ledger.results import Answered

            written = json_text(result).encode(errors="replace")
            answered = Answered(call_id, self._agent.id, call.tool, outcome, written, seq)
            self._ledger.results.add((answered,))

    def refresh_usage(self) -> None:
        """Have the sums of tokens at hand for the calls to come; raises `OSError`."""
        refresh_usage(self._paths, self._ledger, now_us())

    def begin(self) -> None:
        """Put on record that the session begins."""
        self._ledger.events.append("start", caller=self._caller, server=self._agent.id)
        self._ledger.presence.forget("agent", now_us() - _REMEMBERED_US)
        self._state.sweep()

    def announce(self) -> None:
        """Say which process the session is of, so that one sees when it has gone."""
        process, caller = started_by(), self._caller
        if process is not None and caller.session:
            self._ledger.presence.announce(
                "agent",
                server=self._agent.id,
                agent=caller.agent,
                project=caller.project,
                detail=caller.session,
                pid=process.pid,
                token=hooked_call_id(self._agent.id, caller.session, "")[:16],
            )

    def end(self) -> None:
        """End what was allowed for the session, and forget what is kept of it."""
        self._enforcer.left(self._caller.session)
        self._ledger.events.append("end", caller=self._caller, server=self._agent.id)
        self._state.forget()

    def _wait(self, call: ToolCall, held: Decision) -> Decision:
        """Keep the call until a person decides, its time is up or the console is closed."""
        until = time.monotonic() + HOLD_S
        look = time.monotonic() + _ATTENDED_S
        seen: object = None
        decision = held
        try:
            while decision.ruling is Ruling.HOLD:
                time.sleep(_LOOK_S)
                now = time.monotonic()
                over = now >= until
                if now >= look:
                    look = now + _ATTENDED_S
                    over = over or not self._attended()
                state = self._enforcer.state()
                if over or state != seen or self._enforcer.is_over(decision):
                    seen = state
                    decision = self._enforcer.resume(call, decision, hold=not over)
        except BaseException:  # the agent took the call back, or ends
            self._enforcer.withdraw(call, held)
            raise
        return decision

    def _attended(self) -> bool:
        return bool(self._ledger.presence.alive("console"))

    def _hand_over(self, call: ToolCall, decision: Decision) -> Answer:
        """Have the agent ask the person who sits before it, and take the question back here."""
        approval = decision.approval
        with self._ledger.transaction():
            if approval is not None:
                self._ledger.approvals.withdraw(approval.id)
            self._ledger.events.append(
                "approval",
                caller=self._caller,
                call_id=call.call_id,
                server=self._agent.id,
                tool=call.tool,
                effect="approve",
                rule=decision.rule,
                reason=f"asked in the screen of {self._agent.title}",
                approval_id=approval.id if approval is not None else "",
            )
        self._note(call)
        said = f"pktui asks: {decision.reason} Rule: {decision.rule}."
        asked = {
            "hookEventName": "PreToolUse",
            "permissionDecision": "ask",
            "permissionDecisionReason": said,
        }
        return Answer(out=msgspec.json.encode({"hookSpecificOutput": asked}).decode())

    def _call(self, call_id: str) -> ToolCall:
        event = self._event
        return ToolCall(
            *(call_id, event.tool, event.arguments, self._caller),
            shown=True,
            agent_session=self._caller.session,
        )

    def _new_id(self) -> str:
        return self._id_of(self._event.use_id) if self._event.use_id else os.urandom(13).hex()

    def _known_id(self) -> str:
        use_id = self._event.use_id
        return self._id_of(use_id) if use_id else self._state.closed(self._likeness())

    def _note(self, call: ToolCall) -> None:
        if not self._event.use_id:
            self._state.opened(self._likeness(), call.call_id)

    def _id_of(self, use_id: str) -> str:
        return hooked_call_id(self._agent.id, self._event.session, use_id)

    def _likeness(self) -> str:
        """Return what a call has in common with the event of its end where it has no id."""
        arguments = canonical_json(self._event.arguments)
        return f"{self._event.tool}\0{hashlib.sha256(arguments).hexdigest()}"

    def _policy_changed(self, digest: str, problem: PolicyError | None) -> None:
        if problem is not None:
            kept = "the last good policy stays in force" if digest else "every call is denied"
            self._log(f"{problem} ({kept})")


def _said(call: ToolCall, decision: Decision) -> str:
    if decision.ruling is Ruling.UNKNOWN:
        return f"[DENIED by pktui] The policy hides tool {call.tool}. Do without it."
    return words(decision, now_us())
