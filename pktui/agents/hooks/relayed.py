"""Which calls of an agent reach their server through pktui's gateway, which decides them itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.agents.discovery import find_configs, starts_gateway

if TYPE_CHECKING:
    from pktui.agents.clients import Places
    from pktui.agents.hooks.event import HookedAgent, HookEvent


def is_relayed(
    agent: HookedAgent, event: HookEvent, places: Places, directories: Sequence[str]
) -> bool:
    """Tell whether the gateway decides the call, so that the hook does not.

    The agent's payload or its configuration says so, never the tool's name alone: where a name may
    be of several servers, all of them must be behind pktui. `directories` are those that the
    session may have its servers from; what is above them counts as well.
    """
    if event.launch:
        return starts_gateway(event.launch)
    if event.tool in agent.own:
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
    return bool(named) and all(server.behind_pktui for server in named)


def _is_for(server: str, agent: HookedAgent, event: HookEvent) -> bool:
    if event.server:
        return server == event.server
    name = "".join(one if one.isalnum() or one in "_-" else "_" for one in server)
    return any(
        event.tool.startswith(f"{agent.prefix}{form}{agent.between}") for form in (server, name)
    )
