"""What became of a call, as a sign, a word and an ink: the same in every view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pktui.text import one_line

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.ledger.records import Approval, CallRow
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.theme import Ink

# The word for it. `approved`: a person allowed it; `asked`: a person has not answered.
State = Literal[
    "running", "allowed", "approved", "failed", "denied", "asked", "expired", "hidden", "refused"
]

_EFFECTS: dict[str, State] = {"deny": "denied", "hide": "hidden", "refused": "refused"}
# How the record names a person at pktui's own screens.
_YOU = frozenset({"console", "the command line"})
_ENDED: dict[str, State] = {"denied": "denied", "expired": "expired", "cancelled": "expired"}


def state_of(call: CallRow) -> State:
    """Return what became of a call."""
    if call.effect in _EFFECTS:
        return _EFFECTS[call.effect]
    if call.outcome in _ENDED:
        return _ENDED[call.outcome]
    if call.effect == "approve" and call.outcome in {"", "waiting"}:
        return "asked"
    if not call.outcome:
        return "running"
    if call.outcome != "ok":
        return "failed"
    return "approved" if call.approval_id or call.effect == "approve" else "allowed"


def decider(approval: Approval) -> str:
    """Return who answered a question, as the person before this console reads it."""
    return "you" if approval.decided_by in _YOU else one_line(approval.decided_by, 40)


def sign_of(state: State, glyphs: Glyphs, ink: Ink) -> tuple[str, Style]:
    """Return the sign that goes with the word, and the ink of both."""
    return {
        "running": (glyphs.live, ink.info),
        "allowed": (glyphs.allowed, ink.ok),
        "approved": (glyphs.allowed, ink.ok),
        "failed": (glyphs.failed, ink.quiet),
        "denied": (glyphs.denied, ink.bad),
        "asked": (glyphs.waiting, ink.wait),
        "expired": (glyphs.ended, ink.dim),
        "hidden": (glyphs.hidden, ink.quiet),
        "refused": (glyphs.denied, ink.bad),
    }[state]


def effect_of(call: CallRow, glyphs: Glyphs, ink: Ink) -> tuple[str, str, Style]:
    """Return sign, word and ink of a call's decision and outcome."""
    state = state_of(call)
    sign, style = sign_of(state, glyphs, ink)
    return sign, state, style
