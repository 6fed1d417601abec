"""Which file a person means: a path, or the policy of a server by its name."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pktui.agent_names import HOOKED
from pktui.cli import backends
from pktui.cli.commands import Argument
from pktui.errors import PolicyError
from pktui.settings import Paths, bundled, check_server_name, load_settings

if TYPE_CHECKING:
    from pktui.insight.in_force import Layers
    from pktui.ledger.ledger import Ledger
    from pktui.policy.argument_check import Definition
    from pktui.policy.managed import Managed
    from pktui.policy.selection import Selection

Place = Annotated[str, Argument(metavar="SERVER|FILE", help="A server, or a policy file.")]
ServerName = Annotated[str, Argument(metavar="SERVER", help="The server's name.")]
MEMORY = "memory"


def is_file(place: str) -> bool:
    """Return whether the words name a file rather than a server."""
    return "/" in place or place.endswith((".json", ".yaml", ".yml"))


def policy_file(place: str) -> Path:
    """Return the file of a policy, whether it exists or not."""
    if is_file(place):
        return Path(place)
    paths = Paths.from_environment()
    return load_settings(paths).policy_file(paths, place)


def shipped(server: str) -> Path | None:
    """Return the policy that a server begins with, where one comes with pktui.

    One does for what no entry names: the memory, and the agents whose own tools are decided.
    """
    known = server == MEMORY or server in HOOKED
    return bundled("config", "policies", f"{server}.json") if known else None


def existing_file(place: str) -> Path:
    """Return the file of a policy in force: the shipped one, if any, until it is copied.

    Raises `PolicyError` with what to do where there is none.
    """
    path = policy_file(place)
    if path.exists() or is_file(place):
        return path
    if file := shipped(place):
        return file
    raise PolicyError(
        f"there is no policy for {check_server_name(place)} at {path}",
        f"Make one with: pktui policy init {place}",
    )


def file_in_force(server: str) -> Path:
    """Return the file a gateway of this server goes by, which need not exist yet.

    Raises `UnknownServer` where there is neither a policy nor such a server.
    """
    path = policy_file(server)
    if path.exists() or shipped(server):
        return existing_file(server)
    from pktui.gateway.servers.entries import find_server

    find_server(Paths.from_environment(), server)
    return path


def selection_of(server: str) -> Selection:
    """Return which tools the server's entry leaves in; every one where there is no such entry."""
    from pktui.gateway.servers import entries

    return entries.selection_of(Paths.from_environment(), server)


def layers_of(server: str, ledger: Ledger | None = None) -> Layers:
    """Return what a gateway of this server goes by besides its document.

    `ledger` is the one that is open, if any.
    """
    from pktui.gateway.servers.naming import started_name
    from pktui.insight.in_force import layers_of as read_layers

    paths = Paths.from_environment()
    open_one = (
        backends.ledger() if ledger is None and backends.used_before() else nullcontext(ledger)
    )
    with open_one as known:
        return read_layers(
            *(server, paths, load_settings(paths), known, partial(started_name, paths, server)),
            selection_of(server),
        )


def managed(server: str) -> Managed:
    """Return what is managed for a server, whatever its entry calls it."""
    from pktui.gateway.servers.naming import started_name
    from pktui.policy.managed import Managed

    paths = Paths.from_environment()
    return Managed(server, partial(started_name, paths, server), paths.bundle_file)


def server_of(place: str) -> str:
    """Return the server a place speaks of: its name, or the file's without its suffix."""
    return Path(place).stem if is_file(place) else place


def pinned_tools(server: str) -> dict[str, Definition]:
    """Return the definitions of a server's tools by name; none where no gateway has seen it."""
    if not backends.used_before():
        return {}
    from pktui.policy.argument_check import pinned

    with backends.ledger() as ledger:
        return {tool.name: pinned(tool) for tool in ledger.catalogue.tools(server)}
