"""Writes one rule at a time through the policy editor, and takes it back; blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktui.errors import PolicyConflict
from pktui.policy.editor import PolicyEditor
from pktui.policy.files import replace_file
from pktui.settings import make_private_directory
from pktui.tui.views.policies.reader import MEMORY, shipped_memory_policy

if TYPE_CHECKING:
    from pktui.ledger.events import Events
    from pktui.policy.editor import Edit
    from pktui.settings import Paths, Settings
    from pktui.tui.views.policies.model import Page

Change = Callable[[PolicyEditor], "Edit"]


@dataclass(frozen=True, slots=True)
class Done:
    """An edit that was written."""

    server: str
    tool: str
    edit: Edit


class Edits:
    """Keeps an editor for each server, so that what it wrote can be undone."""

    def __init__(self, paths: Paths, settings: Settings, events: Events) -> None:
        self._paths = paths
        self._settings = settings
        self._events = events
        self._editors: dict[str, PolicyEditor] = {}

    def make(self, page: Page, tool: str, change: Change) -> Done:
        """Write a change of the policy that was shown; refuses where the file is another now.

        Raises `PolicyConflict`, `PolicyError`, `LedgerUnavailable` where it is written and not on
        record.
        """
        editor = self._editor(page.server)
        editor.reload()
        here = hashlib.sha256(editor.raw).hexdigest() if editor.path.exists() else ""
        if here != page.digest:
            raise PolicyConflict(
                f"{editor.path} changed since it was shown, so nothing was written",
                "Look at it again, then change it",
            )
        if not here:
            self._begin(page.server, editor)
        edit = change(editor)
        if edit.changed:
            self._record(page.server, tool, edit)
        return Done(page.server, tool, edit)

    def undo(self, server: str) -> str:
        """Take the last edit of a server's policy back and say so."""
        edit = self._editor(server).undo()
        self._record(server, "", edit)
        return edit.summary

    def _record(self, server: str, tool: str, edit: Edit) -> None:
        self._events.append(
            "policy",
            server=server,
            tool=tool,
            effect="edited",
            detail={
                "by": "console",
                "edit": edit.summary,
                "digest": hashlib.sha256(edit.after).hexdigest(),
            },
        )

    def _editor(self, server: str) -> PolicyEditor:
        if server not in self._editors:
            path = self._settings.policy_file(self._paths, server)
            self._editors[server] = PolicyEditor(path)
        return self._editors[server]

    def _begin(self, server: str, editor: PolicyEditor) -> None:
        """Start from the memory's shipped policy, where that is what is in force."""
        make_private_directory(editor.path.parent)
        if server == MEMORY:
            replace_file(editor.path, None, shipped_memory_policy())
            editor.reload()
