"""What a scan found of a server's tools, and how it is shown to a person."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Literal

import msgspec

from pktui.cli import output
from pktui.ledger.records import Flag, ToolSeen
from pktui.policy.risk import classify_all, definitions
from pktui.text import escaped, one_line

State = Literal["pinned", "same", "new", "changed"]


class ScannedTool(msgspec.Struct, frozen=True, rename="camel"):
    """A tool as `servers scan --json` prints it; `accepted` is the definition that is trusted."""

    name: str
    state: State
    category: str
    severity: str
    why: str
    flags: tuple[Flag, ...]
    hash: str
    definition: msgspec.Raw
    accepted: msgspec.Raw | None = None


class Scanned(msgspec.Struct, frozen=True):
    """What a scan of one server found; `error` says why it found nothing."""

    server: str
    tools: tuple[ScannedTool, ...] = ()
    gone: tuple[str, ...] = ()
    error: str = ""


def scanned_tool(tool: ToolSeen, *, known: bool) -> ScannedTool:
    """Judge a tool as it is on record now; `known`: its server was seen before this scan."""
    state: State = "changed" if tool.changed else "new" if tool.is_new else "same"
    worst = classify_all(definitions(tool.definition))
    return ScannedTool(
        tool.name,
        state if known else "pinned",
        worst.category,
        worst.severity,
        worst.why,
        tool.flags,
        tool.hash,
        msgspec.Raw(tool.definition.encode()),
        msgspec.Raw(tool.pinned_definition.encode()) if tool.changed else None,
    )


def show(one: Scanned, *, to_accept: bool = False) -> None:
    """Print what one server offers: a line for all of it, and what a person should look at.

    `to_accept`: new definitions are shown whole, since they are accepted as shown.
    """
    if one.error:
        output.line(f"{one.server}: {one_line(one.error, 1_000)}")
        return
    states = [tool.state for tool in one.tools]
    counts = {
        "new": states.count("new"),
        "changed": states.count("changed"),
        "gone": len(one.gone),
        "flagged": sum(bool(tool.flags) for tool in one.tools),
    }
    first = ", pinned as first seen" if "pinned" in states else ""
    said = "".join(f", {count} {word}" for word, count in counts.items() if count)
    output.line(f"{one.server}: {len(states)} tools{first}{said}")
    for tool in one.tools:
        if tool.state in ("new", "changed") or tool.flags or "pinned" in states:
            _show_tool(tool, whole=to_accept and tool.state == "new")
    for name in one.gone:
        output.line(f"  gone      {one_line(name)}")


def _show_tool(tool: ScannedTool, *, whole: bool) -> None:
    output.line(f"  {tool.state:8}  {one_line(tool.name)}  {tool.category}: {tool.why}")
    for flag in tool.flags:
        output.line(f"            ! {flag.kind} at {flag.where or '/'}: {one_line(flag.shown)}")
    if tool.accepted is not None:
        for line in _difference(bytes(tool.accepted).decode(), bytes(tool.definition).decode()):
            output.line(f"            {line}")
    if whole:
        for line in _pretty(bytes(tool.definition).decode()):
            output.line(f"            + {line}")


def _difference(old: str, new: str) -> Iterator[str]:
    """Yield the lines in which two definitions differ, with some around them."""
    return difflib.unified_diff(_pretty(old), _pretty(new), "accepted", "now", lineterm="", n=2)


def _pretty(text: str) -> list[str]:
    """Return JSON with one member a line; line ends inside texts stay escapes."""
    return escaped(msgspec.json.format(text.encode(), indent=2).decode()).splitlines()
