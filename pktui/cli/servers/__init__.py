"""`pktui servers`: the MCP servers that stand behind pktui, and what they offer."""

from __future__ import annotations

import typer

from pktui.cli.servers import editing, listing, scanning

servers_app = typer.Typer()
servers_app.command("list")(listing.list_)
servers_app.command("add")(editing.add)
servers_app.command("remove")(editing.remove)
servers_app.command("scan")(scanning.scan)
