"""How much of what was refused or asked is kept in full, so that it never pushes out what happened.

An agent chooses how often it is refused, under which names, and how large each try is. So each
client of each server, and all of them together, have an allowance of rows and bytes an hour, and
all that is kept beside what happened has a share of the record's size. What goes beyond is kept as
its number and its hash, in one row for many (`(counted)`). The allowance is in the ledger, so that
a new connection or process has no other. What is pruned for its size is measured without all this.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktui.ledger.database import Database
    from pktui.ledger.records import Caller

_HOUR_US: Final = 3_600_000_000
_SAID_EVERY_US: Final = 600_000_000
"""Between two rows that say how many more there were."""
_ROWS: Final = 1000
_SHARE: Final = 512
"""A client may fill this part of the record in an hour, or `_LEAST` bytes."""
_LEAST: Final = 256 * 1024
_CLIENTS: Final = 4
"""All clients together have the allowance of so many."""
_BESIDE: Final = 4
"""This part of the record's size may be filled by what is not what happened."""
_UNLIMITED: Final = 2_000_000_000
"""Bytes of a record without a limit, as far as allowances go."""
_ALL: Final = ""
_OVERHEAD: Final = 400
"""Bytes of the file that a row takes beside its content: hash, keys, indexes."""
_BESIDE_KINDS: Final = frozenset({"refused", "request", "approval", "start", "end", "pin"})
_NEVER_RAN: Final = frozenset({"waiting", "denied", "cancelled"})

_READ: Final = "SELECT who, hour, rows, bytes FROM refusals WHERE who IN (?, '')"
_TAKE: Final = """INSERT INTO refusals (who, hour, rows, bytes) VALUES (?1, ?2, 1, ?3)
    ON CONFLICT (who) DO UPDATE SET
        rows = CASE hour WHEN ?2 THEN rows + 1 ELSE 1 END,
        bytes = CASE hour WHEN ?2 THEN bytes + ?3 ELSE ?3 END, hour = ?2"""
_COUNT: Final = """INSERT INTO refusals (who, hour, rows, bytes, more, digest, since_us)
    VALUES (?1, ?2, 0, 0, 1, ?3, ?4)
    ON CONFLICT (who) DO UPDATE SET more = more + 1, digest = ?3,
        since_us = CASE more WHEN 0 THEN ?4 ELSE since_us END"""

_encode = msgspec.json.Encoder().encode
_decode_who = msgspec.json.Decoder(tuple[str, str]).decode


class Counted(msgspec.Struct, frozen=True):
    """What was not kept in full: whose, how many, the hash that binds them, since when."""

    identity: str
    server: str
    more: int
    sha256: str
    since_us: int


def weight_of(size: int) -> int:
    """Return the bytes of the file that a row of so many bytes of content takes."""
    return size + _OVERHEAD


def is_beside(kind: str, effect: str, outcome: str) -> bool:
    """Tell whether a row is not about what happened: refused, asked, or about the connection."""
    if kind == "decision":
        return effect != "allow"
    return kind in _BESIDE_KINDS or (kind == "outcome" and outcome in _NEVER_RAN)


def is_rationed(kind: str, effect: str) -> bool:
    """Tell whether such a row may be kept as number and hash: nothing else hangs on it."""
    return kind in ("refused", "request") or (
        kind == "decision" and effect not in ("allow", "approve")
    )


class Refusals:
    """The allowances of one ledger; to be used inside the transaction that writes the row."""

    def __init__(self, database: Database, clock: Callable[[], int], max_bytes: int) -> None:
        size = max_bytes or _UNLIMITED
        self._database = database
        self._clock = clock
        self._bytes = max(_LEAST, size // _SHARE)
        self._beside = max(_LEAST * _CLIENTS, size // _BESIDE)

    def allows(self, caller: Caller, server: str, size: int) -> bool:
        """Tell whether a row of so many bytes may be kept in full."""
        hour, weight = self._clock() // _HOUR_US, weight_of(size)
        beside = self._database.row("SELECT beside_bytes FROM chain")
        if beside is None or beside[0] + weight > self._beside:
            return False
        for who, its_hour, rows, filled in self._database.rows(_READ, (_who(caller, server),)):
            times = 1 if who else _CLIENTS
            full = rows >= _ROWS * times or filled + weight > self._bytes * times
            if its_hour == hour and full:
                return False
        return weight <= self._bytes

    def take(self, caller: Caller, server: str, size: int) -> None:
        """Take a row of so many bytes off the allowances."""
        hour, weight = self._clock() // _HOUR_US, weight_of(size)
        for who in (_who(caller, server), _ALL):
            self._database.run(_TAKE, (who, hour, weight))

    def count(self, caller: Caller, server: str, content: Sequence[Any]) -> Counted | None:
        """Count a row that is not kept; return what is to be put on record now, if anything is."""
        now = self._clock()
        who = _who(caller, server)
        row = self._database.row("SELECT digest, said_us FROM refusals WHERE who = ?", (who,))
        if row is None:  # somebody new, when there is no room for more: under all together
            who = _ALL
            row = self._database.row("SELECT digest, said_us FROM refusals WHERE who = ''")
        before, said = row or (b"", 0)
        digest = hashlib.sha256(before + _encode(content[1:])).digest()
        self._database.run(_COUNT, (who, now // _HOUR_US, digest, now))
        return self._say(who) if not 0 <= now - said < _SAID_EVERY_US else None

    def left(self, *, all_of_them: bool = False) -> list[Counted]:
        """Return what was counted and not put on record for long, or `all_of_them`."""
        before = self._clock() - (0 if all_of_them else _SAID_EVERY_US)
        rows = self._database.rows(
            "SELECT who FROM refusals WHERE more > 0 AND said_us <= ?", (before,)
        )
        found = [self._say(row[0]) for row in rows]
        if not all_of_them:
            self._database.run(
                "DELETE FROM refusals WHERE more = 0 AND hour < ? AND said_us <= ?",
                (self._clock() // _HOUR_US - 1, before),
            )
        return found

    def is_due(self) -> bool:
        """Tell whether `left` would return anything."""
        before = self._clock() - _SAID_EVERY_US
        wanted = "SELECT 1 FROM refusals WHERE more > 0 AND said_us <= ? LIMIT 1"
        return self._database.row(wanted, (before,)) is not None

    def _say(self, who: str) -> Counted:
        row = self._database.row(
            "SELECT more, digest, since_us FROM refusals WHERE who = ?", (who,)
        )
        more, digest, since = row or (0, b"", 0)
        self._database.run(
            "UPDATE refusals SET more = 0, said_us = ? WHERE who = ?", (self._clock(), who)
        )
        identity, server = _decode_who(who) if who else ("", "")
        return Counted(identity, server, more, digest.hex(), since)


def _who(caller: Caller, server: str) -> str:
    return _encode((caller.identity.encode(errors="replace").decode(), server)).decode()
