"""The calls that wait for a person, listed and shown whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from pktui.agent_names import friendly
from pktui.cli import backends, output
from pktui.cli.commands import Argument, Exit, Option
from pktui.cli.risk import tool_risk_in
from pktui.errors import ApprovalError
from pktui.ledger.approvals.finding import having
from pktui.text import escaped

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Approval

# How many of the newest a query with --all looks through.
_LOOKED_THROUGH = 10_000

ApprovalId = Annotated[str, Argument(metavar="ID", help="The approval's id, for example tavo-93.")]


def list_(
    query: Annotated[
        list[str] | None,
        Argument(metavar="QUERY", help="Only those with these words, or of machine:NAME."),
    ] = None,
    every: Annotated[
        bool, Option("--all", help="Those that were decided or have expired, too.")
    ] = False,
    limit: Annotated[int, Option(min=1, max=1000, help="How many at most.")] = 100,
    json: output.JsonFlag = False,
) -> None:
    """List the calls that wait, oldest first; with --all every one, newest first."""
    found: tuple[Approval, ...] = ()
    if backends.used_before():
        with backends.ledger() as ledger:
            approvals = ledger.approvals
            most = _LOOKED_THROUGH if query else limit
            found = approvals.recent(most) if every else approvals.pending()
            found = having(found, " ".join(query or ()))[:limit]
            _tell_stop(ledger)
    if json:
        output.json([record(one) for one in found])
        return
    seats = ("machine",) if any(one.machine for one in found) else ()
    rows = [
        (
            *(one.id, one.status, who(one), *[str(one.seat) for _ in seats]),
            f"{one.server}.{one.tool}",
            *(output.moment(one.created_us), output.moment(one.expires_us)),
            f"{one.beside} {one.arguments}" if one.beside else one.arguments,
        )
        for one in found
    ]
    headers = ("id", "status", "agent", *seats, "tool", "asked", "expires", "arguments")
    none = "No call matches." if query else "No call waits for approval."
    output.table(headers, rows, empty=none)


def show(approval: ApprovalId, json: output.JsonFlag = False) -> None:
    """Show one approval: who asks, what would run, why it asks, and what was decided."""
    with backends.ledger() as ledger:
        found = get(ledger, approval)
        if json:
            risk = tool_risk_in(ledger, found.server, found.tool)
            output.json(record(found) | {"risk": risk})
        else:
            tell(ledger, found)


def open_(approval: ApprovalId) -> None:
    """Open the console at an approval; where there is no terminal, show it."""
    from pktui.cli.console import can_open, open_console

    if not can_open():
        show(approval)
        return
    raise Exit(open_console(read_only=False, view="approvals", at=approval))


def get(ledger: Ledger, approval_id: str) -> Approval:
    """Return an approval; raises `ApprovalError` where there is none of that id."""
    found = ledger.approvals.get(approval_id)
    if found is None:
        raise ApprovalError(
            f"there is no approval {approval_id}", "List what waits with: pktui approvals list"
        )
    return found


def tell(ledger: Ledger, approval: Approval) -> None:
    """Print an approval whole; where the tool was redefined, how."""
    answer = f"{approval.decided_by}, {output.moment(approval.decided_us)}"
    output.facts(
        (
            ("id", approval.id),
            ("status", approval.status),
            ("agent", friendly(approval.agent)),
            ("machine", str(approval.seat)),
            ("grant", approval.grant),
            ("connection", approval.session),
            ("project", approval.project),
            ("server", approval.server),
            ("tool", approval.tool),
            ("why", approval.reason),
            ("rule", approval.rule),
            *tool_risk_in(ledger, approval.server, approval.tool).facts,
            ("asked", output.moment(approval.created_us)),
            ("expires", output.moment(approval.expires_us)),
            ("people", approval.people),
            ("decided by", answer if approval.decided_by else ""),
            ("words", approval.words),
            ("hash", approval.args_hash),
            ("look", _look(approval)),
            ("beside", escaped(_pretty(approval.beside)) if approval.beside else ""),
            ("arguments", escaped(_pretty(approval.arguments))),
            ("changed to", escaped(_pretty(approval.changed)) if approval.changed else ""),
            ("_meta", escaped(_pretty(approval.meta)) if approval.meta else ""),
            ("definition", _redefined(ledger, approval)),
        )
    )


def record(approval: Approval) -> dict[str, object]:
    """Return an approval as `--json` prints it."""
    return msgspec.structs.asdict(approval) | {"look": approval.looked}


def _look(approval: Approval) -> str:
    """Return what the call would change, as a look showed it; empty where none was wanted."""
    looked = approval.looked
    if looked is None:
        return ""
    from pktui.insight.looked import headline, shown_lines
    from pktui.text import one_line, visible

    first = f"{one_line(headline(looked), 400)} ({output.moment(looked.at_us)})"
    return "\n".join((first, *map(visible, shown_lines(looked))))


def who(approval: Approval) -> str:
    """Name who asks."""
    return approval.grant or friendly(approval.agent) or "an unnamed agent"


def _redefined(ledger: Ledger, approval: Approval) -> str:
    """Return how the tool's definition differs from the accepted one, as a diff; else nothing."""
    seen = ledger.catalogue.tool(approval.server, approval.tool)
    if seen is None or not seen.changed:
        return ""
    import difflib

    old, new = (
        escaped(_pretty(text)).splitlines() for text in (seen.pinned_definition, seen.definition)
    )
    return "\n".join(difflib.unified_diff(old, new, "accepted", "now", lineterm=""))


def _pretty(text: str) -> str:
    import msgspec

    return msgspec.json.format(text.encode(), indent=2).decode()


def _tell_stop(ledger: Ledger) -> None:
    stop = ledger.approvals.stop_in_force()
    if stop is not None:
        output.note(
            f"Everything is stopped by {stop.by} since {output.moment(stop.at_us)}."
            " Go on with: pktui approvals release"
        )
