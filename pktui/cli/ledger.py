"""`pktui ledger`: this machine's ledger, carried over into the one that a team shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from pktui.cli import output
from pktui.cli.commands import Option, group
from pktui.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.postgres.migration import Moved

ledger_app = group()

_CALLED = {
    "approvals": "approvals",
    "standing": "standing approvals",
    "grants": "grants",
    "tools": "pinned tools",
    "pin": "PIN",
    "switches": "stops",
}


@ledger_app.verb()
def migrate(
    to: Annotated[str, Option("--to", metavar="URL", help="postgresql://user@host/database")],
    json: output.JsonFlag = False,
) -> None:
    """Carry over what decides, what is used of limits, and the record; verified before and after.

    Nothing of this machine's own ledger changes; settings.toml is yours to edit then.
    """
    from pktui.ledger.ledger import Ledger
    from pktui.settings import Paths, load_settings

    paths = Paths.from_environment()
    settings = load_settings(paths)
    if settings.ledger.uri:
        raise UsageError(
            "settings.toml names a team's ledger already (ledger.uri)",
            "Take it out there to carry over what this machine had of its own",
        )
    own = Ledger.open(paths.ledger_file, audit=settings.audit)
    try:
        _check_own(own)
    finally:
        own.close()
    shared = msgspec.structs.replace(settings.ledger, uri=to)
    joined = Ledger.open(paths.ledger_file, audit=settings.audit, shared=shared)
    try:
        moved = joined.move_to_team()
        _check_shared(joined)
    finally:
        joined.close()
    if json:
        output.json(moved)
    else:
        _tell(moved)
    output.note("Now name it on every machine, in settings.toml: [ledger] uri = …")


def _check_own(own: Ledger) -> None:
    running = own.presence.alive()
    if running:
        raise LedgerError(
            f"{len(running)} gateways, consoles or agents run here and go by this machine's own"
            " ledger",
            "End them first: pktui doctor names them",
        )
    found = own.verify()
    if not found.ok:
        raise LedgerError(f"nothing was carried over: {found.problem}", "See pktui audit verify")


def _check_shared(joined: Ledger) -> None:
    assert joined.team is not None
    joined.team.copy()
    found = joined.team.verify()
    if not found.ok:
        problems = [f"{one.machine}: {one.problem}" for one in found.machines if one.problem]
        raise LedgerError(
            f"the team's ledger does not hold: {'; '.join([*problems, found.problem])}",
            "See pktui audit verify, and set ledger.uri once that is mended",
        )


def _tell(moved: Moved) -> None:
    rows = [
        (_CALLED[table], str(count), str(moved.there[table])) for table, count in moved.rows.items()
    ]
    rows.append(("charges of limits", str(moved.charges), ""))
    output.table(("what", "carried over", "there already"), rows, empty="")
    output.line("The team's ledger holds.")
