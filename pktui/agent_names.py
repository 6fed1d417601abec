"""How agents call themselves over MCP, and what a person calls them."""

from __future__ import annotations

import hashlib
import re
from typing import Final

# The agent's id in commands and settings, and its name, by what its MCP client says it is.
_KNOWN: Final = {
    "claude-ai": ("claude-desktop", "Claude Desktop"),
    "codex-mcp-client": ("codex", "Codex"),
    "gemini-cli-mcp-client": ("gemini", "Gemini CLI"),
    "cursor-vscode": ("cursor", "Cursor"),
    "Visual Studio Code": ("vscode", "VS Code"),
}

# The ids of the agents whose own tools `pktui hook` decides, each by a policy of that name.
HOOKED: Final = ("claude-code", "codex", "gemini", "opencode")

_KEY_MARK: Final = "ledger:"
_KEY: Final = re.compile(r"[0-9]{1,18}")


def agent_id(name: str) -> str:
    """Return the id of the agent whose client has this name; what is not known is its own."""
    return _found(name)[0]


def friendly(name: str) -> str:
    """Return what a person calls the agent; what is not known keeps its name."""
    return _found(name)[1]


def hooked_call_id(agent: str, session: str, use_id: str) -> str:
    """Return the ledger's id of a call that the agent of this id reported by its own id of it."""
    text = f"{agent}\0{session}\0{use_id}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:26]


def recorded_call_id(key: int) -> str:
    """Return the memory's id of a call that the gateway told it of by its key in the ledger."""
    return f"{_KEY_MARK}{key}"


def recorded_key(call_id: str) -> int:
    """Return the key in the ledger that is in the memory's id of a call, 0 where none is."""
    number = call_id.removeprefix(_KEY_MARK)
    return int(number) if number != call_id and _KEY.fullmatch(number) else 0


def _found(name: str) -> tuple[str, str]:
    known = _KNOWN.get(name)
    if known is None and name.startswith("gemini-cli-mcp-client-"):
        known = _KNOWN["gemini-cli-mcp-client"]
    return known or (name, name)
