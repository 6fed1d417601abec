"""How the tool of a call is defined now, where that is not how it was accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pktui.tui.document import Line
from pktui.tui.views.policies.definition import definition_lines, flag_lines

if TYPE_CHECKING:
    from pktui.ledger.records import Approval, ToolSeen


def redefinition_lines(approval: Approval, seen: ToolSeen) -> Iterator[Line]:
    """Show what changed, what hides in it, and what can be decided about."""
    yield from definition_lines(seen)
    yield from flag_lines(seen)
    if approval.definition_hash not in ("", seen.hash):
        why = "it changed again since the call was asked about: the call can only be denied"
        yield Line(why, "warning")
    yield Line("allowing runs this call once; accept the new definition in Policies", "note")
