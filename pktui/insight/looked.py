"""What a look found, in words: how it went, and what it showed, or what is other than it was."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pktui.ledger.records import Looked


def headline(looked: Looked) -> str:
    """Say in a line how the look went; the texts in it are as the server sent them."""
    asked = (
        f"{looked.tool} {looked.arguments}" if looked.arguments not in ("", "{}") else looked.tool
    )
    if looked.why:
        return f"{asked}: nothing was shown, as {looked.why}"
    if looked.anew:
        return f"{asked}: not what it showed when {looked.anew} was allowed"
    return f"{asked}: it failed" if looked.failed else asked


def shown_lines(looked: Looked) -> list[str]:
    """Return what was shown, a line each; what is other than before begins with + or -.

    All others begin with a blank.
    """
    lines = looked.shown.splitlines()
    if looked.anew and looked.before != looked.shown:
        before = looked.before.splitlines()
        found = list(difflib.unified_diff(before, lines, n=3, lineterm=""))[2:]
        lines = [line for line in found if not line.startswith("@@")]
    else:
        lines = [f" {line}" for line in lines]
    return [*lines, f" … and {looked.left_out:,} characters"] if looked.left_out else lines
