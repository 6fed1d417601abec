"""From a key to a decision in the ledger: guarded, with the PIN where one is set, and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pktui.errors import ApprovalError, PktuiError
from pktui.insight.groups import Group
from pktui.insight.redeciding import Redeciding
from pktui.ledger.approvals.approvals import hash_of_shown
from pktui.ledger.approvals.standing import Wider
from pktui.tui.screens.ask import AskScreen
from pktui.tui.services import BY
from pktui.tui.undo_history import UndoStep
from pktui.tui.views.approvals.changing import ChangeScreen
from pktui.tui.views.approvals.draw import agent_name, tool_name
from pktui.tui.views.approvals.wider import Choice, WiderScreen
from pktui.tui.views.policies import rule
from pktui.tui.views.policies.sentence import HOUR_US, Sentence, SentenceScreen

if TYPE_CHECKING:
    from textual.screen import Screen

    from pktui.ledger.records import Approval
    from pktui.tui.context import Context
    from pktui.tui.views.base import View

T = TypeVar("T")

ON_ITS_WAY = "your answer to this call is on its way"
MINUTE_US = 60_000_000
ONCE = "each call of this tool is asked about: it destroys, moves money or was redefined"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person wants done; `sentence` says afterwards that it was."""

    approval: Approval
    allow: bool
    words: str = ""
    wider: Wider | None = None
    changed: Mapping[str, Any] | None = None
    draft: rule.Draft | None = None
    pin: str = ""

    @property
    def sentence(self) -> str:
        """What to say once it is done."""
        tool = tool_name(self.approval)
        if not self.allow:
            return f"denied: {tool}"
        if self.draft is not None:
            return f"allowed, and by a rule from now on: {tool}"
        if self.changed is not None:
            return f"allowed once, as you changed it: {tool}"
        if self.wider is None:
            return f"allowed once: {tool}"
        span = self.wider.for_us // MINUTE_US
        until = f"for {span} min" if span else "until it disconnects"
        return f"allowed {until}: {tool}; s lists what stands"


def what(card: Approval | Group) -> str:
    """Name what is decided."""
    if isinstance(card, Group):
        return f"{len(card.members)} calls of {tool_name(card)}"
    return tool_name(card)


class Queue(Protocol):
    """What the controller asks of the view."""

    def answered(self, approval: Approval | Group) -> None:
        """Go on to what waits next."""

    def read_again(self) -> None:
        """Load the queue again."""

    def clock(self) -> float:
        """Return the seconds that quiet times are counted in."""


class Decisions:
    """Changes the ledger for the Approvals view."""

    def __init__(self, view: View, queue: Queue) -> None:
        self._view, self._queue = view, queue
        self._ledger = view.services.ledger
        self.deciding: set[str] = set()
        """The approvals whose answer is on its way."""
        self.pin_set = False

    @cached_property
    def _console(self) -> Context:
        return self._view.console

    def allow(self, approval: Approval) -> None:
        """Let this one call run."""
        if not self._console.refuse_a_run():
            self._answer(Answer(approval, True))

    def deny(self, approval: Approval) -> None:
        """Refuse this call."""
        if not self._console.refuse_a_run():
            self._answer(Answer(approval, False))

    def deny_saying(self, card: Approval | Group) -> None:
        """Refuse with words that reach the agent."""
        screen = AskScreen(
            f"Deny {what(card)}",
            f"{agent_name(card)} reads these words as the reason.",
            placeholder="what to do instead",
            enter="deny",
        )

        def answer(words: str) -> None:
            if isinstance(card, Group):
                self.each(card, False, words.strip())
            else:
                self._answer(Answer(card, False, words.strip()))

        self._ask(screen, answer)

    def each(self, group: Group, allow: bool, words: str = "") -> None:
        """Let the calls of a group run, or refuse them; each is decided by itself."""
        if self._console.refuse_a_run():
            return
        ids = {one.id for one in group.members}

        def decide(pin: str) -> None:
            self.deciding |= ids
            approvals = self._ledger.approvals
            self._do(
                lambda: approvals.decide_each(group.members, allow, by=BY, words=words, pin=pin),
                lambda made: self._tell_each(group, allow, made),
                lambda error: self._tell_none(ids, error),
            )

        self._with_pin(f"{'Allow' if allow else 'Deny'} {what(group)}", decide)

    def wider(self, approval: Approval) -> None:
        """Let this call run, and such calls after it."""
        if approval.once:
            self._console.say(ONCE)
            return

        def answer(choice: Choice) -> None:
            if choice.kind == "rule":
                self.rule(approval)
                return
            span = choice.minutes * MINUTE_US if choice.kind == "time" else 0
            self._answer(Answer(approval, True, wider=Wider(span, choice.exact)))

        self._ask(WiderScreen(approval, clock=self._queue.clock), answer)

    def change(self, approval: Approval) -> None:
        """Let this call run with other arguments, which are shown as a difference first."""

        def answer(changed: Mapping[str, Any]) -> None:
            self._answer(Answer(approval, True, changed=changed))

        self._do(
            lambda: Redeciding.of(self._ledger, approval),
            lambda call: self._ask(ChangeScreen(self._view.services, call), answer),
            self._console.say_error,
        )

    def revoke(self, standing_id: str) -> None:
        """End a standing approval."""
        if not self._console.refuse_read_only():
            self._change(lambda: self._revoke(standing_id))

    # Questions

    def _ask(self, screen: Screen[T | None], then: Callable[[T], object]) -> None:
        """Ask; no answer does nothing."""

        def answer(chosen: T | None) -> None:
            if chosen is not None:
                then(chosen)

        self._console.ask(screen, answer)

    def _with_pin(self, title: str, then: Callable[[str], object]) -> None:
        """Ask for the PIN where one is set, then go on; leaving the question does nothing."""
        if not self.pin_set:
            then("")
            return
        about = "The PIN for decisions:"
        self._ask(AskScreen(title, about, enter="decide", password=True), then)

    def rule(self, approval: Approval) -> None:
        """Let such calls run without asking: as a rule, or for this agent and a time."""
        if approval.once:
            self._console.say(ONCE)
            return
        try:
            example = rule.of_approval(approval)
        except PktuiError as error:
            self._console.say_error(error)
            return

        def answer(sentence: Sentence) -> None:
            if sentence.reach == "rule":
                self._answer(Answer(approval, True, draft=sentence.draft))
                return
            span = HOUR_US if sentence.reach == "hour" else 0
            conditions = "" if sentence.conditions == "[]" else sentence.conditions
            self._answer(Answer(approval, True, wider=Wider(span, conditions=conditions)))

        self._ask(SentenceScreen(self._view.services, example), answer)

    # The ledger

    def _answer(self, answer: Answer) -> None:
        verb = "Allow" if answer.allow else "Deny"

        def decide(pin: str) -> None:
            if answer.approval.id in self.deciding:
                self._console.say(ON_ITS_WAY)
                return
            self.deciding.add(answer.approval.id)
            self._console.undo_stack.begin()
            given = replace(answer, pin=pin)
            self._do(
                lambda: self._decide(given),
                partial(self._tell_done, given),
                partial(self._tell_undecided, given),
            )

        self._with_pin(f"{verb} {tool_name(answer.approval)}", decide)

    def _decide(self, answer: Answer) -> tuple[str, str]:
        """Flip the row; return the id of the standing approval that was made, if any. Blocks.

        Beside it, who has allowed it so far where others have to as well.
        """
        ledger, asked, standing_id, waits = self._ledger, answer.approval, "", ""
        shown = hash_of_shown(asked)
        if answer.wider is not None:
            _, made = ledger.standing.allow(
                asked.id, answer.wider, by=BY, args_hash=shown, pin=answer.pin
            )
            standing_id = made.id
        else:
            decided = ledger.approvals.decide(
                asked.id, answer.allow,
                by=BY, words=answer.words, args_hash=shown, pin=answer.pin,
                changed=answer.changed,
            )  # fmt: skip
            waits = decided.people if decided.status == "pending" else ""
        if answer.draft is not None:
            rule.write(self._view.services, answer.draft)
        return standing_id, waits

    def _change(self, change: Callable[[], str]) -> None:
        self._do(change, self._tell_said, self._tell_failed)

    def _do(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        failed: Callable[[PktuiError], object],
    ) -> None:
        self._view.in_thread(work, done, failed, group="decide")

    def _tell_done(self, answer: Answer, made: tuple[str, str]) -> None:
        standing_id, waits = made
        self.deciding.discard(answer.approval.id)
        self._console.say(f"allowed by you; {waits}" if waits else answer.sentence, seconds=3)
        self._remember(answer, standing_id)
        self._console.undo_stack.end()
        self._queue.answered(answer.approval)
        self._console.beat()

    def _tell_each(
        self, group: Group, allow: bool, made: Sequence[Approval | ApprovalError]
    ) -> None:
        self.deciding -= {one.id for one in group.members}
        left = [one for one in made if isinstance(one, ApprovalError)]
        verb = "allowed once" if allow else "denied"
        said = f"{verb}: {len(made) - len(left)} calls of {tool_name(group)}"
        if left:
            severity = "warning"
            more = f"; left as they are: {len(left)}, as {left[0].what}"
            self._console.say(f"{said}{more}", severity=severity, seconds=8)
        else:
            self._console.say(said, seconds=3)
        self._queue.answered(group)
        self._console.beat()

    def _tell_none(self, ids: set[str], error: PktuiError) -> None:
        self.deciding -= ids
        self._tell_failed(error)

    def _remember(self, answer: Answer, standing_id: str) -> None:
        """Let what reaches beyond the call be taken back; the call itself may have run."""
        tool, draft = tool_name(answer.approval), answer.draft
        if standing_id:
            label, revert = f"the standing answer for {tool}", lambda: self._revoke(standing_id)
        elif draft is not None and draft.edit.changed:
            services = self._view.services
            label, revert = f"the rule for {tool}", lambda: rule.take_back(services, draft)
        else:
            return
        self._console.undo_stack.push(UndoStep(label, revert, self._queue.read_again))

    def _revoke(self, standing_id: str) -> str:
        self._ledger.standing.revoke(standing_id, by=BY)
        return f"revoked {standing_id}: the next such call asks again"

    def _tell_said(self, sentence: str) -> None:
        self._console.say(sentence, seconds=3)
        self._queue.read_again()
        self._console.beat()

    def _tell_failed(self, error: PktuiError) -> None:
        self._queue.read_again()
        self._console.say_error(error)

    def _tell_undecided(self, answer: Answer, error: PktuiError) -> None:
        self.deciding.discard(answer.approval.id)
        self._console.undo_stack.end()
        self._tell_failed(error)
