"""How a tool is defined: what changed since it was accepted, and what hides in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pktui.text import one_line
from pktui.tui.arguments import argument_lines, beside_lines, diff_lines
from pktui.tui.document import Line

if TYPE_CHECKING:
    from pktui.ledger.records import ToolSeen

_LABEL = 10


def flag_lines(seen: ToolSeen) -> Iterator[Line]:
    """Show what a person should look at in the definition."""
    for flag in seen.flags:
        words = f"{flag.kind}: {one_line(flag.shown, 300)}"
        yield Line(words, "removed", "flagged".ljust(_LABEL), "removed")
        yield Line(f"in {one_line(flag.where or '/', 200)}", "note", " " * _LABEL)


def definition_lines(seen: ToolSeen, beside: int = 0) -> Iterator[Line]:
    """Show the accepted definition and the present one as one diff; a new one whole.

    `beside`: so many cells in which they stand beside each other, 0: they do not.
    """
    if seen.changed:
        before, now = _text(seen.pinned_definition), _text(seen.definition)
        yield Line("")
        yield Line("definition: as accepted → as it is now", "heading")
        yield from beside_lines(before, now, beside) if beside else diff_lines(before, now, "  ")
    elif seen.is_new:
        yield Line("")
        yield Line("definition", "heading")
        yield from argument_lines(seen.definition)


def _text(definition: str) -> str:
    """Lay a definition out by key, long texts by line, so that what changed stands by itself."""
    return "\n".join(f"{line.lead}{line.text}" for line in argument_lines(definition))
