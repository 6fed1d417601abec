"""`pktui servers`: the MCP servers that stand behind pktui, and what they offer."""

from __future__ import annotations

from pktui.cli.commands import group
from pktui.cli.servers import editing, listing, scanning

servers_app = group()
servers_app.verb("list")(listing.list_)
servers_app.verb("add")(editing.add)
servers_app.verb("remove")(editing.remove)
servers_app.verb("scan")(scanning.scan)
