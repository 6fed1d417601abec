"""What a person wants changed in policies and has not written yet.

Drafts are in no file and change nothing until they are written; they last as long as the console.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pktui.policy.rule_change import Change


class Drafts:
    """By server, one change a tool, in the order they were begun; `changed` hears of each move."""

    def __init__(self, changed: Callable[[], object] = lambda: None) -> None:
        self._drafts: dict[str, dict[str, Change]] = {}
        self._changed = changed

    @property
    def total(self) -> int:
        """How many tools have a draft."""
        return sum(map(len, self._drafts.values()))

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers that have drafts."""
        return tuple(self._drafts)

    def of(self, server: str) -> tuple[Change, ...]:
        """Return a server's drafts."""
        return tuple(self._drafts.get(server, {}).values())

    def get(self, server: str, tool: str) -> Change:
        """Return the draft for a tool, one that changes nothing where there is none."""
        return self._drafts.get(server, {}).get(tool, Change(tool))

    def put(self, server: str, change: Change) -> None:
        """Take a draft in place of the tool's former one; one that changes nothing ends it."""
        drafts = self._drafts.setdefault(server, {})
        if change == Change(change.tool):
            drafts.pop(change.tool, None)
        else:
            drafts[change.tool] = change
        if not drafts:
            del self._drafts[server]
        self._changed()

    def drop(self, server: str, changes: Sequence[Change] | None = None) -> tuple[Change, ...]:
        """End a server's drafts and return them; of `changes` only what was not drafted anew."""
        ended = self.of(server) if changes is None else tuple(changes)
        for change in ended:
            kept = _without(self.get(server, change.tool), change)
            self.put(server, kept)
        return ended


def _without(draft: Change, done: Change) -> Change:
    """Return what is left of a draft when another came true."""
    return replace(
        draft,
        action=None if draft.action == done.action else draft.action,
        limit=None if draft.limit == done.limit else draft.limit,
        reason=None if draft.reason == done.reason else draft.reason,
    )


__all__ = ["Drafts"]
