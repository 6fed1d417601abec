"""Allow or deny all that waits of one agent and tool; each call is decided by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.cli import backends, output
from pktui.cli.approvals import queue
from pktui.cli.command_guard import BY, ask_pin
from pktui.cli.commands import Exit
from pktui.errors import ApprovalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Approval


def allow(approval_id: str, *, plain: bool, yes: bool, json: bool) -> None:
    """Allow each waiting call of one agent and tool, each shown first, where that only reads.

    `plain`: once, each as it is; nothing else is allowed of many.
    """
    if not plain:
        raise UsageError("--group allows calls once, each as it is", "Leave the other options out")
    from pktui.insight.groups import Group, reads

    with backends.ledger(write=True) as ledger:
        asked = queue.get(ledger, approval_id)
        members = _members(ledger, asked)
        tool = ledger.catalogue.tool(asked.server, asked.tool)
        if members and not (reads(tool) and Group(tuple(members)).decided_together):
            raise ApprovalError(
                f"{asked.server}.{asked.tool} is not known to read only, so its calls are allowed"
                " one by one",
                "Allow each by its id; --group denies any",
            )
        for one in members if not yes else ():
            queue.tell(ledger, one)
        if members and not yes:
            output.confirm(f"Allow these {len(members)} calls, once each?", yes=False)
        decided = ledger.approvals.decide_each(members, True, by=BY, pin=ask_pin(ledger))
    _report(members, decided, json=json)


def deny(approval_id: str, words: str, *, json: bool) -> None:
    """Deny each waiting call of one agent and tool."""
    with backends.ledger(write=True) as ledger:
        members = _members(ledger, queue.get(ledger, approval_id))
        pin = ask_pin(ledger)
        decided = ledger.approvals.decide_each(members, False, by=BY, words=words, pin=pin)
    _report(members, decided, json=json)


def _members(ledger: Ledger, asked: Approval) -> list[Approval]:
    """Return what waits of the agent and tool of a call, oldest first."""
    from pktui.insight.groups import kin

    return [one for one in ledger.approvals.pending() if kin(one) == kin(asked)]


def _report(
    members: Sequence[Approval], decided: Sequence[Approval | ApprovalError], *, json: bool
) -> None:
    """Report each call of a group; exit 1 where one was left as it is."""
    done = [one for one in decided if not isinstance(one, ApprovalError)]
    if json:
        output.json([queue.record(one) for one in done])
    else:
        for one in done:
            word = "allowed, once" if one.status == "allowed" else one.status
            output.line(f"{one.id} {word}: {one.server}.{one.tool} for {queue.who(one)}")
    ends = zip(members, decided, strict=True)
    left = [(one.id, why) for one, why in ends if isinstance(why, ApprovalError)]
    for name, why in left:
        output.note(f"{name} is left as it was: {why}")
    if not members:
        output.note("No call of this agent and tool waits.")
    if left:
        raise Exit(1)
