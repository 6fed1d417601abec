"""The line under an approval: what its keys would do now, or why they do nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.reactive import reactive

from pktui.tui.actions import BY_ID
from pktui.tui.context import context_of
from pktui.tui.theme import Ink, ink_of
from pktui.tui.widgets.bar import Bar, Part

# Cells; a narrower line says what each key does in one word.
NARROW = 60
# Cells; a narrower line leaves out what cannot be pressed now.
ROOMY = 100


@dataclass(frozen=True, slots=True)
class Offer:
    """What the line says. `note` stands alone where no key does anything."""

    note: str = ""
    quiet: bool = False
    """Keys do nothing yet."""
    below: int = 0
    """Rows of arguments still below the edge, while the last was never shown."""
    allow: bool = False
    wider: bool = False
    """More than this one call may be allowed."""
    change: bool = True
    """It may be allowed with other arguments."""
    raw: bool = False
    many: int = 0
    """So many calls are decided as one; 0: one call."""
    folded: bool = False
    """Their calls have no rows of their own."""
    open: bool = True
    """What would run is on screen."""
    leaves: bool = True
    """There is something to go back from."""


class GuardBar(Bar):
    """Shows an offer; each key can be clicked and goes the same guarded way."""

    offer: reactive[Offer] = reactive(Offer())
    refusal: reactive[str] = reactive("")
    """Why the last key did nothing; shown in front until the next change."""

    def left(self) -> Sequence[Part]:
        """Return the keys, or the note."""
        ink = ink_of(self.app)
        if self.offer.note:
            return (Part(f" {self.offer.note}", ink.dim),)
        parts = [Part(" ", ink.dim)]
        if self.refusal:
            parts.append(Part(f"{self.refusal}   ", ink.wait))
        elif self.offer.quiet:
            first = "a moment" if self._narrow else "a moment, read first"
            parts.append(Part(f"{first}   ", ink.wait))
        return [*parts, *self._keys(ink)]

    def right(self) -> Sequence[Part]:
        """Say how much of the arguments is still to be seen."""
        below = self.offer.below
        if self.offer.note or not below:
            return ()
        ink = ink_of(self.app)
        keys = self._shown("approvals.more")
        rows = "1 more row" if below == 1 else f"{below:,} more rows"
        rows = f"+{below:,}" if self._narrow else rows
        return (Part(f"{keys} {rows} ", ink.wait, "view_action('more')"),)

    def _keys(self, ink: Ink) -> list[Part]:
        offer, live = self.offer, not self.offer.quiet
        allows, one = live and offer.allow, not offer.many
        gap = " " * (3 if self.size.width >= ROOMY else 2)
        parts: list[Part] = []
        for name, holds, label in (
            ("approvals.allow", allows, f"allow all {offer.many}" if offer.many else ""),
            ("approvals.change", allows and one and offer.change, ""),
            ("approvals.wider", allows and one and offer.wider, ""),
            ("approvals.deny", live, f"deny all {offer.many}" if offer.many else ""),
            ("approvals.deny_saying", live, ""),
            ("approvals.fold" if offer.many and not offer.folded else "approvals.unfold",
             bool(offer.many), ""),
            ("approvals.raw", offer.open, "laid out" if offer.raw else ""),
            ("approvals.later", offer.leaves, ""),
        ):  # fmt: skip
            if not holds and (self.size.width < ROOMY or name == "approvals.unfold"):
                continue
            action = BY_ID[name]
            label = label or action.label
            label = label.split(" ")[0] if self._narrow else label
            run = f"view_action('{action.command}')"
            parts.append(Part(f"{self._shown(name)} ", ink.accent if holds else ink.faint, run))
            parts.append(Part(f"{label}{gap}", ink.text if holds else ink.faint, run))
        return parts

    @property
    def _narrow(self) -> bool:
        return self.size.width < NARROW

    def _shown(self, name: str) -> str:
        return context_of(self).keymap.shown(BY_ID[name])

    async def action_view_action(self, name: str) -> None:
        """Run an action of the view this line belongs to."""
        await context_of(self).run_in_front(name)
