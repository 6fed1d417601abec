"""The PIN that decisions can be put behind, kept as a scrypt hash with its salt and cost.

A try counts before it is looked at, so that tries at the same time count too; after
`FREE_TRIES` wrong ones each further one has to wait, twice as long as the one before. The waiting
is a time in the ledger: whoever starts again, or starts many, waits alike.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from typing import TYPE_CHECKING

from pktui.errors import PinError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.ledger.events import Events
    from pktui.ledger.transaction import Deciding

# Characters of a PIN.
SHORTEST, LONGEST = 4, 128
FREE_TRIES = 3
FIRST_WAIT_US = 30_000_000
LONGEST_WAIT_US = 3_600_000_000
# scrypt's N, with r = 8 and p = 1: 32 MiB and about a tenth of a second a try.
COST = 1 << 15
_BLOCK, _LANES = 8, 1
_SET = "Set one with: pktui approvals pin set"


class Pin:
    """Asked before anything is decided, once one is set.

    `required`: without a PIN nothing can be decided at all. Not to be called inside a
    transaction: a try has to be on record whatever becomes of what it was made for.
    """

    def __init__(
        self,
        database: Deciding,
        events: Events,
        clock: Callable[[], int],
        stands: Callable[[str, int], bool],
        *,
        required: bool,
    ) -> None:
        """`stands` tells whether a row is as the journal says."""
        self._stands = stands
        self._database = database
        self._events = events
        self._clock = clock
        self._required = required

    def is_set(self) -> bool:
        """Tell whether there is a PIN."""
        return self._database.row("SELECT 1 FROM pin") is not None

    def wanted(self) -> bool:
        """Tell whether a decision needs a PIN."""
        return self._required or self.is_set()

    def check(self, pin: str, *, by: str) -> None:
        """Return where `pin` is right, or where none is needed.

        Raises `PinError` where it is missing, wrong or not looked at yet because of wrong ones
        before, and where the PIN that is kept is not the one that was set; `LedgerUnavailable`.
        """
        if not self.is_set():
            if self._required:
                raise PinError(
                    "decisions need a PIN (approvals.require_pin), and none is set", _SET
                )
            return
        if not pin:
            raise PinError("a PIN is needed for this", "Give the PIN that was set for decisions")
        if not self._stands("pin", 1):
            raise PinError(
                "the PIN was not set by pktui: it is another one than the journal says",
                "See pktui audit verify, and put a copy of ledger.db from before back",
            )
        salt, expected, cost, block, lanes, tries = self._begin_try()
        if hmac.compare_digest(_hash(pin, salt, cost, block, lanes), expected):
            with self._database.transaction():
                self._database.run("UPDATE pin SET tries = 0, locked_until_us = 0")
            return
        who = self._database.signed(by)
        self._events.append("note", detail={"pin": "wrong", "tries": tries, "by": who})
        wait = _wait_us(tries)
        raise PinError(
            "that PIN is wrong",
            f"The next try counts in {_seconds(wait)} s" if wait else "Try again",
        )

    def set(self, new: str, *, by: str, old: str = "") -> None:
        """Set a PIN; where there is one, `old` must be it. Raises `PinError`."""
        if not SHORTEST <= len(new) <= LONGEST:
            raise PinError(
                f"a PIN has {SHORTEST} to {LONGEST} characters", "Choose another; words are fine"
            )
        if self.is_set():
            self.check(old, by=by)
        salt = os.urandom(16)
        digest = _hash(new, salt, COST, _BLOCK, _LANES)
        with self._database.transaction():
            self._database.run(
                "INSERT INTO pin (one, salt, hash, n, r, p, set_us, tries, locked_until_us)"
                " VALUES (1, ?, ?, ?, ?, ?, ?, 0, 0)"
                " ON CONFLICT (one) DO UPDATE SET salt = excluded.salt, hash = excluded.hash,"
                " n = excluded.n, r = excluded.r, p = excluded.p, set_us = excluded.set_us,"
                " tries = 0, locked_until_us = 0, event = ''",
                (salt, digest, COST, _BLOCK, _LANES, self._clock()),
            )
            self._note("set", by)

    def clear(self, old: str, *, by: str) -> bool:
        """Take the PIN away; False where there is none. Raises `PinError` where `old` is not it."""
        if not self.is_set():
            return False
        self.check(old, by=by)
        with self._database.transaction():
            self._database.run("DELETE FROM pin")
            self._note("cleared", by)
        return True

    def _note(self, what: str, by: str) -> None:
        who = self._database.signed(by)
        self._events.append("note", detail={"pin": what, "by": who}, row=("pin", 1))

    def _begin_try(self) -> tuple[bytes, bytes, int, int, int, int]:
        """Count a try and return what it is to be compared with; raises where it must wait."""
        with self._database.transaction():
            row = self._database.row("SELECT salt, hash, n, r, p, tries, locked_until_us FROM pin")
            if row is None:
                raise PinError("the PIN was taken away this moment", "Try again")
            *kept, tries, locked_until = row
            now = self._clock()
            wait = locked_until - now
            if wait <= 0:
                tries += 1
                until = now + _wait_us(tries)
            else:
                # a clock that was ahead when that was written locks for no longer than any other
                wait = min(wait, _wait_us(tries))
                until = now + wait
            self._database.run("UPDATE pin SET tries = ?, locked_until_us = ?", (tries, until))
        if wait > 0:
            raise PinError(
                f"PINs are not looked at for {_seconds(wait)} s, after {tries} wrong ones",
                "Wait, then try again",
            )
        salt, digest, cost, block, lanes = kept
        return salt, digest, cost, block, lanes, tries


def _wait_us(tries: int) -> int:
    if tries < FREE_TRIES:
        return 0
    return int(min(LONGEST_WAIT_US, FIRST_WAIT_US << min(tries - FREE_TRIES, 16)))


def _hash(pin: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    """Return the scrypt hash (RFC 7914) of the PIN, written alike however it was typed."""
    text = unicodedata.normalize("NFKC", pin).encode("utf-8", "surrogatepass")
    room = 128 * block * (cost + lanes + 2) + 1024
    return hashlib.scrypt(text, salt=salt, n=cost, r=block, p=lanes, maxmem=room, dklen=32)


def _seconds(span_us: int) -> int:
    return max(1, -(-span_us // 1_000_000))
