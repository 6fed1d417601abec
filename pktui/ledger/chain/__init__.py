"""The chain of events: appended, verified, exported, anchored, pruned."""
