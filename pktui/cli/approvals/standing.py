"""`pktui approvals standing`: the answers that stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pktui.cli import backends, output
from pktui.cli.command_guard import BY
from pktui.cli.commands import Argument, Option, group

if TYPE_CHECKING:
    from pktui.ledger.approvals.standing import StandingApproval

standing_app = group("List and revoke answers that hold for more than one call.")


@standing_app.verb("list")
def list_(
    every: Annotated[bool, Option("--all", help="Those that have ended, too.")] = False,
    limit: Annotated[int, Option(min=1, max=1000, help="How many at most.")] = 100,
    json: output.JsonFlag = False,
) -> None:
    """List the standing approvals, oldest first; with --all every one, newest first."""
    found: tuple[StandingApproval, ...] = ()
    if backends.used_before():
        with backends.ledger() as ledger:
            standing = ledger.standing
            found = standing.recent(limit) if every else standing.live()[:limit]
    if json:
        output.json(found)
        return
    rows = [
        (
            *(one.id, _state(one), one.grant or one.agent or "an unnamed agent"),
            *(f"{one.server}.{one.tool}", _which(one)),
            *(output.moment(one.created_us), one.made_by, str(one.uses)),
        )
        for one in found
    ]
    headers = ("id", "holds", "agent", "tool", "arguments", "made", "by", "used")
    output.table(headers, rows, empty="No approval stands.")


@standing_app.verb()
def revoke(
    standing: Annotated[
        str, Argument(metavar="ID", help="Its id, for example s-tavo-93; all for every one.")
    ],
    json: output.JsonFlag = False,
) -> None:
    """End a standing approval: the next such call asks a person again. It needs no PIN."""
    with backends.ledger(write=True) as ledger:
        names = [one.id for one in ledger.standing.live()] if standing == "all" else [standing]
        ended = [ledger.standing.revoke(name, by=BY) for name in names]
    if json:
        output.json(ended)
        return
    for one in ended:
        output.line(f"{one.id} revoked: {one.server}.{one.tool}, used {one.uses} times")
    if not ended:
        output.note("No approval stands.")


def _which(one: StandingApproval) -> str:
    """Say which calls it answers."""
    if not one.conditions:
        return one.arguments or "any"
    from pktui.policy.predicate import say_conditions

    return say_conditions(one.conditions)


def _state(one: StandingApproval) -> str:
    if one.ended:
        return one.ended
    until = f"until {output.moment(one.expires_us)}"
    return f"until it disconnects, {until}" if one.session else until
