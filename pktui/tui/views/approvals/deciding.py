"""From a key to a decision in the ledger: guarded, with the PIN where one is set, and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textual import on, work
from textual.message import Message

from pktui.errors import PktuiError
from pktui.ledger.approvals.single import hash_of_shown
from pktui.ledger.approvals.standing import Wider
from pktui.tui.screens.ask import AskScreen
from pktui.tui.screens.confirm import ConfirmScreen
from pktui.tui.undo import UndoStep
from pktui.tui.views.approvals import rule
from pktui.tui.views.approvals.draw import agent_name, tool_name
from pktui.tui.views.approvals.wider import Choice, WiderScreen
from pktui.tui.views.base import View

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.tui.services import Services

BY = rule.BY
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
        if self.wider is None:
            return f"allowed once: {tool}"
        span = self.wider.for_us // MINUTE_US
        until = f"for {span} min" if span else "until it disconnects"
        return f"allowed {until}: {tool}; s lists what stands"


class Deciding(View):
    """The part of the Approvals view that changes something."""

    class _Failed(Message):
        def __init__(self, error: PktuiError) -> None:
            super().__init__()
            self.error = error

    class _Undecided(Message):
        def __init__(self, answer: Answer, error: PktuiError) -> None:
            super().__init__()
            self.answer, self.error = answer, error

    class _Done(Message):
        def __init__(self, answer: Answer, standing_id: str) -> None:
            super().__init__()
            self.answer, self.standing_id = answer, standing_id

    class _Said(Message):
        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    class _Drafted(Message):
        def __init__(self, draft: rule.Draft) -> None:
            super().__init__()
            self.draft = draft

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self.deciding: set[str] = set()
        """The approvals whose answer is on its way."""
        self.pin_set = False

    # What the view gives

    def clock(self) -> float:
        """Return the seconds that quiet times are counted in."""
        raise NotImplementedError

    def decidable(self, *, allow: bool) -> Approval | None:
        """Return the approval under the cursor if a key may decide it now, else say why not."""
        raise NotImplementedError

    def answered(self, approval: Approval) -> None:
        """Go on to what waits next."""
        raise NotImplementedError

    def read_again(self) -> None:
        """Load the queue again."""
        raise NotImplementedError

    def look_again(self) -> None:
        """A question over the view was closed: what is under the cursor is looked at anew."""
        raise NotImplementedError

    # The keys

    def action_allow(self) -> None:
        """Let this one call run."""
        approval = self.decidable(allow=True)
        if approval is not None and not self.console.refuse_a_run():
            self._answer(Answer(approval, True))

    def action_deny(self) -> None:
        """Refuse this call."""
        approval = self.decidable(allow=False)
        if approval is not None and not self.console.refuse_a_run():
            self._answer(Answer(approval, False))

    def action_deny_saying(self) -> None:
        """Refuse with words that reach the agent."""
        approval = self.decidable(allow=False)
        if approval is None:
            return

        def answer(words: str | None) -> None:
            self.look_again()
            if words is not None:
                self._answer(Answer(approval, False, words.strip()))

        self.app.push_screen(
            AskScreen(
                f"Deny {tool_name(approval)}",
                f"{agent_name(approval)} reads these words as the reason.",
                placeholder="what to do instead",
                enter="deny",
            ),
            answer,
        )

    def action_wider(self) -> None:
        """Let this call run, and such calls after it."""
        approval = self.decidable(allow=True)
        if approval is None:
            return
        if approval.once:
            self.console.say(ONCE)
            return

        def answer(choice: Choice | None) -> None:
            self.look_again()
            if choice is None:
                return
            if choice.kind == "rule":
                self._draft(approval)
                return
            span = choice.minutes * MINUTE_US if choice.kind == "time" else 0
            self._answer(Answer(approval, True, wider=Wider(span, choice.exact)))

        self.app.push_screen(WiderScreen(approval, clock=self.clock), answer)

    def action_stop(self) -> None:
        """Stop everything; where it is stopped, go on."""
        if not self.console.refuse_read_only():
            self._ask_release() if self.console.ledger.stopped else self._ask_stop()

    def revoke(self, standing_id: str) -> None:
        """End a standing approval."""
        if not self.console.refuse_read_only():
            self._change(lambda: self._revoke(standing_id))

    # Questions

    def _ask_stop(self) -> None:
        approvals = self.services.ledger.approvals

        def stop() -> str:
            approvals.stop(by=BY)
            return "everything is stopped; K goes on"

        def answer(yes: bool | None) -> None:
            self.look_again()
            if yes:
                self._change(stop)

        self.app.push_screen(
            ConfirmScreen(
                "Stop everything?",
                "All that waits is denied, and every call of every agent is refused until you "
                "release it. What a server works on already goes on.",
                yes="Stop everything",
            ),
            answer,
        )

    def _ask_release(self) -> None:
        approvals = self.services.ledger.approvals

        def release(pin: str) -> str:
            approvals.release(by=BY, pin=pin)
            return "released: policies decide"

        def answer(yes: bool | None) -> None:
            self.look_again()
            if yes:
                self._with_pin("Release", lambda pin: self._change(lambda: release(pin)))

        self.app.push_screen(
            ConfirmScreen(
                "Everything is stopped. Go on?",
                "Policies decide again, and standing approvals hold again.",
                yes="Release",
            ),
            answer,
        )

    def _with_pin(self, title: str, then: Callable[[str], object]) -> None:
        """Ask for the PIN where one is set, then go on; leaving the question does nothing."""
        if not self.pin_set:
            then("")
            return

        def answer(pin: str | None) -> None:
            self.look_again()
            if pin is not None:
                then(pin)

        self.app.push_screen(
            AskScreen(title, "The PIN for decisions:", enter="decide", password=True), answer
        )

    @work(thread=True, group="decide", description="draft")
    def _draft(self, approval: Approval) -> None:
        try:
            draft = rule.preview(self.services, approval)
        except PktuiError as error:
            self.post_message(self._Failed(error))
            return
        self.post_message(self._Drafted(draft))

    @on(_Drafted)
    def _show_draft(self, message: _Drafted) -> None:
        message.stop()
        draft = message.draft

        def answer(yes: bool | None) -> None:
            self.look_again()
            if yes:
                self._answer(Answer(draft.approval, True, draft=draft))

        self.app.push_screen(rule.RuleScreen(draft), answer)

    # The ledger

    def _answer(self, answer: Answer) -> None:
        verb = "Allow" if answer.allow else "Deny"

        def decide(pin: str) -> None:
            if answer.approval.id in self.deciding:
                self.console.say(ON_ITS_WAY)
                return
            self.deciding.add(answer.approval.id)
            self.console.undo_stack.begin()
            self._decide(replace(answer, pin=pin))

        self._with_pin(f"{verb} {tool_name(answer.approval)}", decide)

    @work(thread=True, group="decide", description="decide")
    def _decide(self, answer: Answer) -> None:
        ledger, asked, standing_id = self.services.ledger, answer.approval, ""
        try:
            shown = hash_of_shown(asked)
            if answer.wider is not None:
                _, made = ledger.standing.allow(
                    asked.id, answer.wider, by=BY, args_hash=shown, pin=answer.pin
                )
                standing_id = made.id
            else:
                ledger.approvals.decide(
                    asked.id, answer.allow,
                    by=BY, words=answer.words, args_hash=shown, pin=answer.pin,
                )  # fmt: skip
            if answer.draft is not None:
                rule.write(self.services, answer.draft)
        except PktuiError as error:
            self.post_message(self._Undecided(answer, error))
            return
        self.post_message(self._Done(answer, standing_id))

    @work(thread=True, group="decide", description="change")
    def _change(self, change: Callable[[], str]) -> None:
        try:
            sentence = change()
        except PktuiError as error:
            self.post_message(self._Failed(error))
            return
        self.post_message(self._Said(sentence))

    @on(_Done)
    def _tell_done(self, message: _Done) -> None:
        message.stop()
        answer = message.answer
        self.deciding.discard(answer.approval.id)
        self.console.say(answer.sentence, seconds=3)
        self._remember(answer, message.standing_id)
        self.console.undo_stack.end()
        self.answered(answer.approval)
        self.console.beat()

    def _remember(self, answer: Answer, standing_id: str) -> None:
        """Let what reaches beyond the call be taken back; the call itself may have run."""
        tool, draft = tool_name(answer.approval), answer.draft
        if standing_id:
            label, revert = f"the standing answer for {tool}", lambda: self._revoke(standing_id)
        elif draft is not None and draft.edit.changed:
            label, revert = f"the rule for {tool}", lambda: rule.take_back(self.services, draft)
        else:
            return
        self.console.undo_stack.push(UndoStep(label, revert, self.read_again))

    def _revoke(self, standing_id: str) -> str:
        self.services.ledger.standing.revoke(standing_id, by=BY)
        return f"revoked {standing_id}: the next such call asks again"

    @on(_Said)
    def _tell_said(self, message: _Said) -> None:
        message.stop()
        self.console.say(message.sentence, seconds=3)
        self.read_again()
        self.console.beat()

    @on(_Failed)
    def _tell_failed(self, message: _Failed) -> None:
        message.stop()
        self.read_again()
        self.console.say_error(message.error)

    @on(_Undecided)
    def _tell_undecided(self, message: _Undecided) -> None:
        message.stop()
        self.deciding.discard(message.answer.approval.id)
        self.console.undo_stack.end()
        self.read_again()
        self.console.say_error(message.error)
