"""The coding agents pktui knows, and where each keeps its MCP servers.

Places and shapes are those the agents' own documentation gives: Claude Code (`~/.claude.json`,
`.mcp.json`), Claude Desktop (`claude_desktop_config.json`), opencode (`opencode.json`), Codex
(`config.toml`), Cursor (`mcp.json`), VS Code (`mcp.json`) and Gemini CLI (`settings.json`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["user", "project"]


@dataclass(frozen=True, slots=True)
class ClientKind:
    """A coding agent and its files, relative to the home and to the project directory."""

    id: str
    title: str
    key: str
    """The member of a file that holds the servers by name."""
    user_files: tuple[str, ...]
    project_files: tuple[str, ...] = ()

    def files(self, home: Path, project: Path) -> tuple[tuple[Level, Path], ...]:
        """Return where the files would be, the user's first."""
        user: tuple[tuple[Level, Path], ...] = tuple(
            ("user", home / name) for name in self.user_files
        )
        return user + tuple(("project", project / name) for name in self.project_files)


_SUPPORT = "Library/Application Support" if sys.platform == "darwin" else ".config"

KNOWN_CLIENTS = (
    ClientKind("claude-code", "Claude Code", "mcpServers", (".claude.json",), (".mcp.json",)),
    ClientKind(
        "claude-desktop",
        "Claude Desktop",
        "mcpServers",
        (f"{_SUPPORT}/Claude/claude_desktop_config.json",),
    ),
    ClientKind(
        "opencode",
        "opencode",
        "mcp",
        (".config/opencode/opencode.json", ".config/opencode/opencode.jsonc"),
        ("opencode.json", "opencode.jsonc"),
    ),
    ClientKind("codex", "Codex", "mcp_servers", (".codex/config.toml",), (".codex/config.toml",)),
    ClientKind("cursor", "Cursor", "mcpServers", (".cursor/mcp.json",), (".cursor/mcp.json",)),
    ClientKind(
        "vscode", "VS Code", "servers", (f"{_SUPPORT}/Code/User/mcp.json",), (".vscode/mcp.json",)
    ),
    ClientKind(
        "gemini",
        "Gemini CLI",
        "mcpServers",
        (".gemini/settings.json",),
        (".gemini/settings.json",),
    ),
)
