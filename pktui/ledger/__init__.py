"""What happened and what waits: events, approvals, counters, the tool catalogue, presence."""

from pktui.ledger.arguments.canonical import args_hash, canonical_json
from pktui.ledger.feed.filter import FeedFilter
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import (
    NOBODY,
    Approval,
    Caller,
    CallRow,
    Event,
    Grant,
    NewApproval,
    Present,
    ToolSeen,
    Verification,
)
from pktui.times import now_us

__all__ = [
    "NOBODY",
    "Approval",
    "CallRow",
    "Caller",
    "Event",
    "FeedFilter",
    "Grant",
    "Ledger",
    "NewApproval",
    "Present",
    "ToolSeen",
    "Verification",
    "args_hash",
    "canonical_json",
    "now_us",
]
