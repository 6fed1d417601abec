"""Which tools of a server are offered at all, as its entry says; the others are as if hidden."""

from __future__ import annotations

import msgspec


class Selection(msgspec.Struct, frozen=True):
    """The tools of a server that a person leaves in: names as they are, never patterns.

    `only` None: every one that is not among `without`.
    """

    without: frozenset[str] = frozenset()
    only: frozenset[str] | None = None

    def leaves_out(self, tool: str) -> bool:
        """Return whether the tool is left out of lists and unknown when called."""
        return tool in self.without or (self.only is not None and tool not in self.only)


EVERYTHING = Selection()
