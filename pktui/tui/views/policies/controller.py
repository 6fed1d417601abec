"""Drafts: what a person wants changed is chosen, shown and only then written, all in one edit.

Between the keys and the file nothing is in force that was not there before or in the drafts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from pktui.errors import PinError, PktuiError
from pktui.insight.overview import ALL
from pktui.policy.effective import refusal
from pktui.policy.globs import is_pattern
from pktui.policy.limits import read_rate, window_name
from pktui.text import one_line
from pktui.tui.screens.ask import AskScreen
from pktui.tui.undo_history import UndoStep
from pktui.tui.views.policies.chooser import ChooserScreen
from pktui.tui.views.policies.draw import WORDS, draft_words
from pktui.tui.views.policies.trials import PresetScreen, ReplayScreen
from pktui.tui.views.policies.write_screen import WriteScreen
from pktui.tui.views.policies.writing import Done, Edits, Proposal

if TYPE_CHECKING:
    from pathlib import Path

    from textual.geometry import Region

    from pktui.insight.overview import Page, ToolState
    from pktui.insight.trial import PresetTrial
    from pktui.policy.effective import EffectiveAction
    from pktui.policy.rule_change import Change
    from pktui.policy.trial import Tried
    from pktui.tui.context import Context
    from pktui.tui.drafts import Drafts
    from pktui.tui.views.base import View


class Pane(Protocol):
    """What the controller asks of the view."""

    @property
    def page(self) -> Page | None:
        """The policy that is shown."""

    @property
    def page_to_come(self) -> bool:
        """Whether another server was chosen and its tools are still being read."""

    @property
    def current(self) -> ToolState | None:
        """The tool under the cursor."""

    @property
    def row(self) -> Region:
        """Where on the screen the row under the cursor is."""

    def drafts_moved(self) -> None:
        """Draw the drafts anew."""

    def page_is_current(self) -> bool:
        """Tell whether the page was read since the last change, and none is under way."""

    def read_again(self) -> None:
        """Read the policy and the tools again."""


class Drafting:
    """Changes policies for the Policies view."""

    def __init__(self, view: View, pane: Pane) -> None:
        self._view, self._pane = view, pane
        services = view.services
        self.edits = Edits(services.paths, services.settings, services.ledger)
        self.last: Done | None = None
        """What was written and is shown, until the cursor goes elsewhere."""
        self._writing = False
        self._open: WriteScreen | None = None
        self._make: Callable[[Page], Proposal] = lambda page: self.edits.propose(page, ())
        """Makes what the open screen shows; blocks."""

    @cached_property
    def _console(self) -> Context:
        return self._view.console

    # The keys

    def change(self) -> None:
        """Choose what the tool under the cursor may do."""
        tool = self._changeable()
        if tool is None:
            return
        draft = self._drafts.get(tool.server, tool.name)

        def answer(action: EffectiveAction | None) -> None:
            if action is None:
                return
            if tool.ceiling is not None and (why := refusal(tool.ceiling, tool.name, action)):
                self._console.say(f"not drafted: {one_line(why, 400)}", severity="warning")
                return
            self._draft(tool.server, replace(draft, action=action))

        self._console.ask(ChooserScreen(tool, draft.action, self._pane.row), answer)

    def limit(self) -> None:
        """Draft how often the tool may be called."""
        tool = self._changeable()
        if tool is None:
            return
        draft = self._drafts.get(tool.server, tool.name)

        def answer(text: str | None) -> None:
            if text is not None:
                self._draft(tool.server, replace(draft, limit=_limit(text)))

        self._console.ask(
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

    def reason(self) -> None:
        """Draft why."""
        tool = self._changeable()
        if tool is None:
            return
        draft = self._drafts.get(tool.server, tool.name)

        def answer(text: str | None) -> None:
            if text is not None:
                self._draft(tool.server, replace(draft, reason=text.strip()))

        self._console.ask(
            AskScreen(
                f"Why {WORDS[draft.action or tool.ruled]} {one_line(tool.name, 80)}?",
                "The agent reads it on a denial, the person asked on an approval; empty: none. "
                "A draft until w writes it.",
                value=tool.words if draft.reason is None else draft.reason,
                enter="draft",
            ),
            answer,
        )

    def drop(self) -> bool:
        """Drop the drafts of this server; false where there are none."""
        page, tool = self._pane.page, self._pane.current
        if page is None or self._pane.page_to_come:
            return False
        server = tool.server if page.server == ALL and tool is not None else page.server
        drafts = self._drafts.of(server)
        if not drafts:
            return False
        self._drafts.drop(server)
        self._console.undo_stack.forget(_owner(server))

        def bring_back() -> None:
            for draft in drafts:
                self._drafts.put(server, draft)
            self._pane.drafts_moved()

        name = one_line(server, 60)
        self._remember(
            f"dropping the drafts of {name}", f"the drafts of {name} are back", bring_back
        )
        told = "; ".join(one_line(draft.summary, 80) for draft in drafts)
        self._console.say(f"dropped, never written: {told} · u brings them back")
        self._pane.drafts_moved()
        return True

    def write(self) -> None:
        """Show what the drafts of this server change in its file, and write it if wanted."""
        page = self._pane.page
        drafts = self._drafts.of(page.server) if page else ()
        if page is not None and not drafts and not self._console.refuse_read_only():
            self._console.say("nothing is drafted here: space, l and r draft a change")
        elif drafts:
            what = "this draft" if len(drafts) == 1 else f"these {len(drafts)} drafts"
            self._offer(what, lambda page: self.edits.propose(page, self._drafts.of(page.server)))

    def paste(self, text: str) -> None:
        """Show what a pasted policy would add."""
        self._offer("what was pasted", lambda page: self.edits.propose_merge(page, text))

    def presets(self) -> None:
        """Choose a ready-made policy by its figures."""
        page = self._pane.page
        if page is None or page.server == ALL or self._refuse_unread():
            self._console.say("choose a server first: a ready-made policy is for one")
            return

        def answer(chosen: PresetTrial | None) -> None:
            if chosen is not None:
                name, document = chosen.name, chosen.document
                self._offer(
                    f"the ready-made policy {name}",
                    lambda page: self.edits.propose_document(page, name, document),
                )

        self._console.ask(PresetScreen(self._view.services, page.server), answer)

    def replay(self, then: Callable[[Tried], object]) -> None:
        """Show what the drafts, or the policy as it is, would have made of recorded calls."""
        page = self._pane.page
        if page is None or page.server == ALL or self._refuse_unread():
            self._console.say("choose a server first: calls are tried on one policy")
            return
        if self._refuse_broken(page):
            return
        drafts = self._drafts.of(page.server)

        def make() -> bytes:
            return self.edits.propose(page, drafts).edit.after

        def answer(tried: Tried | None) -> None:
            if tried is not None:
                then(tried)

        screen = ReplayScreen(self._view.services, page.server, make, len(drafts))
        self._console.ask(screen, answer)

    def _offer(self, what: str, make: Callable[[Page], Proposal]) -> None:
        """Show an edit of the page's file, and write it if wanted."""
        page = self._pane.page
        if page is None or self._console.refuse_read_only():
            return
        if page.server == ALL:
            self._console.say("choose a server first: it is written into one policy")
            return
        if not (self._refuse_unread() or self._refuse_broken(page)):
            self.ask_to_write(page.path, what, make)

    def ask_to_write(self, path: Path, what: str, make: Callable[[Page], Proposal]) -> None:
        """Show what is made, and write it if wanted; `make` blocks."""
        self._make = make
        self._open = WriteScreen(str(path), what)
        self._console.ask(self._open, self._answer)
        self._start_proposing()

    # Drafts

    @property
    def _drafts(self) -> Drafts:
        return self._console.drafts

    def _changeable(self) -> ToolState | None:
        """Return the tool under the cursor if its rule may be changed, else say why not."""
        page, tool = self._pane.page, self._pane.current
        if page is None or tool is None or self._console.refuse_read_only():
            return None
        if self._refuse_unread() or self._refuse_broken(page):
            return None
        if tool.action is None:
            self._console.say(f"the policy of {one_line(tool.server, 60)} is broken: mend it first")
            return None
        if is_pattern(tool.name) and tool.mark != "pattern":
            self._console.say(
                f"no rule is made for {one_line(tool.name, 80)}: with that name it would be one "
                "for other tools; decide about its calls one by one",
                severity="warning",
            )
            return None
        return tool

    def _refuse_unread(self) -> bool:
        """Tell the person where the tools on the screen are another server's than was chosen."""
        unread = self._pane.page_to_come
        if unread:
            self._console.say("a moment: the tools of that server are being read")
        return unread

    def _refuse_broken(self, page: Page) -> bool:
        if page.origin == "broken":
            self._console.say(
                f"nothing was changed: {page.problems[0] if page.problems else page.path}; "
                "mend the file first",
                severity="warning",
            )
        return page.origin == "broken"

    def _draft(self, server: str, change: Change) -> None:
        before = self._drafts.get(server, change.tool)
        self._drafts.put(server, change)
        self.end_true_drafts()
        if self._drafts.get(server, change.tool) == before:
            return
        name = one_line(change.tool, 60)

        def revert() -> None:
            self._drafts.put(server, before)
            self._pane.drafts_moved()

        label = f"the draft for {name}"
        self._remember(label, f"{label} is as it was", revert, _owner(server))
        self.last = None
        self._pane.drafts_moved()

    def end_true_drafts(self) -> None:
        """End what is drafted and is so already, once that can be told."""
        page = self._pane.page
        if page is None or page.origin == "broken" or not self._pane.page_is_current():
            return
        for tool in page.tools:
            draft = self._drafts.get(tool.server, tool.name)
            self._drafts.put(tool.server, _wanting(draft, tool))

    def _remember(
        self, label: str, sentence: str, revert: Callable[[], None], owner: str = ""
    ) -> None:
        self._console.undo_stack.push(UndoStep(label, lambda: sentence, revert, owner))

    # Writing

    def _start_proposing(self) -> None:
        """Work out what would be written, as soon as nothing is being written."""
        page = self._pane.page
        if self._open is not None and not self._writing and page is not None:
            self._propose(page)

    def _propose(self, page: Page) -> None:
        work = partial(self._make, page)
        self._view.in_thread(work, self._show_proposal, self._show_no_proposal, group="policy-edit")

    def _show_proposal(self, proposal: Proposal) -> None:
        if self._open is not None:
            self._open.show(proposal, (*self._told(proposal.changes), *proposal.notes))

    def _told(self, changes: Sequence[Change]) -> tuple[str, ...]:
        page = self._pane.page
        tools = {tool.name: tool for tool in page.tools} if page else {}
        return tuple(
            f"{change.tool}: {draft_words(tools[change.tool], change)}"
            if change.tool in tools
            else change.summary
            for change in changes
        )

    def _show_no_proposal(self, error: PktuiError) -> None:
        if self._open is not None:
            self._open.dismiss(None)
        self._console.say_error(error)
        self._pane.read_again()

    def _answer(self, proposal: Proposal | None) -> None:
        self._open = None
        if proposal is not None:
            self._writing = True
            self._console.undo_stack.begin()
            self._write(proposal)

    def _write(self, proposal: Proposal, pin: str = "") -> None:
        work = partial(self.edits.write, proposal, pin)
        failed = partial(self._not_written, proposal)
        self._view.in_thread(
            work, self._after_writing, failed, group="policy-edit", saying="writing the policy"
        )

    def _not_written(self, proposal: Proposal, error: PktuiError) -> None:
        if not isinstance(error, PinError):
            self._keep_drafts(error)
            return

        def answer(pin: str | None) -> None:
            if pin is None:
                self._keep_drafts(error)
            else:
                self._write(proposal, pin)

        title = f"PIN to let agents do more on {one_line(proposal.server, 60)}"
        self._console.ask(AskScreen(title, str(error), enter="write", password=True), answer)

    def _after_writing(self, done: Done) -> None:
        server, edit = done.proposal.server, done.proposal.edit
        self._drafts.drop(server, done.proposal.changes)
        self._console.undo_stack.forget(_owner(server))
        if edit.changed:
            self.last = done
            label = f"{one_line(server, 60)}.{one_line(edit.summary, 120)}"
            self._console.undo_stack.push(
                UndoStep(
                    label,
                    lambda: self.edits.undo(server),
                    self._after_undo,
                    with_pin=lambda pin: self.edits.undo(server, pin),
                )
            )
        else:
            self._console.say(f"{one_line(edit.summary, 200)}: so it is already")
        if done.problem is not None:
            self._console.say_error(done.problem)
        self._ended()

    def _keep_drafts(self, error: PktuiError) -> None:
        self._console.say_error(error)
        self._ended()

    def _ended(self) -> None:
        self._writing = False
        self._console.undo_stack.end()
        self._start_proposing()
        self._pane.drafts_moved()
        self._pane.read_again()

    def _after_undo(self) -> None:
        self.last = None
        self._pane.read_again()


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
