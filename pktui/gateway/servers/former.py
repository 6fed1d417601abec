"""The names that servers given by hand had before names told them apart.

A policy under such a name no longer applies, for it was shared by whatever had the name. It is
never taken over by itself, and never forgotten in silence.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.files import make_private_directory
from pktui.gateway.servers.entries import load_servers
from pktui.policy.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.server_entry import ServerEntry
    from pktui.settings import Paths, Settings

_LAUNCHER: Final = re.compile(
    r"python[0-9.]*|node|deno|bun|bunx|npx|pnpm|pnpx|yarn|tsx|uv|uvx|pipx|docker|podman|java|ruby"
)
_VERBS: Final = frozenset({"run", "exec", "dlx", "x", "tool"})
_STARTED: Final = re.compile(
    r"(?:[\w@.~+:-]*/)*@?(\w[\w.+-]{0,60}?)(?:\.(?:py|js|mjs|cjs|ts|jar|rb))?(?:[@:=]+[\w.+-]*)?",
    re.ASCII,
)


def former_name(entry: ServerEntry) -> str:
    """Return what a server given by hand was called before."""
    if entry.url:
        host = re.search(r"//(?:[^/@]*@)?([^/:?#]+)", entry.url)
        named = host[1] if host else ""
    else:
        named = _started((entry.command, *entry.args))
    return re.sub(r"[^A-Za-z0-9._-]+", "-", named).strip("._-") or "server"


def _started(command: Sequence[str]) -> str:
    program = Path(command[0]).stem
    if _LAUNCHER.fullmatch(program) is None:
        return program
    image = program in ("docker", "podman")
    for word in command[1:]:
        if word[:1] == "-" or word in _VERBS or (image and word.find("/") < 1):
            continue
        found = _STARTED.fullmatch(word)
        if found is not None:
            return found[1]
    return program


def left_behind(paths: Paths, settings: Settings, entry: ServerEntry) -> tuple[str, ...]:
    """Say, a sentence each, which policy and settings were written under the former name."""
    old = former_name(entry)
    if old == entry.name or old in load_servers(paths) or len(old) > 64:
        return ()
    said = []
    policy, own = settings.policy_file(paths, old), settings.policy_file(paths, entry.name)
    if policy.exists() and (not own.exists() or own.read_bytes() == _asking(policy)):
        said.append(
            f"{policy} was written for whatever was called {old}; this server is called"
            f" {entry.name} now and asks about every call. If that policy is meant for it:"
            f" mv {shlex.quote(str(policy))} {shlex.quote(str(own))}"
        )
    if old in settings.servers and entry.name not in settings.servers:
        said.append(
            f"[servers.{old}] in {paths.settings_file} does not hold for this server, which is"
            f' called {entry.name} now. If it is meant for it, write [servers."{entry.name}"]'
        )
    return tuple(said)


def hold(paths: Paths, settings: Settings, entry: ServerEntry) -> tuple[str, ...]:
    """Say what was left behind, and have a person asked about every call where a policy was.

    Raises `PolicyError`, `SettingsError` where the policy that asks cannot be written.
    """
    said = left_behind(paths, settings, entry)
    old, own = (settings.policy_file(paths, name) for name in (former_name(entry), entry.name))
    if said and old.exists() and not own.exists():
        make_private_directory(own.parent)
        replace_file(own, None, _asking(old))
    return said


def _asking(old: Path) -> bytes:
    """Return a policy that asks about every call, and says why."""
    why = f"Asks about every call: {old.name} was written under this server's former name."
    document = {"version": "1", "description": why, "default": "approve", "tools": {}}
    return f"{json.dumps(document, indent=2)}\n".encode()
