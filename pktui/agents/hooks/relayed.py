"""Which calls of an agent reach their server through pktui's gateway, which decides them itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pktui.agents.discovery import ConfiguredServer, find_configs, starts_gateway

if TYPE_CHECKING:
    from pktui.agents.clients import Places
    from pktui.agents.hooks.event import HookedAgent, HookEvent


def is_relayed(agent: HookedAgent, event: HookEvent, places: Places) -> bool:
    """Tell whether the gateway decides the call, so that the hook does not.

    The agent's payload or its configuration says so, never the tool's name alone: where a name may
    be of several servers, all of them must be behind pktui.
    """
    if event.launch:
        return starts_gateway(event.launch)
    if not event.tool.startswith(agent.prefix) or agent.between not in event.tool:
        return False
    named = [server for server in _servers(agent, places) if _is_for(server.name, agent, event)]
    return bool(named) and all(server.behind_pktui for server in named)


def _servers(agent: HookedAgent, places: Places) -> Iterator[ConfiguredServer]:
    for finding in find_configs(places, only=agent.id):
        for server in finding.servers:
            if not server.directory or server.directory == str(places.project):
                yield server


def _is_for(server: str, agent: HookedAgent, event: HookEvent) -> bool:
    if event.server:
        return server == event.server
    name = "".join(one if one.isalnum() or one in "_-" else "_" for one in server)
    return any(
        event.tool.startswith(f"{agent.prefix}{form}{agent.between}") for form in (server, name)
    )
