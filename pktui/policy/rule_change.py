"""What becomes of one tool's rule, as a person asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pktui.policy.effective import EffectiveAction


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one tool's rule; what is None stays as it is.

    `limit` is how often each client may call the tool, as `30/minute`; an empty one takes the
    tool's own limit away, an empty `reason` the reason. `allow_if` is a predicate, JSON text of a
    list of conditions, that lets calls run unasked; it is added to those there are.
    """

    tool: str
    action: EffectiveAction | None = None
    limit: str | None = None
    reason: str | None = None
    allow_if: str | None = None

    @property
    def summary(self) -> str:
        """The change in a few words."""
        said: list[str] = [self.action or ""]
        if self.limit is not None:
            said.append(self.limit.replace("/", " per ", 1) or "no limit")
        if self.allow_if is not None:
            said.append("unasked where a condition holds")
        if self.reason is not None and not any(said):
            said.append("reason")
        return f"{self.tool}: {', '.join(filter(None, said))}"
