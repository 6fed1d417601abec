"""`pktui servers list`: each server, how it is reached, and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pktui.cli import backends, output
from pktui.settings import Paths, Settings, load_settings

if TYPE_CHECKING:
    from pktui.gateway.servers.entries import Fault, ServerEntry
    from pktui.ledger.records import ToolSeen


class Listed(msgspec.Struct, frozen=True, rename="camel"):
    """A server as `servers list --json` prints it; values that may be secret are masked."""

    name: str
    transport: str
    command: list[str]
    url: str
    env: dict[str, str]
    headers: dict[str, str]
    directory: str
    policy: str
    policy_exists: bool
    disabled: bool
    problem: str
    line: int
    leaves_out: bool
    tools: int
    new: int
    changed: int
    flagged: int


def list_(json: output.JsonFlag = False) -> None:
    """List the servers of servers.json and the built-in memory."""
    from pktui.cli.servers import masked
    from pktui.gateway.servers.entries import load_servers

    paths = Paths.from_environment()
    settings = load_settings(paths)
    entries = load_servers(paths)
    known = _known(list(entries))
    listed = [_listed(entry, known[name], paths, settings) for name, entry in entries.items()]
    listed += [_fault(fault) for fault in entries.faults]
    if json:
        output.json(listed)
        return
    rows = [
        (one.name, one.transport, *_state(one), _policy(one, paths), masked.runs(entries[one.name]))
        for one in listed
        if one.transport
    ]
    output.table(("name", "transport", "tools", "state", "policy", "runs"), rows)
    for fault in entries.faults:
        output.note(f"! {fault}")
    if paths.servers_file.exists():
        output.note(f"Kept in {paths.servers_file}; scan them with: pktui servers scan")
    else:
        output.note("Add a server with: pktui servers add NAME -- COMMAND")


def _known(names: Sequence[str]) -> dict[str, tuple[ToolSeen, ...]]:
    if not backends.used_before():
        return dict.fromkeys(names, ())
    with backends.ledger() as ledger:
        return {name: ledger.catalogue.tools(name) for name in names}


def _listed(
    entry: ServerEntry, tools: Sequence[ToolSeen], paths: Paths, settings: Settings
) -> Listed:
    from pktui.cli.servers import masked
    from pktui.policy.selection import EVERYTHING

    policy = settings.policy_file(paths, entry.name)
    return Listed(
        name=entry.name,
        transport=entry.transport,
        command=masked.words(entry.command, entry.args) if entry.command else [],
        url=masked.url(entry.url),
        env=masked.values(entry.env),
        headers=masked.values(entry.headers),
        directory=str(entry.cwd or ""),
        policy=str(policy),
        policy_exists=policy.exists(),
        disabled=entry.disabled,
        problem=entry.problem,
        line=0,
        leaves_out=entry.tools != EVERYTHING,
        tools=len(tools),
        new=sum(tool.is_new for tool in tools),
        changed=sum(tool.changed for tool in tools),
        flagged=sum(bool(tool.flags) for tool in tools),
    )


def _fault(fault: Fault) -> Listed:
    """Return an entry that no server can be made of; it has no transport, and no name where the
    whole file is meant."""
    return Listed(
        name=fault.name, transport="", command=[], url="", env={}, headers={}, directory="",
        policy="", policy_exists=False, disabled=False, problem=f"{fault.what}. {fault.cure}",
        line=fault.line, leaves_out=False, tools=0, new=0, changed=0, flagged=0,
    )  # fmt: skip


def _policy(one: Listed, paths: Paths) -> str:
    """Return the policy's file, from the config directory where it is there."""
    own = Path(one.policy)
    shown = own.relative_to(paths.config_dir) if own.is_relative_to(paths.config_dir) else own
    return str(shown) if one.policy_exists else "none yet"


def _state(one: Listed) -> tuple[str, str]:
    counts = (("new", one.new), ("changed", one.changed), ("flagged", one.flagged))
    said = [f"{count} {word}" for word, count in counts if count]
    said += ["disabled"] if one.disabled else []
    said += ["leaves tools out"] if one.leaves_out else []
    said += [one.problem] if one.problem else []
    return str(one.tools or ""), ", ".join(said)
