"""`pktui approvals`: decide the calls that wait, and what else a person holds in hand."""

from __future__ import annotations

from pktui.cli.approvals import deciding, pin, queue, standing, stopping
from pktui.cli.commands import group

approvals_app = group()
approvals_app.verb("list")(queue.list_)
approvals_app.verb("show")(queue.show)
approvals_app.verb("approve")(deciding.approve)
approvals_app.verb("deny")(deciding.deny)
approvals_app.add_command(standing.standing_app, "standing")
approvals_app.verb("stop")(stopping.stop)
approvals_app.verb("release")(stopping.release)
approvals_app.add_command(pin.pin_app, "pin")
