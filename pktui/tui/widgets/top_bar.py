"""The first line: the name, the views with their counts, and the scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.style import Style
from textual.reactive import reactive

from pktui.tui.theme import Ink, ink_of
from pktui.tui.widgets.bar import GAP, Bar, Part, width_of

if TYPE_CHECKING:
    from pktui.tui.glyphs import Glyphs


@dataclass(frozen=True, slots=True)
class Counts:
    """What the header says of each view; negative: not known yet."""

    sessions: int = -1
    calls_per_minute: int = 0
    policies: int = 0
    pending: int = 0


# Cells from which the line has room for everything.
ROOMY = 100
# What is said of the views, less and less: with counts, by name alone, by number but the one in
# front, the same without the program's name. How many approvals wait is always said.
Detail = Literal["all", "names", "numbers", "bare"]
DETAILS: tuple[Detail, ...] = ("all", "names", "numbers", "bare")
TITLES = {
    "now": "Now",
    "sessions": "Sessions",
    "feed": "Feed",
    "policies": "Policies",
    "approvals": "Approvals",
    "insight": "Insight",
}


class TopBar(Bar):
    """The header."""

    front: reactive[str] = reactive("sessions")
    counts: reactive[Counts] = reactive(Counts())
    scope: reactive[str] = reactive("all projects")

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._glyphs = glyphs

    def left(self) -> Sequence[Part]:
        """Return the name and the views."""
        room = self.size.width - width_of(self.right()) - GAP
        tries = (self._parts(detail) for detail in DETAILS)
        return next((parts for parts in tries if width_of(parts) <= room), self._parts(DETAILS[-1]))

    def _parts(self, detail: Detail) -> list[Part]:
        ink = ink_of(self.app)
        parts = [Part(" ", ink.dim)]
        if detail not in ("names", "bare"):
            parts.insert(0, Part(" pktui ", ink.bold + ink.accent))
        for number, (name, title) in enumerate(TITLES.items()):
            shown = title if detail in ("all", "names") or name == self.front else ""
            count = self._count(name, ink) if detail == "all" or name == "approvals" else None
            parts += self._view(number, name, shown, count, ink)
        return parts

    def right(self) -> Sequence[Part]:
        """Return the scope."""
        ink = ink_of(self.app)
        scope = self.scope if self.size.width >= ROOMY else self.scope.split(" ")[0]
        return (Part(f"{scope} ", ink.dim, "app.scope"),)

    def _view(
        self, number: int, name: str, title: str, count: tuple[str, Style] | None, ink: Ink
    ) -> list[Part]:
        action = f"app.view('{name}')"
        front = name == self.front
        label = ink.bold if front else ink.dim
        ground = ink.cursor if front else Style()
        parts = [
            Part(f" {number} ", (ink.accent if front else ink.faint) + ground, action),
            Part(f"{title}", label + ground, action),
        ]
        if count:
            text, style = count
            parts.append(Part(f" {text}" if title else text, style + ground, action))
        if title or count:
            parts.append(Part(" ", ground, action))
        if self.size.width >= ROOMY:
            parts.append(Part(" ", ink.dim))
        return parts

    def _count(self, name: str, ink: Ink) -> tuple[str, Style] | None:
        counts = self.counts
        if name in {"now", "insight"}:
            return None
        if name == "sessions":
            return (f"{counts.sessions:,}", ink.dim) if counts.sessions >= 0 else None
        if name == "feed":
            live = counts.calls_per_minute > 0
            sign = self._glyphs.live if live else self._glyphs.ended
            return f"{sign} {counts.calls_per_minute}/min", ink.ok if live else ink.faint
        if name == "policies":
            return f"{counts.policies}", ink.dim
        return (f"{self._glyphs.waiting}{counts.pending}", ink.wait) if counts.pending else None
