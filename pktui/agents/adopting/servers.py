"""An agent's server entries, and what they become: `pktui gateway NAME` in each agent's form."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pktui.agents.clients import KNOWN_CLIENTS
from pktui.server_entry import BadEntry, read_entry

if TYPE_CHECKING:
    from pktui.settings import Paths

# What says how a server is reached; all else in an entry is the agent's own affair and stays.
_REACHED: Final = frozenset(
    {"command", "args", "env", "environment", "cwd", "type", "url", "httpUrl", "serverUrl"}
    | {"headers", "http_headers", "env_http_headers", "bearer_token_env_var", "envFile", "tcp"}
    | {"headersHelper", "oauth", "authProviderType"}
)
# Names that are pktui's own: the memory, and the agents' built-in tools.
_TAKEN: Final = frozenset({"memory", *(client.id for client in KNOWN_CLIENTS)})
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")


def pktui_command() -> str:
    """Return the absolute path of this pktui."""
    beside = Path(sys.executable).with_name("pktui")
    return str(beside) if beside.exists() else shutil.which("pktui") or "pktui"


def directories(paths: Paths) -> dict[str, str]:
    """Return the variables that name this pktui's directories: agents hand on few others."""
    return {"PKTUI_CONFIG_DIR": str(paths.config_dir), "PKTUI_DATA_DIR": str(paths.data_dir)}


def entry_through_pktui(agent: str, original: Mapping[str, Any], name: str, paths: Paths) -> Any:
    """Return the entry that takes the place of an agent's own."""
    kept = {key: value for key, value in original.items() if key not in _REACHED}
    command, args, env = pktui_command(), ["gateway", name], directories(paths)
    if agent == "opencode":
        return {"type": "local", "command": [command, *args], "environment": env, **kept}
    ours: dict[str, Any] = {"command": command, "args": args, "env": env}
    if agent == "codex":
        # Else a server slower than a second is missing from the first request, and Codex itself
        # refuses most writes before pktui sees them.
        kept = {"required": True, **kept, "default_tools_approval_mode": "approve"}
    elif agent == "gemini":
        kept |= {"trust": True}  # pktui is the one who asks
    elif agent in ("claude-code", "vscode"):
        ours = {"type": "stdio", **ours}
    return ours | kept


def problem_of(name: str, original: Any) -> str:
    """Say why no server can be made of an entry, empty where one can."""
    try:
        problem = read_entry(name, original).problem
        json.dumps(original, allow_nan=False)
    except BadEntry as error:
        return error.what
    except (TypeError, ValueError):  # a date or NaN in TOML
        return "it holds a value that JSON has none for, so servers.json can't hold it"
    return problem


def free_name(wanted: str, agent: str, original: Any, known: Mapping[str, Any]) -> str:
    """Return the name in servers.json for an agent's entry: its own where that is free.

    One that holds the very same entry already is free as well.
    """
    name = _NOT_IN_NAMES.sub("-", wanted).strip("-._")[:50] or "server"
    for candidate in (name, f"{name}-{agent}", *(f"{name}-{agent}-{at}" for at in range(2, 99))):
        if not _is_taken(candidate, original, known):
            return candidate
    return f"{name}-{agent}-99"


def _is_taken(name: str, original: Any, known: Mapping[str, Any]) -> bool:
    if name.lower() in _TAKEN:
        return True
    lowered: Container[str] = {one.lower() for one in known if one != name}
    return name.lower() in lowered or (name in known and known[name] != original)
