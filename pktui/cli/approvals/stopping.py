"""Stop everything, and go on."""

from __future__ import annotations

from pktui.cli import output, reach
from pktui.cli.doors import BY, ask_pin
from pktui.errors import ApprovalError


def stop(json: output.JsonFlag = False) -> None:
    """Deny all that waits and, until `release`, every call of every agent. It needs no PIN."""
    with reach.ledger(write=True) as ledger:
        denied = ledger.approvals.stop(by=BY)
        standing = len(ledger.standing.live())
    if json:
        output.json({"stopped": True, "denied": denied, "standing": standing})
        return
    waited = "1 waiting call was" if len(denied) == 1 else f"{len(denied)} waiting calls were"
    output.line(
        f"everything is stopped: {waited} denied, and every call is refused until the release"
    )
    output.note("Calls that a server works on already go on. Go on with: pktui approvals release")
    if standing:
        hold = (
            "1 standing approval holds" if standing == 1 else f"{standing} standing approvals hold"
        )
        output.note(f"{hold} again from then on; end with: pktui approvals standing revoke all")


def release(json: output.JsonFlag = False) -> None:
    """End the stop: policies decide again."""
    with reach.ledger(write=True) as ledger:
        if not ledger.approvals.stopped():
            raise ApprovalError("nothing is stopped")
        released = ledger.approvals.release(by=BY, pin=ask_pin(ledger))
    if json:
        output.json({"stopped": not released})
    else:
        output.line("released: policies decide again")
