"""What other machines have put on record, taken into this machine's index for whoever looks.

So feed, filters and figures read one file here, at the speed they have alone. In the index another
machine's segments have its number above their own; this machine's is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pktui.ledger.journal.segment import CONTENT, MOST_MACHINES
from pktui.ledger.postgres.database import NUL
from pktui.ledger.records import Seat

if TYPE_CHECKING:
    from pktui.ledger.journal.indexer import Index
    from pktui.ledger.postgres.database import SharedDatabase

# Of what is older than so many rows nothing is taken in by who begins.
_MOST_AT_FIRST: Final = 200_000
_PIECE: Final = 1000
_TOP: Final = "SELECT coalesce(max(seq), 0) FROM events"
_ROWS: Final = f"""SELECT seq, machine, segment, {", ".join(CONTENT)}, charges, hash FROM events
    WHERE seq > %s AND seq <= %s AND machine <> %s AND machine < {MOST_MACHINES}
    ORDER BY seq LIMIT {_PIECE}"""  # noqa: S608
_NAMES: Final = f"SELECT n, name, person FROM machines WHERE n < {MOST_MACHINES}"  # noqa: S608


def take_in(database: SharedDatabase, index: Index) -> int:
    """Take in what is new; return how many rows that was. Raises `LedgerUnavailable`."""
    connection = database.connection
    connection.told()
    here, rows = database.machine_number, 0
    top: int = connection.run(_TOP)[0][0][0]
    reached = index.others_reached(database.id)
    if reached == top:
        return 0
    names = {
        0 if n == here else n: Seat(person, name) for n, name, person in connection.run(_NAMES)[0]
    }
    since = reached or max(0, top - _MOST_AT_FIRST)
    while since < top:
        found, _ = connection.run(_ROWS, (since, top, here))
        since = found[-1][0] if len(found) == _PIECE else top
        taken = [tuple(map(_as_written, row[1:])) for row in found]
        index.take_others(taken, names, database.id, since)
        rows += len(found)
    return rows


def _as_written(part: Any) -> Any:
    return part.replace(NUL, "\0") if isinstance(part, str) else part
