"""Readers of other tools' sessions: one file each, read-only, none of them trusts its source."""
