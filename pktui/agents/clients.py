"""The coding agents pktui knows, and where each keeps its MCP servers, hooks and sessions.

Places and shapes are those that the agents' own documentation gives, and that the agents were seen
to read: Claude Code (`~/.claude.json`, `.mcp.json`, `settings.json`), Claude Desktop
(`claude_desktop_config.json`), opencode (nine places), Codex (`config.toml`, `hooks.json`), Cursor
and VS Code (`mcp.json`) and Gemini CLI (`settings.json`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Level = Literal["user", "project"]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a person's agents look: their home, the project, and variables that name others."""

    home: Path
    project: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def here(cls, project: Path | None = None) -> Places:
        """Return the places of this process; `project` is the working directory where not given."""
        return cls(Path.home(), project or Path.cwd(), os.environ)

    def named(self, variable: str, *default: str) -> Path:
        """Return the directory that a variable names, else one in the home."""
        value = self.environment.get(variable, "")
        return Path(value) if value.startswith("/") else self.home.joinpath(*default)


Located = Iterator[tuple[Level, Path]]


@dataclass(frozen=True, slots=True)
class ClientKind:
    """A coding agent.

    `key` is the member of a file that holds the servers by name. `hook_files` hold its hooks, and
    `store` is the directory or file of its sessions; None where it has none that pktui reads.
    """

    id: str
    title: str
    key: str
    server_files: Callable[[Places], Located]
    hook_files: Callable[[Places], Located] | None = None
    store: Callable[[Places], Path] | None = None


_SUPPORT = "Library/Application Support" if sys.platform == "darwin" else ".config"


def _in_home(*parts: str) -> Callable[[Places], Located]:
    def files(places: Places) -> Located:
        yield "user", places.home.joinpath(*parts)

    return files


def claude_directory(places: Places) -> Path:
    """Return where Claude Code keeps settings and sessions."""
    return places.named("CLAUDE_CONFIG_DIR", ".claude")


def codex_directory(places: Places) -> Path:
    """Return where Codex keeps everything."""
    return places.named("CODEX_HOME", ".codex")


def opencode_directory(places: Places) -> Path:
    """Return where opencode has its configuration and plugins."""
    return places.named("XDG_CONFIG_HOME", ".config") / "opencode"


def _claude_servers(places: Places) -> Located:
    yield "user", places.named("CLAUDE_CONFIG_DIR") / ".claude.json"
    yield "project", places.project / ".mcp.json"


def _claude_hooks(places: Places) -> Located:
    yield "user", claude_directory(places) / "settings.json"
    yield "project", places.project / ".claude" / "settings.json"


def _codex_servers(places: Places) -> Located:
    yield "user", codex_directory(places) / "config.toml"
    yield "project", places.project / ".codex" / "config.toml"


def _codex_hooks(places: Places) -> Located:
    yield "user", codex_directory(places) / "hooks.json"
    yield "project", places.project / ".codex" / "hooks.json"


def _gemini_settings(places: Places) -> Located:
    yield "user", places.home / ".gemini" / "settings.json"
    yield "project", places.project / ".gemini" / "settings.json"


def _opencode_servers(places: Places) -> Located:
    names = ("config.json", "opencode.json", "opencode.jsonc")
    for name in names:
        yield "user", opencode_directory(places) / name
    for name in names[1:]:
        yield "user", places.home / ".opencode" / name
    if config := places.environment.get("OPENCODE_CONFIG", ""):
        yield "user", places.project / config
    if directory := places.environment.get("OPENCODE_CONFIG_DIR", ""):
        for name in names[1:]:
            yield "user", places.project / directory / name
    for root in dict.fromkeys((_git_root(places.project), places.project)):
        for name in names[1:]:
            yield "project", root / name
            yield "project", root / ".opencode" / name


def _opencode_plugin(places: Places) -> Located:
    yield "user", opencode_directory(places) / "plugin" / "pktui.js"
    yield "project", places.project / ".opencode" / "plugin" / "pktui.js"


def _git_root(directory: Path) -> Path:
    """Return the top of the repository that a directory is in, else the directory."""
    for above in (directory, *directory.parents):
        if (above / ".git").exists():
            return above
    return directory


def _cursor(places: Places) -> Located:
    yield "user", places.home / ".cursor" / "mcp.json"
    yield "project", places.project / ".cursor" / "mcp.json"


def _vscode(places: Places) -> Located:
    yield "user", places.home.joinpath(_SUPPORT, "Code", "User", "mcp.json")
    yield "project", places.project / ".vscode" / "mcp.json"


KNOWN_CLIENTS = (
    ClientKind(
        "claude-code",
        "Claude Code",
        "mcpServers",
        _claude_servers,
        _claude_hooks,
        lambda places: claude_directory(places) / "projects",
    ),
    ClientKind(
        "claude-desktop",
        "Claude Desktop",
        "mcpServers",
        _in_home(_SUPPORT, "Claude", "claude_desktop_config.json"),
    ),
    ClientKind(
        "opencode",
        "opencode",
        "mcp",
        _opencode_servers,
        _opencode_plugin,
        lambda places: (
            places.named("XDG_DATA_HOME", ".local", "share") / "opencode" / "opencode.db"
        ),
    ),
    ClientKind(
        "codex",
        "Codex",
        "mcp_servers",
        _codex_servers,
        _codex_hooks,
        lambda places: codex_directory(places) / "sessions",
    ),
    ClientKind("cursor", "Cursor", "mcpServers", _cursor),
    ClientKind("vscode", "VS Code", "servers", _vscode),
    ClientKind(
        "gemini",
        "Gemini CLI",
        "mcpServers",
        _gemini_settings,
        _gemini_settings,
        lambda places: places.home / ".gemini" / "tmp",
    ),
)
