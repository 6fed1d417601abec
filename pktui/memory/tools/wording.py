"""Pieces of text that several tools answer with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pktui.memory.records import SearchAnswer

# Characters of a text that a list or a preview shows.
PREVIEW = 200


def time(when: datetime) -> str:
    """Return a time as `2026-01-31T08:00:05.123Z`."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def preview(text: str, limit: int = PREVIEW) -> str:
    """Return the beginning of a text, with "..." where there is more."""
    return f"{text[:limit]}..." if len(text) > limit else text


def percent(score: float) -> int:
    """Return a score from 0 to 1 in percent."""
    return round(score * 100)


def given(**values: Any) -> dict[str, Any]:
    """Return the values that say something: neither None nor an empty text."""
    return {name: value for name, value in values.items() if value not in (None, "")}


def more(shown: int, total: int, how: str) -> str:
    """Return what is not shown and how to get it, or an empty text."""
    return f"{total - shown} more: {how}" if total > shown else ""


def closing(answer: SearchAnswer, left: str) -> str:
    """Return the last lines of a search's text: how it was searched, and what is not shown."""
    how = f"Mode: {answer.mode}" + (f" ({answer.note})" if answer.note else "")
    return f"{how}\n{left}" if left else how
