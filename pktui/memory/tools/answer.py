"""What a tool answers: a text block, and the same as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pktui.errors import PktuiError


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """The result of a tool call; a failure is text alone, because that is what every client shows.

    `structured` follows the tool's output schema, or is None for a failure. `awaits_meaning`: as
    that of a `SearchAnswer`.
    """

    text: str
    structured: dict[str, Any] | None = None
    is_error: bool = False
    awaits_meaning: bool = False


def refusal(text: str) -> ToolAnswer:
    """Return the failure of a call; the text says what went wrong and what to do."""
    return ToolAnswer(text, is_error=True)


def failed(what: str, error: PktuiError) -> ToolAnswer:
    """Return the failure of something that was tried, as in "Failed to log message"."""
    return refusal(f"❌ {what}: {error}")
