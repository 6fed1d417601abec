"""`pktui approvals`: list, show, approve and deny the calls that wait for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pktui.cli import output, reach
from pktui.errors import ApprovalError
from pktui.text import escaped

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Approval

approvals_app = typer.Typer()

BY = "the command line"
"""Who decided, as the record and a later second decision name it."""

_SHORTEST_HASH = 8

ApprovalId = Annotated[
    str, typer.Argument(metavar="ID", help="The approval's id, for example tavo-93.")
]


@approvals_app.command("list")
def list_(
    every: Annotated[
        bool, typer.Option("--all", help="Those that were decided or have expired, too.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    json: output.JsonFlag = False,
) -> None:
    """List the calls that wait, oldest first; with --all every one, newest first."""
    found: tuple[Approval, ...] = ()
    if reach.used_before():
        with reach.ledger() as ledger:
            approvals = ledger.approvals
            found = approvals.recent(limit) if every else approvals.pending()[:limit]
    if json:
        output.json(found)
        return
    rows = [
        (
            *(one.id, one.status, _who(one), f"{one.server}.{one.tool}"),
            *(output.moment(one.created_us), output.moment(one.expires_us), one.arguments),
        )
        for one in found
    ]
    headers = ("id", "status", "agent", "tool", "asked", "expires", "arguments")
    output.table(headers, rows, empty="No call waits for approval.")


@approvals_app.command()
def show(approval: ApprovalId, json: output.JsonFlag = False) -> None:
    """Show one approval: who asks, what would run, why it asks, and what was decided."""
    with reach.ledger() as ledger:
        found = _get(ledger, approval)
    if json:
        output.json(found)
    else:
        _show(found)


@approvals_app.command()
def approve(
    approval: ApprovalId,
    shown_hash: Annotated[
        str,
        typer.Option(
            "--hash", help="Allow only if the arguments' hash, as shown, starts so; asks nothing."
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """Allow one waiting call, once. It is shown first, and what is shown is what runs."""
    with reach.ledger(write=True) as ledger:
        found = _get(ledger, approval)
        if shown_hash:
            _check_hash(found, shown_hash)
        elif found.status == "pending" and not yes:
            _show(found)
            output.confirm("Allow this call, once?", yes=False)
        decided = ledger.approvals.decide(found.id, True, by=BY, args_hash=found.args_hash)
    _report(decided, json=json)


@approvals_app.command()
def deny(
    approval: ApprovalId,
    words: Annotated[
        str, typer.Option("--words", "-w", help="What the agent is told, in your words.")
    ] = "",
    json: output.JsonFlag = False,
) -> None:
    """Deny one waiting call."""
    with reach.ledger(write=True) as ledger:
        found = _get(ledger, approval)
        decided = ledger.approvals.decide(
            found.id, False, by=BY, words=words, args_hash=found.args_hash
        )
    _report(decided, json=json)


def _get(ledger: Ledger, approval_id: str) -> Approval:
    found = ledger.approvals.get(approval_id)
    if found is None:
        raise ApprovalError(
            f"there is no approval {approval_id}", "List what waits with: pktui approvals list"
        )
    return found


def _check_hash(approval: Approval, shown: str) -> None:
    if len(shown) < _SHORTEST_HASH or not approval.args_hash.startswith(shown.lower()):
        raise ApprovalError(
            f"the arguments of {approval.id} do not have the hash {shown}",
            f"Look at them with: pktui approvals show {approval.id}; "
            f"at least {_SHORTEST_HASH} characters of the hash are needed",
        )


def _show(approval: Approval) -> None:
    answer = f"{approval.decided_by}, {output.moment(approval.decided_us)}"
    output.facts(
        (
            ("id", approval.id),
            ("status", approval.status),
            ("agent", approval.agent),
            ("grant", approval.grant),
            ("session", approval.session),
            ("project", approval.project),
            ("server", approval.server),
            ("tool", approval.tool),
            ("why", approval.reason),
            ("rule", approval.rule),
            ("asked", output.moment(approval.created_us)),
            ("expires", output.moment(approval.expires_us)),
            ("decided by", answer if approval.decided_by else ""),
            ("words", approval.words),
            ("hash", approval.args_hash),
            ("arguments", escaped(_pretty(approval.arguments))),
        )
    )


def _pretty(arguments: str) -> str:
    import msgspec

    return msgspec.json.format(arguments.encode(), indent=2).decode()


def _report(decided: Approval, *, json: bool) -> None:
    if json:
        output.json(decided)
        return
    word = "allowed, once" if decided.status == "allowed" else decided.status
    output.line(f"{decided.id} {word}: {decided.server}.{decided.tool} for {_who(decided)}")


def _who(approval: Approval) -> str:
    return approval.grant or approval.agent or "an unnamed agent"
