"""Drafts: what a person wants changed is chosen, shown and only then written, all in one edit.

Between the keys and the file nothing is in force that was not there before or in the drafts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on, work
from textual.geometry import Offset, Region
from textual.message import Message

from pktui.errors import PinError, PktuiError
from pktui.policy.globs import is_pattern
from pktui.policy.limits import read_rate, window_name
from pktui.text import one_line
from pktui.tui.screens.ask import AskScreen
from pktui.tui.undo import UndoStep
from pktui.tui.views.policies.accepting import Accepting
from pktui.tui.views.policies.chooser import ChooserScreen
from pktui.tui.views.policies.draw import WORDS, draft_words
from pktui.tui.views.policies.edits import Done, Edits, Proposal
from pktui.tui.views.policies.writing import WriteScreen

if TYPE_CHECKING:
    from pktui.policy.change import Change
    from pktui.policy.effective import EffectiveAction
    from pktui.tui.drafts import Drafts
    from pktui.tui.services import Services
    from pktui.tui.views.policies.model import Page, ToolState
    from pktui.tui.widgets.rows import Rows


class Drafting(Accepting):
    """The part of the Policies view that changes policies."""

    class _Proposed(Message):
        def __init__(self, proposal: Proposal) -> None:
            super().__init__()
            self.proposal = proposal

    class _NotProposed(Message):
        def __init__(self, error: PktuiError) -> None:
            super().__init__()
            self.error = error

    class _Written(Message):
        def __init__(self, done: Done) -> None:
            super().__init__()
            self.done = done

    class _WriteNeedsPin(Message):
        def __init__(self, proposal: Proposal, error: PinError) -> None:
            super().__init__()
            self.proposal, self.error = proposal, error

    class _NotWritten(Message):
        def __init__(self, error: PktuiError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(services, id=id)
        self.edits = Edits(services.paths, services.settings, services.ledger)
        self.last: Done | None = None
        """What was written and is shown, until the cursor goes elsewhere."""
        self._writing = False
        self._open: WriteScreen | None = None

    # What the view gives

    @property
    def page(self) -> Page | None:
        """The policy that is shown."""
        raise NotImplementedError

    @property
    def page_to_come(self) -> bool:
        """Whether another server was chosen and its tools are still being read."""
        raise NotImplementedError

    @property
    def tools(self) -> Rows[ToolState]:
        """The list of its tools."""
        raise NotImplementedError

    def drafts_moved(self) -> None:
        """Draw the drafts anew."""
        raise NotImplementedError

    def page_is_current(self) -> bool:
        """Tell whether the page was read since the last change, and none is under way."""
        raise NotImplementedError

    def read_again(self) -> None:
        """Read the policy and the tools again."""
        raise NotImplementedError

    def action_back(self) -> None:
        """Back to the servers."""
        raise NotImplementedError

    # The keys

    def action_change(self) -> None:
        """Choose what the tool under the cursor may do."""
        page, tool = self.page, self._changeable()
        if page is None or tool is None:
            return
        draft = self._drafts.get(page.server, tool.name)

        def answer(action: EffectiveAction | None) -> None:
            if action is not None:
                self._draft(page.server, replace(draft, action=action))

        self.app.push_screen(ChooserScreen(tool, draft.action, self._row()), answer)

    def action_limit(self) -> None:
        """Draft how often the tool may be called."""
        page, tool = self.page, self._changeable()
        if page is None or tool is None:
            return
        draft = self._drafts.get(page.server, tool.name)

        def answer(text: str | None) -> None:
            if text is not None:
                self._draft(page.server, replace(draft, limit=_limit(text)))

        self.app.push_screen(
            AskScreen(
                f"Limit {one_line(tool.name, 80)}",
                "Calls a window for each client, such as 30/minute, 5/s or 100/3600; "
                "empty: no limit of its own. A draft until w writes it.",
                value=tool.own_limit if draft.limit is None else draft.limit,
                placeholder="30/minute",
                enter="draft",
                check=_check_limit,
            ),
            answer,
        )

    def action_reason(self) -> None:
        """Draft why."""
        page, tool = self.page, self._changeable()
        if page is None or tool is None:
            return
        draft = self._drafts.get(page.server, tool.name)

        def answer(text: str | None) -> None:
            if text is not None:
                self._draft(page.server, replace(draft, reason=text.strip()))

        self.app.push_screen(
            AskScreen(
                f"Why {WORDS[draft.action or tool.ruled]} {one_line(tool.name, 80)}?",
                "The agent reads it on a denial, the person asked on an approval; empty: none. "
                "A draft until w writes it.",
                value=tool.words if draft.reason is None else draft.reason,
                enter="draft",
            ),
            answer,
        )

    def action_drop(self) -> None:
        """Drop the drafts of this server; without any, back to the servers."""
        page = self.page
        drafts = self._drafts.of(page.server) if page and not self.page_to_come else ()
        if page is None or not drafts:
            self.action_back()
            return
        server = page.server
        self._drafts.drop(server)
        self.console.undo_stack.forget(_owner(server))

        def bring_back() -> None:
            for draft in drafts:
                self._drafts.put(server, draft)
            self.drafts_moved()

        name = one_line(server, 60)
        self._remember(
            f"dropping the drafts of {name}", f"the drafts of {name} are back", bring_back
        )
        told = "; ".join(one_line(draft.summary, 80) for draft in drafts)
        self.console.say(f"dropped, never written: {told} · u brings them back")
        self.drafts_moved()

    def action_write(self) -> None:
        """Show what the drafts of this server change in its file, and write it if wanted."""
        page = self.page
        if page is None or self.console.refuse_read_only():
            return
        if self._refuse_unread() or self._refuse_broken(page):
            return
        if not self._drafts.of(page.server):
            self.console.say("nothing is drafted here: space, l and r draft a change")
            return
        self._open = WriteScreen(str(page.path), len(self._drafts.of(page.server)))
        self.app.push_screen(self._open, self._answer)
        self._start_proposing()

    # Drafts

    @property
    def _drafts(self) -> Drafts:
        return self.console.drafts

    def _changeable(self) -> ToolState | None:
        """Return the tool under the cursor if its rule may be changed, else say why not."""
        page, tool = self.page, self.tools.current
        if page is None or tool is None or self.console.refuse_read_only():
            return None
        if self._refuse_unread() or self._refuse_broken(page):
            return None
        if is_pattern(tool.name) and tool.mark != "pattern":
            self.console.say(
                f"no rule is made for {one_line(tool.name, 80)}: with that name it would be one "
                "for other tools; decide about its calls one by one",
                severity="warning",
            )
            return None
        return tool

    def _refuse_unread(self) -> bool:
        """Tell the person where the tools on the screen are another server's than was chosen."""
        if self.page_to_come:
            self.console.say("a moment: the tools of that server are being read")
        return self.page_to_come

    def _refuse_broken(self, page: Page) -> bool:
        if page.origin == "broken":
            self.console.say(
                f"nothing was changed: {page.problems[0] if page.problems else page.path}; "
                "mend the file first",
                severity="warning",
            )
        return page.origin == "broken"

    def _row(self) -> Region:
        """Return where on the screen the row under the cursor is."""
        rows = self.tools
        area = rows.content_region
        y = area.y + rows.cursor - rows.scroll_offset.y
        return Region.from_offset(Offset(area.x, y), (area.width, 1))

    def _draft(self, server: str, change: Change) -> None:
        before = self._drafts.get(server, change.tool)
        self._drafts.put(server, change)
        self.end_true_drafts()
        if self._drafts.get(server, change.tool) == before:
            return
        name = one_line(change.tool, 60)

        def revert() -> None:
            self._drafts.put(server, before)
            self.drafts_moved()

        label = f"the draft for {name}"
        self._remember(label, f"{label} is as it was", revert, _owner(server))
        self.last = None
        self.drafts_moved()

    def end_true_drafts(self) -> None:
        """End what is drafted and is so already, once that can be told."""
        page = self.page
        if page is None or page.origin == "broken" or not self.page_is_current():
            return
        for tool in page.tools:
            draft = self._drafts.get(page.server, tool.name)
            self._drafts.put(page.server, _wanting(draft, tool))

    def _remember(
        self, label: str, sentence: str, revert: Callable[[], None], owner: str = ""
    ) -> None:
        self.console.undo_stack.push(UndoStep(label, lambda: sentence, revert, owner))

    # Writing

    def _start_proposing(self) -> None:
        """Work out what would be written, as soon as nothing is being written."""
        page = self.page
        if self._open is not None and not self._writing and page is not None:
            self._propose(page, self._drafts.of(page.server))

    @work(thread=True, group="policy-edit", description="policy-propose")
    def _propose(self, page: Page, changes: tuple[Change, ...]) -> None:
        try:
            self.post_message(self._Proposed(self.edits.propose(page, changes)))
        except PktuiError as error:
            self.post_message(self._NotProposed(error))

    @on(_Proposed)
    def _show_proposal(self, message: _Proposed) -> None:
        message.stop()
        if self._open is not None:
            self._open.show(message.proposal, self._told(message.proposal.changes))

    def _told(self, changes: Sequence[Change]) -> tuple[str, ...]:
        tools = {tool.name: tool for tool in self.page.tools} if self.page else {}
        return tuple(
            f"{change.tool}: {draft_words(tools[change.tool], change)}"
            if change.tool in tools
            else change.summary
            for change in changes
        )

    @on(_NotProposed)
    def _show_no_proposal(self, message: _NotProposed) -> None:
        message.stop()
        if self._open is not None:
            self._open.dismiss(None)
        self.console.say_error(message.error)
        self.read_again()

    def _answer(self, proposal: Proposal | None) -> None:
        self._open = None
        if proposal is not None:
            self._writing = True
            self.console.undo_stack.begin()
            self._write(proposal)

    @work(thread=True, group="policy-edit", description="policy-edit")
    def _write(self, proposal: Proposal, pin: str = "") -> None:
        try:
            self.post_message(self._Written(self.edits.write(proposal, pin)))
        except PinError as error:
            self.post_message(self._WriteNeedsPin(proposal, error))
        except PktuiError as error:
            self.post_message(self._NotWritten(error))

    @on(_WriteNeedsPin)
    def _ask_write_pin(self, message: _WriteNeedsPin) -> None:
        message.stop()
        proposal, error = message.proposal, message.error

        def answer(pin: str | None) -> None:
            if pin is None:
                self.post_message(self._NotWritten(error))
            else:
                self._write(proposal, pin)

        title = f"PIN to let agents do more on {one_line(proposal.server, 60)}"
        self.app.push_screen(AskScreen(title, str(error), enter="write", password=True), answer)

    @on(_Written)
    def _after_writing(self, message: _Written) -> None:
        message.stop()
        done = message.done
        server, edit = done.proposal.server, done.proposal.edit
        self._drafts.drop(server, done.proposal.changes)
        self.console.undo_stack.forget(_owner(server))
        if edit.changed:
            self.last = done
            label = f"{one_line(server, 60)}.{one_line(edit.summary, 120)}"
            self.console.undo_stack.push(
                UndoStep(
                    label,
                    lambda: self.edits.undo(server),
                    self._after_undo,
                    with_pin=lambda pin: self.edits.undo(server, pin),
                )
            )
        else:
            self.console.say(f"{one_line(edit.summary, 200)}: so it is already")
        if done.problem is not None:
            self.console.say_error(done.problem)
        self._ended()

    @on(_NotWritten)
    def _keep_drafts(self, message: _NotWritten) -> None:
        message.stop()
        self.console.say_error(message.error)
        self._ended()

    def _ended(self) -> None:
        self._writing = False
        self.console.undo_stack.end()
        self._start_proposing()
        self.drafts_moved()
        self.read_again()

    def _after_undo(self) -> None:
        self.last = None
        self.read_again()


def _wanting(draft: Change, tool: ToolState) -> Change:
    """Return what of a draft is not so yet."""
    return replace(
        draft,
        action=None if draft.action == tool.ruled else draft.action,
        limit=None if draft.limit == tool.own_limit else draft.limit,
        reason=None if draft.reason == tool.words else draft.reason,
    )


def _owner(server: str) -> str:
    return f"drafts of {server}"


def _check_limit(text: str) -> str:
    if not text.strip() or read_rate(text.strip()) is not None:
        return ""
    return "a number, a slash, and second, minute, hour, day or whole seconds: 30/minute"


def _limit(text: str) -> str:
    """Return a text that `_check_limit` accepts as a policy has it: `5/min` as `5/minute`."""
    rate = read_rate(text.strip())
    return f"{rate[0]}/{window_name(rate[1])}" if rate else ""
