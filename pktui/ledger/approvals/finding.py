"""The approvals that a person's words find: in the console's queue and on the command line.

    machine:                           the whole name of one of a team's, or a pattern with * and ?
    words and "phrases"                anywhere in what the list shows of them

A "-" before either but a word excludes; nothing depends on case.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pktui.query import fits_name, parse_query

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.query import Query

_KEYS: Final = ("machine",)


def having(approvals: Iterable[Approval], text: str) -> tuple[Approval, ...]:
    """Return those that the text finds, in their order."""
    query = parse_query(text, _KEYS)
    return tuple(one for one in approvals if _fits(one, query))


def _fits(one: Approval, query: Query) -> bool:
    fields = one.id, one.agent, one.server, one.tool, one.status, one.arguments, str(one.seat)
    shown = "\n".join(fields).casefold()
    machines = query.values("machine")
    return (
        all((term.text.casefold() in shown) is not term.negated for term in query.terms)
        and (not machines or any(fits_name(name, one.machine) for name in machines))
        and not any(item.negated and fits_name(item.value, one.machine) for item in query.filters)
    )
