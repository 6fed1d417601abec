"""Writes drafts through the policy editor, all of a server in one edit, and takes it back; blocks.

One thing is done after another, whichever threads ask.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktui.errors import LedgerError, PktuiError, PolicyConflict
from pktui.guard import check_edit
from pktui.insight.overview import MEMORY, shipped_memory_policy
from pktui.policy.document.policy import parse_policy
from pktui.policy.editor import START, Edit, PolicyEditor
from pktui.policy.merge import merge_edit
from pktui.tui.services import BY

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.insight.overview import Page
    from pktui.ledger.ledger import Ledger
    from pktui.policy.rule_change import Change
    from pktui.settings import Paths, Settings


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be written for these drafts of a server."""

    server: str
    changes: tuple[Change, ...]
    edit: Edit
    notes: tuple[str, ...] = ()
    """What else a person should know of it."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was written. `problem`: it is in the file, and not on record."""

    proposal: Proposal
    problem: PktuiError | None = None


class Edits:
    """Keeps an editor for each server, so that what it wrote can be undone."""

    def __init__(self, paths: Paths, settings: Settings, ledger: Ledger) -> None:
        self._paths = paths
        self._settings = settings
        self._ledger = ledger
        self._editors: dict[str, PolicyEditor] = {}
        self._left: dict[str, str] = {}
        """The digest of each file as it was left here: a person knows of that."""
        self._turn = threading.Lock()

    def propose(self, page: Page, changes: Sequence[Change]) -> Proposal:
        """Return what would be written; raises `PolicyConflict` where another file was shown."""
        with self._turn:
            editor = self._opened(page)
            return Proposal(page.server, tuple(changes), editor.preview(changes))

    def propose_merge(self, page: Page, text: str) -> Proposal:
        """Return what a pasted policy would add; raises as `propose`, and where it is none."""
        with self._turn:
            edit, notes = merge_edit(self._opened(page), text)
            return Proposal(page.server, (), edit, notes)

    def propose_document(self, page: Page, name: str, document: bytes) -> Proposal:
        """Return the edit that puts a whole policy in place of this one; raises as `propose`."""
        with self._turn:
            editor = self._opened(page)
            summary = f"the ready-made policy {name}"
            return Proposal(page.server, (), Edit(editor.path, summary, editor.raw, document))

    def text_of(self, server: str) -> bytes:
        """Return the text that a server's policy has, or begins with. Raises `PolicyError`."""
        return open_editor(self._path(server), server).raw

    def propose_text(self, server: str, before: bytes, after: bytes) -> Proposal:
        """Return the edit that a person made by hand of the text `before`; raises as `propose`."""
        with self._turn:
            path = self._path(server)
            if open_editor(path, server).raw != before:
                raise PolicyConflict(
                    f"{path} changed while you edited it, so nothing was written",
                    "Edit it again: what is there now is what you begin with",
                )
            parse_policy(after, path)
            return Proposal(server, (), Edit(path, "edited by hand", before, after))

    def _opened(self, page: Page) -> PolicyEditor:
        """Open a page's file; raises `PolicyConflict` where another one was shown."""
        editor = open_editor(self._path(page.server), page.server)
        here = hashlib.sha256(editor.raw).hexdigest() if editor.path.exists() else ""
        if here not in (page.digest, self._left.get(page.server)):
            raise PolicyConflict(
                f"{editor.path} changed since it was shown, so nothing was written and your"
                " drafts are kept",
                "Look at it again, then write them",
            )
        return editor

    def write(self, proposal: Proposal, pin: str = "") -> Done:
        """Write what was shown; raises `PolicyConflict`, `PolicyError` where it is not written.

        Raises `ApprovalError`, `PinError` where it lets agents do more, as `guard.check_edit` does.
        """
        check_edit(self._ledger, proposal.edit, by=BY, pin=pin)
        with self._turn:
            editor = self._editor(proposal.server)
            editor.reload()
            editor.save(proposal.edit)
            if not proposal.edit.changed:
                return Done(proposal)
            names = tuple(change.tool for change in proposal.changes)
            return Done(proposal, self._record(proposal.server, names, proposal.edit))

    def undo(self, server: str, pin: str = "") -> str:
        """Take the last edit of a server's policy back and say so; guarded as `write` is."""
        with self._turn:
            editor = self._editor(server)
            check_edit(self._ledger, editor.preview_undo(), by=BY, pin=pin)
            edit = editor.undo()
            problem = self._record(server, (), edit)
        if problem is not None:
            raise problem
        return edit.summary

    def _record(self, server: str, tools: tuple[str, ...], edit: Edit) -> LedgerError | None:
        digest = self._left[server] = hashlib.sha256(edit.after).hexdigest()
        detail = {"by": BY, "edit": edit.summary, "digest": digest}
        try:
            self._ledger.events.append(
                "policy",
                server=server,
                tool=tools[0] if len(tools) == 1 else "",
                effect="edited",
                detail=detail,
            )
        except LedgerError as error:
            return error
        return None

    def _editor(self, server: str) -> PolicyEditor:
        if server not in self._editors:
            self._editors[server] = open_editor(self._path(server), server)
        return self._editors[server]

    def _path(self, server: str) -> Path:
        return self._settings.policy_file(self._paths, server)


def open_editor(path: Path, server: str) -> PolicyEditor:
    """Return the editor of a server's policy; the memory's starts from the shipped one."""
    return PolicyEditor(path, start=shipped_memory_policy() if server == MEMORY else START)
