"""`pktui servers scan`: ask servers for their tools, show what is new about them, accept it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pktui.cli import backends, output
from pktui.cli.command_guard import BY, ask_pin
from pktui.cli.commands import Argument, Exit, Option
from pktui.errors import PktuiError, UsageError
from pktui.person import check_person
from pktui.settings import Paths

if TYPE_CHECKING:
    from pktui.cli.servers.report import Scanned
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.ledger.ledger import Ledger

PATIENCE = 60.0


def scan(
    names: Annotated[
        list[str] | None, Argument(metavar="NAME", help="Which servers; all, if none.")
    ] = None,
    accept: Annotated[
        bool, Option("--accept", help="Trust new and changed definitions as shown.")
    ] = False,
    tool: Annotated[
        list[str] | None, Option("--tool", "-t", help="With --accept: this tool only.")
    ] = None,
    seconds: Annotated[
        float, Option("--timeout", min=0.1, help="Seconds each server has.")
    ] = PATIENCE,
    yes: Annotated[bool, Option("--yes", "-y", help="Accept without asking.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """Start or reach servers, list their tools, and show what is new, changed or suspicious."""
    if tool and not accept:
        raise UsageError("--tool goes with --accept", "Add --accept to trust that tool")
    if accept:
        check_person()
    from pktui.cli.servers.report import show

    entries = _entries(names or [])
    with backends.ledger(write=True) as ledger:
        found = [_scan(entry, ledger, seconds) for entry in entries]
        if json:
            output.json(found)
        else:
            for one in found:
                show(one, to_accept=accept)
        if accept:
            _accept(found, tool or [], ledger, yes=yes)
        else:
            _offer(found)
    if any(one.error for one in found):
        raise Exit(1)


def _entries(names: Sequence[str]) -> list[ServerEntry]:
    """Return the servers named, or every one that is not disabled."""
    from pktui.gateway.servers.entries import find_server, load_servers

    paths = Paths.from_environment()
    if names:
        return [find_server(paths, name) for name in dict.fromkeys(names)]
    servers = load_servers(paths)
    for fault in servers.faults:
        output.note(f"! {fault}")
    return [entry for entry in servers.values() if not entry.disabled]


def _scan(entry: ServerEntry, ledger: Ledger, seconds: float) -> Scanned:
    from pktui.cli.servers.report import Scanned, scanned_tool
    from pktui.gateway.enforcement.pins import Pins
    from pktui.gateway.tool_scan import scan as tool_scan

    output.note(f"Asking {entry.name} …")
    before = {tool.name: tool for tool in ledger.catalogue.tools(entry.name)}
    try:
        definitions = tool_scan.scan(entry, seconds)
    except PktuiError as error:
        return Scanned(entry.name, error=str(error))
    seen = Pins(ledger, entry.name).saw(definitions)
    names = {tool.name for tool in seen}
    tools = tuple(scanned_tool(tool, known=bool(before)) for tool in seen)
    return Scanned(entry.name, tools, tuple(name for name in before if name not in names))


def _offer(found: Sequence[Scanned]) -> None:
    """Say how what is new or changed comes to be trusted."""
    names = [
        one.server for one in found if any(tool.state in ("new", "changed") for tool in one.tools)
    ]
    if names:
        output.note(f"Trust them as shown: pktui servers scan {' '.join(names)} --accept")


def _accept(found: Sequence[Scanned], only: Sequence[str], ledger: Ledger, *, yes: bool) -> None:
    """Pin what was shown, if the person agrees; a definition that changed since is refused."""
    wanted = [
        (one.server, tool)
        for one in found
        for tool in one.tools
        if tool.state in ("new", "changed") and (not only or tool.name in only)
    ]
    missing = set(only) - {tool.name for one in found for tool in one.tools}
    if missing:
        raise UsageError(f"no server lists {', '.join(sorted(missing))}", "Look at the list above")
    if not wanted:
        output.note("There is nothing to accept.")
        return
    output.confirm(f"Trust {len(wanted)} definitions as shown?", yes=yes)
    pin = ask_pin(ledger)
    for server, tool in wanted:
        ledger.catalogue.accept(server, tool.name, by=BY, shown_hash=tool.hash, pin=pin)
        output.note(f"Accepted {server}.{tool.name}")
