"""What the Policies view shows: plain records, made in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.ledger.records import ToolSeen
    from pktui.policy.effective import EffectiveAction
    from pktui.policy.risk import Risk

Origin = Literal["file", "shipped", "none", "broken"]
"""`shipped`: the memory's own policy, not yet copied; `none`: the server has no policy yet."""


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit in words, and how much of it is left for the client that used most of it."""

    words: str
    left: int
    most: str

    @property
    def shown(self) -> str:
        """Return what is left, such as `12/30 left`."""
        return f"{self.left}/{self.most} left"


@dataclass(frozen=True, slots=True)
class ToolState:
    """One tool, or a pattern of the policy, and what it may do."""

    name: str
    action: EffectiveAction | None
    """What would happen to its next call; `None` while the policy cannot be read."""
    because: str
    rule: str
    ruled: EffectiveAction | None = None
    """What the policy says by itself; `action` is stricter where the definition changed."""
    words: str = ""
    """The reason its author gave."""
    conditions: tuple[str, ...] = ()
    limits: tuple[LimitState, ...] = ()
    own_limit: str = ""
    """Its own limit as `30/minute`, where it has one in calls."""
    calls: int = 0
    mark: Literal["", "new", "flagged", "changed", "pattern"] = ""
    risk: Risk | None = None
    seen: ToolSeen | None = None
    """As its server defines it, where that is on record."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server in the list."""

    name: str
    tools: int
    origin: Origin
    changed: int = 0
    """Tools that are defined otherwise than they were accepted."""


@dataclass(frozen=True, slots=True)
class Page:
    """One server's policy as it is now. `digest` is the SHA-256 of the file's bytes, in hex."""

    server: str
    path: Path
    origin: Origin
    digest: str = ""
    default: EffectiveAction | None = None
    description: str = ""
    problems: tuple[str, ...] = ()
    tools: tuple[ToolState, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """The whole view at a moment."""

    servers: tuple[ServerState, ...] = ()
    page: Page | None = None
