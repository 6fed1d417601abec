"""The guard before whatever widens what agents may do: a person, with the PIN where one is set.

Console and commands come through here alike. Tightening (deny, hide, revoke, stop) needs no guard.
`pktui.cli.command_guard` says of every command which of the two it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.person import check_person

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.policy.editor import Edit


def check_widening(ledger: Ledger, *, by: str, pin: str = "") -> None:
    """Return where a person may widen what agents may do; `by` is who, as the record names it.

    Raises `ApprovalError` where an agent started this program, and `PinError` where the PIN is
    missing, wrong or not looked at yet: ask for it, and call again.
    """
    check_person()
    ledger.pin.check(pin, by=by)


def check_edit(ledger: Ledger, edit: Edit, *, by: str, pin: str = "") -> None:
    """Return where an edit of a policy may be written: it loosens nothing, or a person makes it.

    Raises as `check_widening` does, and `PolicyInvalid` where the edit leaves no policy.
    """
    if loosened(edit):
        check_widening(ledger, by=by, pin=pin)


def loosened(edit: Edit) -> tuple[str, ...]:
    """Say, a phrase each, what agents may do after an edit and may not before; empty: nothing."""
    from pktui.policy.widening import widened

    return widened(edit.before, edit.after, edit.path)
