"""How much a client may ask a person within an hour, so that the record is not filled with it.

Questions are part of what happened, and an agent chooses how many it puts and how large each is.
So each client of each server, and all of them together, have an allowance of rows and bytes an
hour. It is in the ledger, so that a new connection or process has no other. What was refused has
segments of its own and needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.database import Database
    from pktui.ledger.records import Caller

_HOUR_US: Final = 3_600_000_000
_ROWS: Final = 1000
# A client may fill this part of the record in an hour, or `_LEAST` bytes.
_SHARE: Final = 512
_LEAST: Final = 256 * 1024
# All clients together have the allowance of so many.
_CLIENTS: Final = 4
# Bytes of a record without a limit, as far as allowances go.
_UNLIMITED: Final = 2_000_000_000
# A question takes rows of its own, and of its end, beside that of its decision.
_ASKED: Final = 2
# Bytes that a row takes beside its content.
_OVERHEAD: Final = 400
_ALL: Final = ""

_READ: Final = "SELECT who, hour, rows, bytes FROM asked WHERE who IN (?, '')"
_TAKE: Final = """INSERT INTO asked (who, hour, rows, bytes) VALUES (?1, ?2, 1, ?3)
    ON CONFLICT (who) DO UPDATE SET
        rows = CASE hour WHEN ?2 THEN rows + 1 ELSE 1 END,
        bytes = CASE hour WHEN ?2 THEN bytes + ?3 ELSE ?3 END, hour = ?2"""
_FORGET: Final = "DELETE FROM asked WHERE hour < ?"

_encode = msgspec.json.Encoder().encode


class Allowance:
    """What one ledger's clients may ask."""

    def __init__(self, database: Database, clock: Callable[[], int], max_bytes: int) -> None:
        self._database = database
        self._clock = clock
        self._bytes = max(_LEAST, (max_bytes or _UNLIMITED) // _SHARE)

    def allows(self, caller: Caller, server: str, size: int) -> bool:
        """Tell whether another question of so many bytes may be put."""
        hour, weight = self._clock() // _HOUR_US, _weight(size)
        for who, its_hour, rows, filled in self._database.rows(_READ, (_who(caller, server),)):
            times = 1 if who else _CLIENTS
            full = rows >= _ROWS * times or filled + weight > self._bytes * times
            if its_hour == hour and full:
                return False
        return weight <= self._bytes

    def take(self, caller: Caller, server: str, size: int) -> None:
        """Take a question of so many bytes off the allowances, in the transaction that asks it."""
        hour = self._clock() // _HOUR_US
        self._database.run(_FORGET, (hour - 1,))
        for who in (_who(caller, server), _ALL):
            self._database.run(_TAKE, (who, hour, _weight(size)))


def _weight(size: int) -> int:
    return size * _ASKED + _OVERHEAD


def _who(caller: Caller, server: str) -> str:
    return _encode((caller.identity.encode(errors="replace").decode(), server)).decode()
