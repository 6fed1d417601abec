"""An answer saved as a rule: previewed, shown, written, taken back; all but the screen blocks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pktui.errors import PolicyError
from pktui.ledger.approvals.single import hash_of_shown
from pktui.policy.evaluate import Call
from pktui.policy.permit import preview_permit
from pktui.policy.place import Place
from pktui.policy.shape import pinned
from pktui.real_path import home_directory, real_path
from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.document import Line
from pktui.tui.screens.edit import EditScreen
from pktui.tui.views.policies.draw import change_lines
from pktui.tui.views.policies.edits import open_editor

if TYPE_CHECKING:
    from textual.binding import BindingType

    from pktui.ledger.records import Approval
    from pktui.policy.editor import Edit, PolicyEditor
    from pktui.tui.services import Services

BY = "console"


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule that is not written yet."""

    approval: Approval
    editor: PolicyEditor
    edit: Edit


def preview(services: Services, approval: Approval) -> Draft:
    """Return the rule that lets such calls through. Raises `PktuiError` where none would."""
    path = _policy_file(services, approval)
    editor, caller = open_editor(path, approval.server), approval.caller
    hash_of_shown(approval)  # raises where they cannot be read
    arguments = json.loads(approval.arguments)
    definition = pinned(services.ledger.catalogue.tool(approval.server, approval.tool))
    call = Call(
        *(approval.server, approval.tool, arguments, caller.identity, caller.session),
        *(definition, Place(caller.project, home_directory(), real_path)),
    )
    return Draft(approval, editor, preview_permit(editor, call))


def write(services: Services, draft: Draft) -> None:
    """Write the rule and put that on record. Raises `PktuiError`."""
    try:
        draft.editor.save(draft.edit)
    except PolicyError as error:
        raise PolicyError(
            f"the call is allowed, once, but the rule was not written: {error.what}", error.cure
        ) from error
    _record(services, draft, draft.edit)


def take_back(services: Services, draft: Draft) -> str:
    """Take the rule out again and say so; the call that ran stays what it is."""
    edit = draft.editor.undo()
    _record(services, draft, edit)
    return edit.summary


def _policy_file(services: Services, approval: Approval) -> Path:
    """Return the policy that asked: the grant's own, else the server's."""
    grants = services.ledger.grants.list() if approval.grant_key else ()
    own = next((grant.policy for grant in grants if grant.key == approval.grant_key), "")
    return Path(own) if own else services.settings.policy_file(services.paths, approval.server)


def _record(services: Services, draft: Draft, edit: Edit) -> None:
    digest = hashlib.sha256(edit.after).hexdigest()
    services.ledger.events.append(
        "policy",
        server=draft.approval.server,
        tool=draft.approval.tool,
        effect="edited",
        approval_id=draft.approval.id,
        detail={"by": BY, "edit": edit.summary, "digest": digest},
    )


class RuleScreen(EditScreen[bool]):
    """Shows what would be written; true where the person wants it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("rule")]

    def __init__(self, draft: Draft) -> None:
        title = f"Save as a rule: {one_line(draft.edit.summary, 200)}"
        about = f"{one_line(str(draft.edit.path), 400)}, for every client. u takes it back."
        super().__init__(title, about, ("rule.write", "rule.leave"))
        self._draft = draft

    def on_mount(self) -> None:
        """Show the change."""
        edit = self._draft.edit
        same = (Line("the policy says so already; the call is allowed, once", "note"),)
        self.show_change(tuple(change_lines(edit)) if edit.changed else same)

    def action_write(self) -> None:
        """Write it, and allow the call."""
        if self.is_answered():
            self.dismiss(True)

    def action_leave(self) -> None:
        """Write nothing, decide nothing."""
        self.dismiss(False)
