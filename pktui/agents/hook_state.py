"""Whether an agent runs pktui's hook: registered, trusted, and not switched off."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pktui import jsonc
from pktui.agents.clients import ClientKind, Places, claude_directory, codex_directory
from pktui.agents.config_file import read_config

_BEFORE: Final = {"claude-code": "PreToolUse", "codex": "PreToolUse", "gemini": "BeforeTool"}
_PLUGIN_COMMAND: Final = re.compile(r"^const COMMAND = (\[.*\])$", re.MULTILINE)
NONE: Final = "none"
INSTALLED: Final = "installed"
UNTRUSTED: Final = "waits for your trust"
# Begins what is said of a switch.
OFF: Final = "off: "


def hook_state(client: ClientKind, places: Places) -> str:
    """Return `none`, `installed`, `waits for your trust` or `off: ` and the switch.

    Empty for an agent that has no hooks.
    """
    if client.hook_files is None:
        return ""
    files = [file for _, file in client.hook_files(places)]
    if client.id == "opencode":
        registered = [file for file in files if file.is_file()]
        return _switched(client, places) or INSTALLED if registered else NONE
    positions = {file: at for file in files if (at := _position(client, file)) is not None}
    if not positions:
        return NONE
    if switch := _switched(client, places):
        return switch
    trusted = client.id != "codex" or any(
        _is_trusted(file, at, places) for file, at in positions.items()
    )
    return INSTALLED if trusted else UNTRUSTED


def starts_hook(group: Any, agent: str) -> bool:
    """Tell whether a group of hooks runs `pktui hook` for an agent."""
    text = json.dumps(group, default=str)
    return "pktui" in text and (f"hook {agent}" in text or f'"hook", "{agent}"' in text)


def hook_directories(client: ClientKind, places: Places) -> tuple[str, str] | None:
    """Return the config and the data directory that an agent's hook is told, None for none."""
    for _, file in client.hook_files(places) if client.hook_files is not None else ():
        words = _hook_words(client, file)
        with suppress(ValueError, IndexError):
            return words[words.index("--config") + 1], words[words.index("--data") + 1]
    return None


def _hook_words(client: ClientKind, file: Path) -> list[str]:
    """Return the command of the hook that a file registers, empty where it registers none."""
    try:
        if client.id == "opencode":
            found = _PLUGIN_COMMAND.search((read_config(file) or b"").decode())
            return list(json.loads(found[1])) if found else []
        at = _position(client, file)
        if at is None:
            return []
        hook = _json(file)["hooks"][_BEFORE[client.id]][at]["hooks"][0]
        words = [*shlex.split(hook["command"]), *hook.get("args", ())]
        # Around it the shell has `o=$(…);`.
        inner = words[2].partition("$(")[2].partition(");")[0] if words[:2] == ["sh", "-c"] else ""
        return shlex.split(inner) if inner else words
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _position(client: ClientKind, file: Path) -> int | None:
    """Return where among the groups of the event before a tool ours is."""
    hooks = _json(file).get("hooks")
    groups = hooks.get(_BEFORE[client.id]) if isinstance(hooks, Mapping) else None
    for at, group in enumerate(groups if isinstance(groups, list) else ()):
        if starts_hook(group, client.id):
            return at
    return None


def _switched(client: ClientKind, places: Places) -> str:
    """Name the switch that keeps hooks from running, empty where none does."""
    if client.id == "claude-code":
        return _off_in_claude(places)
    if client.id == "gemini":
        return _off_in_gemini(places)
    if client.id == "codex":
        file = codex_directory(places) / "config.toml"
        features = _toml(file).get("features")
        if isinstance(features, Mapping) and features.get("hooks") is False:
            return f"{OFF}features.hooks in {file}"
    if client.id == "opencode" and places.environment.get("OPENCODE_PURE"):
        return f"{OFF}OPENCODE_PURE"
    return ""


def _off_in_claude(places: Places) -> str:
    for directory in (claude_directory(places), places.project / ".claude"):
        for name in ("settings.json", "settings.local.json"):
            for switch in ("disableAllHooks", "allowManagedHooksOnly"):
                if _json(directory / name).get(switch) is True:
                    return f"{OFF}{switch} in {directory / name}"
    return ""


def _off_in_gemini(places: Places) -> str:
    for directory in (places.home, places.project):
        file = directory / ".gemini" / "settings.json"
        config = _json(file).get("hooksConfig")
        if not isinstance(config, Mapping):
            continue
        if config.get("enabled") is False or "pktui" in (config.get("disabled") or ()):
            return f"{OFF}hooksConfig in {file}"
    return ""


def _is_trusted(file: Path, position: int, places: Places) -> bool:
    """Tell whether Codex was told to trust the hook at that place of that file."""
    hooks = _toml(codex_directory(places) / "config.toml").get("hooks")
    state = hooks.get("state") if isinstance(hooks, Mapping) else None
    known = state.get(f"{file}:pre_tool_use:{position}:0") if isinstance(state, Mapping) else None
    if not isinstance(known, Mapping) or known.get("enabled") is False:
        return False
    return bool(known.get("trusted_hash"))


def _json(file: Path) -> Mapping[str, Any]:
    try:
        found = jsonc.plain(read_config(file) or b"{}")
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _toml(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(jsonc.decoded(read_config(file) or b""))
    except (OSError, ValueError, RecursionError):
        return {}
