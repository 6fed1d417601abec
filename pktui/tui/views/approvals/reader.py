"""What the Approvals view shows, read in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pktui.insight.groups import reads
from pktui.tui.views.approvals.queue import Queue, arrange

if TYPE_CHECKING:
    from pktui.ledger.approvals.approvals import Stop
    from pktui.ledger.approvals.standing import StandingApproval
    from pktui.ledger.records import ToolSeen
    from pktui.tui.services import Services

RECENT = 50


@dataclass(frozen=True, slots=True)
class Loaded:
    """The queue, what stands, and what else bears on a decision."""

    queue: Queue = field(default_factory=Queue)
    standing: tuple[StandingApproval, ...] = ()
    redefined: Mapping[str, ToolSeen] = field(default_factory=dict)
    """By approval: its tool, where that is defined otherwise than it was accepted."""
    reads: frozenset[tuple[str, str]] = frozenset()
    """Servers and tools that only read, so that many calls of them may be allowed as one."""
    stop: Stop | None = None
    pin_set: bool = False


def load(services: Services) -> Loaded:
    """Read it all; raises `PktuiError`."""
    ledger = services.ledger
    pending, recent = ledger.approvals.pending(), ledger.approvals.recent(RECENT)
    tools = {(one.server, one.tool): None for one in pending}
    seen = {place: ledger.catalogue.tool(*place) for place in tools}
    redefined = {
        one.id: tool
        for one in pending
        if (tool := seen[one.server, one.tool]) is not None and tool.changed
    }
    return Loaded(
        arrange(pending, recent, services.clock()),
        ledger.standing.live(),
        redefined,
        frozenset(place for place, tool in seen.items() if reads(tool)),
        ledger.approvals.stop_in_force(),
        ledger.pin.is_set(),
    )
