"""Insight: what agents did over days, and what asking about it cost."""
