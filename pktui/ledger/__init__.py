"""What happened and what waits: events, approvals, counters, the tool catalogue, presence."""
