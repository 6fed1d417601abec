"""`pktui clients`: the coding agents here and the MCP servers they reach."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import msgspec

from pktui.agents.hook_state import INSTALLED
from pktui.cli import output
from pktui.cli.adopting import adopt, release
from pktui.cli.commands import group

if TYPE_CHECKING:
    from pktui.agents.discovery import AgentFound, ConfiguredServer, Finding

clients_app = group()


class ClientServer(msgspec.Struct, frozen=True, rename="camel"):
    """One server of one agent, as `clients list --json` prints it."""

    client: str
    level: str
    file: str
    server: str
    command: list[str]
    url: str
    directory: str
    behind_pktui: bool
    disabled: bool
    problem: str


@clients_app.verb("list")
def list_clients(json: output.JsonFlag = False) -> None:
    """List the agents on this machine, their MCP servers, and what goes through pktui."""
    from pktui.agents.clients import Places
    from pktui.agents.discovery import find_agents, find_configs
    from pktui.settings import Paths

    places = Places.here()
    findings = find_configs(places)
    for finding in findings:
        if finding.problem:
            output.note(f"{finding.client.title}: {finding.file} {finding.problem}; left out")
        for server in finding.servers:
            if server.problem:
                output.note(
                    f"{finding.client.title}: {finding.file}: server {server.name!r}:"
                    f" {server.problem}; left out"
                )
    pairs = [(finding, server) for finding in findings for server in finding.servers]
    paths = Paths.from_environment()
    agents = find_agents(paths, places)
    if json:
        output.json([_record(finding, server) for finding, server in pairs])
        return
    for agent in agents:
        others = sorted(agent.directories - {str(paths.config_dir), str(paths.data_dir)})
        if others:
            output.note(
                f"{agent.client.title} uses {', '.join(others)}, and this terminal"
                f" {paths.config_dir}, {paths.data_dir}: pktui adopt makes them meet"
            )
    if agents:
        output.table(
            ["agent", "servers", "its own tools", "hook ran", "sessions"],
            [_agent_row(agent) for agent in agents],
        )
        output.line()
    output.table(
        ["client", "server", "through pktui", "runs", "file"],
        [_row(finding, server) for finding, server in pairs if not server.problem],
        empty="No agent with MCP servers was found for this user and directory. "
        "config/clients holds samples to copy.",
    )


def _agent_row(agent: AgentFound) -> list[str]:
    servers = f"{agent.behind} of {agent.servers} through pktui" if agent.servers else "none"
    tools = agent.hooks.replace(INSTALLED, "through pktui") if agent.hooks else "not reached"
    seen = output.moment(round(agent.seen_at * 1_000_000)) if agent.seen_at else "never"
    where = str(agent.sessions) if agent.sessions is not None else "none"
    return [agent.client.title, servers, tools, seen if agent.hooks else "", where]


clients_app.verb("adopt")(adopt)
clients_app.verb("release")(release)


def _row(finding: Finding, server: ConfiguredServer) -> list[str]:
    runs = shlex.join(server.command) or server.url
    through = "disabled" if server.disabled else "yes" if server.behind_pktui else "no"
    where = f"{finding.file} ({server.directory})" if server.directory else str(finding.file)
    return [finding.client.id, server.name, through, runs, where]


def _record(finding: Finding, server: ConfiguredServer) -> ClientServer:
    return ClientServer(
        client=finding.client.id,
        level=finding.level,
        file=str(finding.file),
        server=server.name,
        command=list(server.command),
        url=server.url,
        directory=server.directory,
        behind_pktui=server.behind_pktui,
        disabled=server.disabled,
        problem=server.problem,
    )
