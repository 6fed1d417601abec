"""`pktui approvals`: decide the calls that wait, and what else a person holds in hand."""

from __future__ import annotations

import typer

from pktui.cli.approvals import deciding, pin, queue, standing, stopping
from pktui.cli.group import Group

approvals_app = typer.Typer()
approvals_app.command("list")(queue.list_)
approvals_app.command("show")(queue.show)
approvals_app.command("approve")(deciding.approve)
approvals_app.command("deny")(deciding.deny)
approvals_app.add_typer(
    standing.standing_app,
    name="standing",
    help="List and revoke answers that hold for more than one call.",
    no_args_is_help=True,
    cls=Group,
)
approvals_app.command("stop")(stopping.stop)
approvals_app.command("release")(stopping.release)
approvals_app.add_typer(
    pin.pin_app,
    name="pin",
    help="The PIN that is asked for on deciding.",
    no_args_is_help=True,
    cls=Group,
)
