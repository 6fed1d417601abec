"""`pktui clients`: the coding agents here and the MCP servers they reach."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import msgspec

from pktui.cli import output
from pktui.cli.adopting import adopt, release
from pktui.cli.commands import group

if TYPE_CHECKING:
    from pktui.agents.discovery import ConfiguredServer, Finding

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
    """List the MCP servers that the agents on this machine have configured."""
    from pktui.agents.clients import Places
    from pktui.agents.discovery import find_configs

    findings = find_configs(Places.here())
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
    if json:
        output.json([_record(finding, server) for finding, server in pairs])
        return
    output.table(
        ["client", "server", "through pktui", "runs", "file"],
        [_row(finding, server) for finding, server in pairs if not server.problem],
        empty="No agent with MCP servers was found for this user and directory. "
        "config/clients holds samples to copy.",
    )


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
