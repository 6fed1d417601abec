"""A rule made from one call: previewed, tried on what was asked, written, taken back. Blocks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pktui.errors import PktuiError, PolicyError
from pktui.guard import check_edit
from pktui.insight.redeciding import policy_file_of
from pktui.insight.trial import asks
from pktui.ledger.approvals.approvals import hash_of_shown
from pktui.policy.evaluate import Call
from pktui.policy.rule_from_answer import preview_permit
from pktui.policy.sentence import Answered, Hole, answered, conditions_of, holes_of
from pktui.policy.text.jsontext import MAX_DEPTH
from pktui.strict_json import Reader
from pktui.tui.services import BY
from pktui.tui.views.policies.writing import open_editor

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Approval, Caller, CallRow
    from pktui.policy.editor import Edit, PolicyEditor
    from pktui.tui.services import Services

_READER = Reader(depth=MAX_DEPTH)


@dataclass(frozen=True, slots=True)
class Example:
    """A call that a rule is made from. `approval`: it waits for a person."""

    server: str
    tool: str
    arguments: Mapping[str, Any]
    caller: Caller
    approval: Approval | None = None

    @property
    def holes(self) -> tuple[Hole, ...]:
        """What of the call a rule may hold on to."""
        return holes_of(self.arguments, self.caller.project)


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule that is not written yet."""

    example: Example
    editor: PolicyEditor
    edit: Edit


@dataclass(frozen=True, slots=True)
class Figured:
    """What a rule would have answered, and what it changes or why it cannot be made."""

    answered: Answered
    draft: Draft | None
    problem: str = ""


def of_approval(approval: Approval) -> Example:
    """Return the call that waits. Raises `ApprovalError`, `PolicyError` where it can't be read."""
    hash_of_shown(approval)
    arguments = _whole(approval.arguments)
    return Example(approval.server, approval.tool, arguments, approval.caller, approval)


def of_call(row: CallRow) -> Example:
    """Return a recorded call, as far as it is on record. Raises `PolicyError`."""
    from pktui.ledger.records import Caller

    caller = Caller(row.agent, row.grant, row.session, row.project)
    return Example(row.server, row.tool, _whole(row.arguments or "{}"), caller)


def recorded_call(ledger: Ledger, key: int) -> Example:
    """Return the call of that key in the ledger. Raises `PolicyError` where it is gone."""
    for row in ledger.feed.named([key]):
        return of_call(row)
    raise PolicyError("the call is no longer on record", "Choose another call of the tool")


def newest_ask(services: Services, server: str, tool: str) -> Example:
    """Return the newest call of a tool that was asked about. Raises `PolicyError`."""
    found = asks(services.ledger, server, tool, most=1)
    if not found:
        raise PolicyError(
            f"nobody was asked about {server}.{tool} yet, so there is no call to make a rule from",
            "Choose what it may do with space",
        )
    return of_call(found[0])


def figure(services: Services, example: Example, conditions: str) -> Figured:
    """Try the conditions on what was asked, and preview the rule."""
    around = services.layers_of(example.server).surroundings
    definition = around.definition_of(example.tool)
    place = around.place_of(example.caller.project)
    rows = asks(services.ledger, example.server, example.tool)
    past = [found for row in rows if isinstance(found := _read(row.arguments), dict)]
    found = answered(conditions, past, definition=definition, place=place)
    try:
        return Figured(found, preview(services, example, conditions))
    except PktuiError as error:
        return Figured(found, None, str(error))


def preview(services: Services, example: Example, conditions: str = "") -> Draft:
    """Return the rule that lets such calls through. Raises `PktuiError` where none would."""
    editor = open_editor(_policy_file(services, example), example.server)
    caller = example.caller
    layers = services.layers_of(example.server)
    around = layers.surroundings
    call = Call(
        *(example.server, example.tool, example.arguments, caller.identity, caller.session),
        *(around.definition_of(example.tool), around.place_of(caller.project)),
        several=around.several,
    )
    return Draft(example, editor, preview_permit(editor, call, conditions, layers.over))


def write(services: Services, draft: Draft, pin: str | None = None) -> None:
    """Write the rule and put that on record. Raises `PktuiError`.

    `pin`: what was typed where a person must be behind what lets agents do more; None where the
    decision that the rule comes with was checked already.
    """
    if pin is not None:
        check_edit(services.ledger, draft.edit, by=BY, pin=pin)
    try:
        draft.editor.save(draft.edit)
    except PolicyError as error:
        if draft.example.approval is None:
            raise
        raise PolicyError(
            f"the call is allowed, once, but the rule was not written: {error.what}", error.cure
        ) from error
    _record(services, draft, draft.edit)


def take_back(services: Services, draft: Draft) -> str:
    """Take the rule out again and say so; the call that ran stays what it is."""
    edit = draft.editor.undo()
    _record(services, draft, edit)
    return edit.summary


def _whole(text: str) -> Mapping[str, Any]:
    """Return arguments that a policy can hold as they are."""
    try:
        arguments = _READER.read(text)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise PolicyError(
            "no rule can be made from this call: its arguments are not on record as a whole, or "
            "no policy can hold them",
            "Choose another call of the tool",
        )
    return arguments


def _read(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None


def _policy_file(services: Services, example: Example) -> Path:
    if example.approval is None:
        return services.settings.policy_file(services.paths, example.server)
    return policy_file_of(services.ledger, services.paths, services.settings, example.approval)


def _record(services: Services, draft: Draft, edit: Edit) -> None:
    digest, approval = hashlib.sha256(edit.after).hexdigest(), draft.example.approval
    services.ledger.events.append(
        "policy",
        server=draft.example.server,
        tool=draft.example.tool,
        effect="edited",
        approval_id=approval.id if approval else "",
        detail={"by": BY, "edit": edit.summary, "digest": digest},
    )


__all__ = [
    "Draft", "Example", "Figured", "conditions_of", "figure", "newest_ask", "of_approval",
    "of_call", "preview", "recorded_call", "take_back", "write",
]  # fmt: skip
