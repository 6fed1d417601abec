"""The agents whose sessions can be taken in: where each keeps them, and what reads them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pktui.memory.importers.calls import Masks
    from pktui.memory.importers.source import Source

_SOURCES: Final = {
    "claude-code": ("claude_code", "ClaudeCodeSource"),
    "codex": ("codex", "CodexSource"),
    "gemini": ("gemini", "GeminiSource"),
    "opencode": ("opencode", "OpencodeSource"),
}


def default_place(agent: str) -> Path:
    """Return where an agent keeps its sessions."""
    place: Path = _module(agent).default_place()
    return place


def open_store(agent: str, path: Path, masks: Masks, *, since: float = 0.0) -> Source:
    """Return what reads an agent's store, or one file of it.

    `since` (seconds of the epoch) leaves out what a database was not told after that time.
    """
    made = getattr(_module(agent), _SOURCES[agent][1])
    if agent == "opencode":
        source: Source = made(path, masks, since=since)
    else:
        source = made(path, masks)
    return source


def is_transcript(agent: str, path: Path) -> bool:
    """Tell whether a file of a store is one that sessions are written to."""
    if agent == "opencode":
        return path.name.startswith("opencode") and ".db" in path.name
    return path.suffix == ".jsonl"


def _module(agent: str) -> Any:
    return import_module(f"pktui.memory.importers.{_SOURCES[agent][0]}")
