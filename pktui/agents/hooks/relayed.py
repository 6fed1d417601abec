"""Which calls of an agent reach their server through pktui's gateway, which decides them itself."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from pktui.agents.discovery import find_configs, gateway_words
from pktui.settings import Paths

if TYPE_CHECKING:
    from pktui.agents.clients import Places
    from pktui.agents.discovery import ConfiguredServer
    from pktui.agents.hooks.event import HookedAgent, HookEvent

# What changes which program a name means, or what a program does.
_CHANGES_PROGRAMS = (
    *("PATH", "HOME", "LD_", "DYLD_", "PYTHON", "UV_", "PIP_", "XDG_"),
    *("BASH_", "ENV", "ZDOTDIR"),
)
# What looks for the program in the directory that it is started in, where a project has its own.
_LOOKS_HERE = re.compile(r"python|uv run")
# An option with which another policy may be in force, or what is short for it; and what an agent or
# a shell puts something in the place of, which may be one: $VAR, ${VAR}, {env:VAR}, {file:PATH}.
_ANOTHER_POLICY = re.compile(r"^--[hp]|[${]")


def is_relayed(
    agent: HookedAgent,
    event: HookEvent,
    places: Places,
    directories: Sequence[str],
    paths: Paths,
) -> bool:
    """Tell whether the gateway decides the call, so that the hook does not.

    The agent's payload or its configuration says so, never the tool's name alone: where a name may
    be of several servers, all of them must be behind pktui. `directories` are those that the
    session may have its servers from; what is above them counts as well. `paths` are this pktui's:
    a gateway with others decides by another policy.
    """
    if event.tool in agent.own or (event.launch and not gateway_words(event.launch)):
        return False
    roots = dict.fromkeys(
        above
        for directory in directories
        for above in (Path(directory).absolute(), *Path(directory).absolute().parents)
    )
    findings = find_configs(*(replace(places, project=root) for root in roots), only=agent.id)
    if any(finding.problem for finding in findings):
        return False  # it may name a server that the agent starts all the same
    named = [
        server
        for finding in findings
        for server in finding.servers
        if (not server.directory or Path(server.directory) in roots)
        and _is_for(server.name, agent, event)
    ]
    return bool(named) and all(_leads_here(server, paths) for server in named)


def _leads_here(server: ConfiguredServer, paths: Paths) -> bool:
    """Tell whether an entry is a gateway of this pktui, by the policies that the hook reads."""
    if server.url:
        return server.behind_pktui
    program, *options = gateway_words(server.command) or ("",)
    options = options[: options.index("--")] if "--" in options else options
    if not _is_this(program) or any(_ANOTHER_POLICY.search(word) for word in options):
        return False
    if _LOOKS_HERE.match(" ".join((PurePath(server.command[0]).name, *server.command[1:2]))):
        return False
    if any(name.startswith(_CHANGES_PROGRAMS) for name in server.env):
        return False
    here = Paths.from_environment()
    config = server.env.get("PKTUI_CONFIG_DIR") or here.config_dir
    data = server.env.get("PKTUI_DATA_DIR") or here.data_dir
    return Paths.at(Path(config), Path(data)) == paths


def _is_this(program: str) -> bool:
    """Tell whether a program is the pktui that runs this hook; one named alone is from the PATH."""
    if "/" not in program:
        return bool(program)
    beside = Path(sys.executable).with_name("pktui")
    return os.path.realpath(program) in (os.path.realpath(sys.argv[0]), os.path.realpath(beside))


def _is_for(server: str, agent: HookedAgent, event: HookEvent) -> bool:
    if event.server:
        return server == event.server
    name = "".join(one if one.isalnum() or one in "_-" else "_" for one in server)
    return any(
        event.tool.startswith(f"{agent.prefix}{form}{agent.between}") for form in (server, name)
    )
