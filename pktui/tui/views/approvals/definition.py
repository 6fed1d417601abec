"""How a tool is defined now beside how it was accepted, for a person to compare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pktui.tui.arguments import argument_lines, diff_lines
from pktui.tui.document import Line

if TYPE_CHECKING:
    from pktui.ledger.records import Approval, ToolSeen


def definition_lines(approval: Approval, seen: ToolSeen) -> Iterator[Line]:
    """Show the accepted definition and the present one as one diff."""
    yield Line("")
    yield Line("definition: as accepted → as it is now", "heading")
    if approval.definition_hash not in ("", seen.hash):
        why = "it changed again since the call was asked about: the call can only be denied"
        yield Line(why, "warning")
    yield from diff_lines(_text(seen.pinned_definition), _text(seen.definition), "  ")
    yield Line("allowing runs this call once; accept the new definition in Policies", "note")


def _text(definition: str) -> str:
    """Lay a definition out by key, long texts by line, so that what changed stands by itself."""
    return "\n".join(f"{line.lead}{line.text}" for line in argument_lines(definition))
