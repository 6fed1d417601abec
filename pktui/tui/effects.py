"""What became of a call, as a sign, a word and an ink: the same in every view."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.ledger.records import CallRow
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.theme import Ink


def effect_of(call: CallRow, glyphs: Glyphs, ink: Ink) -> tuple[str, str, Style]:
    """Return sign, word and ink of a call's decision and outcome."""
    if call.effect == "allow":
        if call.outcome == "error":
            return glyphs.denied, "failed", ink.bad
        word = "approved" if call.approval_id else "allowed"
        return glyphs.allowed, word, ink.ok
    words = {
        "deny": (glyphs.denied, "denied", ink.bad),
        "approve": (glyphs.waiting, "asked", ink.wait),
        "hide": (glyphs.hidden, "hidden", ink.quiet),
    }
    return words.get(call.effect, (glyphs.denied, "refused", ink.bad))
