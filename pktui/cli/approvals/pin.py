"""`pktui approvals pin`: put decisions behind a PIN."""

from __future__ import annotations

from pktui.cli import backends, output
from pktui.cli.command_guard import BY, ask_pin, typed_pin
from pktui.cli.commands import group
from pktui.errors import PinError

pin_app = group("The PIN that is asked for on deciding.")


@pin_app.verb("set")
def set_() -> None:
    """Set a PIN, or another one; it is typed, never given as an option."""
    with backends.ledger(write=True) as ledger:
        old = ask_pin(ledger, what="Old PIN")
        new = typed_pin("New PIN")
        if typed_pin("New PIN again") != new:
            raise PinError("the two are not the same", "Nothing was changed; try again")
        ledger.pin.set(new, by=BY, old=old)
    output.note(
        "From now on deciding, and what lets agents do more, asks for the PIN."
        " Stopping and revoking do not."
    )


@pin_app.verb()
def clear() -> None:
    """Take the PIN away; the old one is asked for."""
    with backends.ledger(write=True) as ledger:
        cleared = ledger.pin.clear(ask_pin(ledger, what="Old PIN"), by=BY)
    output.note("Deciding asks for no PIN any more." if cleared else "There is no PIN.")
