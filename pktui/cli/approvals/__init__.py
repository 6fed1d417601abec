"""`pktui approvals`: decide the calls that wait, and what else a person holds in hand."""

from __future__ import annotations

from pktui.cli.commands import group

approvals_app = group()
for _name, _place in (
    ("list", "queue:list_"),
    ("show", "queue:show"),
    ("open", "queue:open_"),
    ("approve", "deciding:approve"),
    ("deny", "deciding:deny"),
    ("standing", "standing:standing_app"),
    ("stop", "stopping:stop"),
    ("release", "stopping:release"),
    ("pin", "pin:pin_app"),
):
    approvals_app.later(_name, f"pktui.cli.approvals.{_place}")
approvals_app.otherwise = ("open", r"[a-z]{4}-\d{2}")
