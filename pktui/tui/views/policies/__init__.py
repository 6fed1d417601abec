"""Policies: what each tool may do, and why."""
