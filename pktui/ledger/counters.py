"""How much of each limit is used, exactly, however many processes count at once.

A charge is one row. Each row carries the running total of its counter, so that what a window holds
is the difference of two totals: two index look-ups, however many rows lie between. A sliding
window of length w at time t holds what was charged after t - w, so that no stretch of that
length ever holds more than the limit; a calendar window starts at a multiple of its length since
the epoch, in UTC. A counter is known by server, holder, name, window and alignment: editing a
limit's `max` keeps its count.

Amounts are counted in whole millionths, rounded up, limits rounded down; a limit above
`MOST` units counts as `MOST`.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from pktui.ledger.records import CounterInUse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktui.ledger.database import Database

MILLION = 1_000_000
MOST = 2**60 // MILLION
"""Units; what fits SQLite's 64-bit integers with room for running totals."""
NEVER_US = 2**63 - 1
"""The retry time of a charge that is larger than its limit."""

_REBASE_AT = 2**62
_TIDY_EVERY = 32
"""A counter drops its own passed charges at every so many."""
_PRUNE_EVERY = 4096
"""Calls after which the charges of counters that nobody uses any more are looked for."""
_LAST = """SELECT at_us, n, total,
    (SELECT total - amount FROM charges WHERE key = ?1 AND at_us > ?2 ORDER BY at_us, n LIMIT 1)
    FROM charges WHERE key = ?1 ORDER BY at_us DESC, n DESC LIMIT 1"""
# Every counter of a server by steps over the key's index, and what its window holds, as `_LAST`.
_IN_USE = """WITH RECURSIVE each (key) AS (
    SELECT min(key) FROM charges WHERE key >= ?2 AND key < ?3
    UNION ALL
    SELECT (SELECT min(key) FROM charges WHERE key > each.key AND key < ?3)
    FROM each WHERE key IS NOT NULL)
    SELECT key, (SELECT total FROM charges WHERE key = each.key ORDER BY at_us DESC, n DESC LIMIT 1)
        - (SELECT total - amount FROM charges WHERE key = each.key
        AND at_us > CASE json_extract(key, '$[4]') WHEN 'calendar'
        THEN ?1 - ?1 % json_extract(key, '$[3]') - 1 ELSE ?1 - json_extract(key, '$[3]') END
        ORDER BY at_us, n LIMIT 1) AS used
    FROM each WHERE key IS NOT NULL AND json_valid(key) AND used > 0"""
_encode = msgspec.json.Encoder().encode
_parts_of = msgspec.json.Decoder(tuple[str, str, str, int, str]).decode


class Charge(Protocol):
    """What a call takes from one limit."""

    @property
    def counter(self) -> str:
        """The limit's name."""

    @property
    def holder(self) -> str:
        """Whom it counts: `grant:…`, `session:…` or `server:`."""

    @property
    def server(self) -> str:
        """The server whose policy has the limit."""

    @property
    def window_us(self) -> int:
        """The window's length, microseconds."""

    @property
    def align(self) -> str:
        """`sliding` or `calendar`."""

    @property
    def max(self) -> Decimal:
        """Units the window may hold."""

    @property
    def amount(self) -> Decimal:
        """Units this call takes, 0 or more."""


C = TypeVar("C", bound=Charge)


class _Window(msgspec.Struct):
    """A counter's window inside a transaction: what it holds and what is about to be added."""

    key: str
    start_us: int
    """The window holds what came after this time."""
    expires_us: int
    """What is charged now leaves the window at this time."""
    used: int = 0
    last_us: int = 0
    last_n: int = 0
    total: int = 0
    added: list[int] = msgspec.field(default_factory=list)


class _Look(msgspec.Struct):
    """A charge in its window; `amount` and `limit` in millionths."""

    charge: Charge
    window: _Window
    amount: int
    limit: int


class Sight(msgspec.Struct):
    """What one transaction sees of the counters, all at one time: each is read once."""

    now_us: int
    windows: dict[str, _Window] = msgspec.field(default_factory=dict)
    looks: dict[int, _Look] = msgspec.field(default_factory=dict)
    """By the identity of the charge, as the same ones are looked at and then taken."""

    def forget(self) -> None:
        """Read everything again when it is needed."""
        self.windows.clear()
        self.looks.clear()


class Counters:
    """Reserves, releases and reads charges."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._until_prune = _PRUNE_EVERY

    def sight(self) -> Sight:
        """Return what a transaction hands to its looks and its reservation; nothing is read yet."""
        return Sight(self._clock())

    def usage(self, charge: Charge, sight: Sight | None = None) -> tuple[Decimal, int]:
        """Return the units in the window now, and when the charge would first fit.

        The time is 0 where it fits now and `NEVER_US` where it is larger than the limit.
        """
        seen = sight or self.sight()
        look = self._look(charge, seen)
        need = look.window.used + look.amount - look.limit
        used = Decimal(look.window.used).scaleb(-6)
        return used, self._retry_at(look, need, seen.now_us) if need > 0 else 0

    def in_use(self, server: str = "") -> tuple[CounterInUse, ...]:
        """Return all counters of a server, or of every one, whose windows hold anything now.

        One statement, whose cost grows with the counters and not with what they count.
        """
        try:
            first = f"[{_encode(server).decode()}," if server else "["
        except UnicodeEncodeError:
            return ()
        bounds = (self._clock(), first, first[:-1] + chr(ord(first[-1]) + 1))
        return tuple(
            CounterInUse(*_parts_of(key), Decimal(used).scaleb(-6))
            for key, used in self._database.rows(_IN_USE, bounds)
        )

    def reserve(self, charges: Sequence[C], call_id: str, sight: Sight | None = None) -> C | None:
        """Take all charges for a call, or none and return the first that does not fit.

        Joins a transaction that is under way; a `sight` must be of that one, and sees what was
        taken. Raises `LedgerUnavailable`.
        """
        with self._database.transaction():
            seen = sight or self.sight()
            refused = self._take(charges, seen)
            if refused is not None:
                for window in seen.windows.values():
                    self._bring_back(window, seen.now_us)
                seen.forget()
                return refused
            for window in seen.windows.values():
                if window.added:
                    self._write(window, seen.now_us, call_id)
            seen.looks.clear()
            self._prune_sometimes(seen.now_us)
        return None

    def release(self, call_id: str) -> bool:
        """Give back what a call took; False where it took nothing or its windows have passed."""
        with self._database.transaction():
            taken = self._database.rows(
                "SELECT key, at_us, n, amount FROM charges WHERE call_id = ?", (call_id,)
            )
            for key, at_us, n, amount in taken:
                place = (key, at_us, n)
                self._database.run(
                    "DELETE FROM charges WHERE key = ? AND at_us = ? AND n = ?", place
                )
                self._database.run(
                    "UPDATE charges SET total = total - ? WHERE key = ? AND (at_us, n) > (?, ?)",
                    (amount, *place),
                )
        return bool(taken)

    def prune(self) -> int:
        """Remove charges whose windows have passed; return how many."""
        with self._database.transaction():
            return self._database.run("DELETE FROM charges WHERE expires_us <= ?", (self._clock(),))

    def _take(self, charges: Sequence[C], sight: Sight) -> C | None:
        """Add the charges to their windows, not written yet, up to the first that does not fit."""
        for charge in charges:
            look = self._look(charge, sight)
            if look.window.used + look.amount > look.limit:
                return charge
            look.window.used += look.amount
            look.window.added.append(look.amount)
        return None

    def _look(self, charge: Charge, sight: Sight) -> _Look:
        look = sight.looks.get(id(charge))
        if look is None:
            window = self._window(charge, sight)
            look = _Look(charge, window, _millionths(charge), _limit(charge))
            sight.looks[id(charge)] = look
        return look

    def _window(self, charge: Charge, sight: Sight) -> _Window:
        key = _key(charge.server, charge.holder, charge.counter, charge.window_us, charge.align)
        window = sight.windows.get(key)
        if window is None:
            now = sight.now_us
            window = _Window(key, _start_us(charge, now), _expiry_us(charge, now))
            last = self._database.row(_LAST, (key, window.start_us))
            if last is not None:
                window.last_us, window.last_n, window.total, before = last
                window.used = 0 if before is None else window.total - before
            sight.windows[key] = window
        return window

    def _write(self, window: _Window, now: int, call_id: str) -> None:
        """Add the charges after the counter's last row, in time as in number."""
        run = self._database.run
        self._bring_back(window, now)
        if window.total > _REBASE_AT:
            self._rebase(window)
        for amount in window.added:
            window.last_n += 1
            window.total += amount
            values = (
                *(window.key, now, window.last_n, amount, window.total),
                *(call_id, window.expires_us),
            )
            run("INSERT INTO charges VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            if window.last_n % _TIDY_EVERY == 0:
                self._tidy(window)
        window.last_us = now
        window.added.clear()

    def _bring_back(self, window: _Window, now: int) -> None:
        """Let charges from the future, left by a clock that was set back, count as made now.

        Else they would be in the window until that time comes.
        """
        if window.last_us > now:
            self._database.run(
                "UPDATE charges SET at_us = ?, expires_us = ? WHERE key = ? AND at_us > ?",
                (now, window.expires_us, window.key, now),
            )

    def _tidy(self, window: _Window) -> None:
        """Remove what the counter's window has left behind."""
        self._database.run(
            "DELETE FROM charges WHERE key = ? AND at_us <= ?", (window.key, window.start_us)
        )

    def _rebase(self, window: _Window) -> None:
        """Let the running total start again at what the window holds."""
        held = window.used - sum(window.added)
        self._tidy(window)
        self._database.run(
            "UPDATE charges SET total = total - ? WHERE key = ?", (window.total - held, window.key)
        )
        window.total = held

    def _retry_at(self, look: _Look, need: int, now: int) -> int:
        charge, window = look.charge, look.window
        if look.amount > look.limit:
            return NEVER_US
        if charge.align == "calendar":
            return _expiry_us(charge, now)
        row = self._database.row(
            "SELECT at_us FROM charges WHERE key = ? AND at_us > ? AND total >= ?"
            " ORDER BY at_us, n LIMIT 1",
            (window.key, window.start_us, window.total - window.used + need),
        )
        return min(row[0], now) + charge.window_us if row else 0

    def _prune_sometimes(self, now: int) -> None:
        self._until_prune -= 1
        if self._until_prune <= 0:
            self._until_prune = _PRUNE_EVERY
            self._database.run("DELETE FROM charges WHERE expires_us <= ?", (now,))


@lru_cache(maxsize=256)
def _key(*parts: str | int) -> str:
    try:
        return _encode(parts).decode()
    except UnicodeEncodeError:
        return repr(parts)


def _start_us(charge: Charge, now: int) -> int:
    if charge.align == "calendar":
        return now - now % charge.window_us - 1
    return now - charge.window_us


def _expiry_us(charge: Charge, now: int) -> int:
    return now + charge.window_us - (now % charge.window_us if charge.align == "calendar" else 0)


def _limit(charge: Charge) -> int:
    if charge.max >= MOST:
        return MOST * MILLION
    numerator, denominator = charge.max.as_integer_ratio()
    return numerator * MILLION // denominator


def _millionths(charge: Charge) -> int:
    """Return the amount rounded up; sizes no limit allows are not worked out in full."""
    amount = charge.amount
    if amount == 1:
        return MILLION
    if amount > MOST:
        return MOST * MILLION + 1
    if amount * MILLION <= 1:
        return 1 if amount > 0 else 0
    numerator, denominator = amount.as_integer_ratio()
    return -(-numerator * MILLION // denominator)
