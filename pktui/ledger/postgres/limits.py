"""How much of each limit is used by all machines of a team together, exactly.

What `pktui.ledger.counters` is for one machine. A call takes what it needs in one statement, which
is committed before the call's row is written; where the row cannot be written it is given back. So
a limit may for a moment count a call that does not happen, and never misses one that does. The
commit does not wait for the disk: what a crash loses is in the journals (`waking`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pktui.errors import LedgerUnavailable, TeamUnavailable
from pktui.ledger.counters import (
    MOST,
    NEVER_US,
    C,
    Charge,
    key_of,
    limit_of,
    millionths,
    parts_of,
)
from pktui.ledger.records import Charged, CounterInUse

if TYPE_CHECKING:
    from pktui.ledger.postgres.database import SharedDatabase

_TAKE: Final = """SELECT refused, now_us FROM take(%s::text[], %s::bigint[], %s::boolean[],
    %s::bigint[], %s::bigint[])"""
# In a transaction of its own: the journal has it too.
_SOON: Final = ", set_config('synchronous_commit', 'off', true)"
_TAKE_SOON: Final = _TAKE.replace(" FROM", f"{_SOON} FROM", 1)
_GIVE_BACK: Final = "SELECT place FROM give_back(%s::text[], %s::bigint[], %s::bigint[]) AS place"
_GIVE_BACK_SOON: Final = _GIVE_BACK.replace(" FROM", f"{_SOON} FROM", 1)
_LOOK: Final = """SELECT used, retry_us FROM look(%s::text[], %s::bigint[], %s::boolean[],
    %s::bigint[], %s::bigint[])"""
# A process that was stopped for longer looks whether the database has crashed since.
_MOMENT_SECONDS: Final = 0.5
_IN_USE: Final = "SELECT key FROM counters WHERE used > 0 ORDER BY key"


class TeamTurn(msgspec.Struct):
    """What one turn has taken, by call, and when by this process's clock.

    `now_us` is of the database's clock.
    """

    now_us: int
    locked: bool = False
    taken_s: float = 0.0
    taken: dict[str, tuple[Charged, ...]] = msgspec.field(default_factory=dict)


class TeamCounters:
    """Reserves, gives back and reads charges. Raises `LedgerUnavailable`."""

    def __init__(self, database: SharedDatabase) -> None:
        self._database = database
        self._connection = database.connection

    def begin(self) -> TeamTurn:
        """Begin a turn."""
        return TeamTurn(self._connection.now_us())

    def end(self, turn: TeamTurn, append: Callable[[], object]) -> None:
        """Put a turn's rows on record by `append`; what they took is taken already."""
        try:
            if turn.taken and time.monotonic() - turn.taken_s > _MOMENT_SECONDS:
                self._connection.run("SELECT 1")  # it has not crashed meanwhile and begun anew
            append()
        except BaseException:
            self.abandon(turn)
            raise
        turn.taken.clear()

    def abandon(self, turn: TeamTurn) -> None:
        """Give back what a turn took; where that cannot be said, it stays taken."""
        with suppress(LedgerUnavailable):
            for charged in turn.taken.values():
                self._give_back(charged)
        turn.taken.clear()

    def usage(self, charge: Charge, turn: TeamTurn | None = None) -> tuple[Decimal, int]:
        """Return the units in the window now, and when the charge would first fit.

        The time is 0 where it fits now and `NEVER_US` where it is larger than the limit.
        """
        (found,) = self._look(*_asked((charge,)))
        return found

    def used(self, charges: Iterable[Charge]) -> list[Decimal]:
        """Return the units in the windows of many charges, all of one time."""
        return [used for used, _ in self._look(*_asked(tuple(charges)))]

    def in_use(self, server: str = "") -> tuple[CounterInUse, ...]:
        """Return all counters of a server, or of every one, whose windows hold anything now."""
        keys = [key for (key,) in self._connection.run(_IN_USE)[0]]
        keys = [key for key in keys if server in ("", parts_of(key)[0])]
        windows = [parts_of(key)[3] for key in keys]
        calendars = [parts_of(key)[4] == "calendar" for key in keys]
        looks = self._look(keys, windows, calendars, [0] * len(keys), [MOST] * len(keys))
        return tuple(
            CounterInUse(*parts_of(key), used)
            for key, (used, _) in zip(keys, looks, strict=True)
            if used
        )

    def reserve(self, charges: Sequence[C], call_id: str, turn: TeamTurn) -> C | None:
        """Take all charges for a call, or none and return the first that does not fit."""
        asked = _asked(charges)
        connection = self._connection
        with connection.lock:
            alone = not connection.in_transaction()
            if alone:
                self._database.taking.go_on(connection, self._database.machine_number)
            rows, _ = connection.run(_TAKE_SOON if alone else _TAKE, _arrays(*asked))
        refused: int = rows[0][0]
        now_us: int = rows[0][1]
        if refused:
            return charges[refused - 1]
        turn.now_us, turn.taken_s = now_us, time.monotonic()
        keys, _, _, amounts, _ = asked
        turn.taken[call_id] = tuple(
            Charged(key, amount, now_us) for key, amount in zip(keys, amounts, strict=True)
        )
        return None

    def taken(self, turn: TeamTurn, call_id: str) -> tuple[Charged, ...]:
        """Return what a call took in this turn, for its row on record."""
        return turn.taken.get(call_id, ())

    def release(self, charged: Sequence[Charged], turn: TeamTurn) -> tuple[Charged, ...]:
        """Give back what a call took; return what its row says of that, empty where it is past.

        Where the database is away it stays taken: the call's end is on record all the same.
        """
        try:
            back = self._give_back(charged)
        except TeamUnavailable:
            return ()
        return tuple(Charged(one.key, -one.amount, one.at_us) for one in back)

    def longest_us(self) -> int:
        """Return how long rows must stay on record for the counters' sake: they are not used."""
        return 0

    def _give_back(self, charged: Sequence[Charged]) -> list[Charged]:
        if not charged:
            return []
        values = [one.key for one in charged], [one.amount for one in charged]
        connection = self._connection
        with connection.lock:
            sql = _GIVE_BACK if connection.in_transaction() else _GIVE_BACK_SOON
            rows, _ = connection.run(sql, _arrays(*values, [one.at_us for one in charged]))
        return [charged[row[0] - 1] for row in rows]

    def _look(self, *asked: list[Any]) -> list[tuple[Decimal, int]]:
        """Return of each counter what its window holds, and when the amount would first fit."""
        return [
            (Decimal(used).scaleb(-6), NEVER_US if retry_us is None else retry_us)
            for used, retry_us in self._connection.run(_LOOK, _arrays(*asked))[0]
        ]


def _arrays(*columns: Sequence[str | int]) -> list[str]:
    """Return arrays as PostgreSQL writes them: psycopg takes 0.1 ms of a call for five."""
    return [f"{{{','.join(map(_element, column))}}}" for column in columns]


def _element(value: str | int) -> str:
    if isinstance(value, str):
        return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))
    return str(int(value))  # of a boolean 0 or 1


def _asked(
    charges: Sequence[Charge],
) -> tuple[list[str], list[int], list[bool], list[int], list[int]]:
    """Return keys, windows, whether these are of the calendar, amounts and limits."""
    return (
        [key_of(one.server, one.holder, one.counter, one.window_us, one.align) for one in charges],
        [one.window_us for one in charges],
        [one.align == "calendar" for one in charges],
        [millionths(one) for one in charges],
        [limit_of(one) for one in charges],
    )
