"""How much of each limit is used, exactly, however many processes count at once.

Each counter is a ring of charges, when and how much, in the mapped file `counters`. A sliding
window of length w at time t holds what was charged after t - w, so that no stretch of that length
ever holds more than the limit; a calendar window starts at a multiple of its length since the
epoch, in UTC. A counter is known by server, holder, name, window and alignment: editing a limit's
`max` keeps its count.

Amounts are counted in whole millionths, rounded up, limits rounded down; a limit above
`MOST` units counts as `MOST`.

The file is derived. A call's row on record says what it takes or gives back; whoever finds the file
marked as in change, damaged, or new counts the rows again. So the order of a turn is: look and
take, in memory; mark the file; append the rows; write what they take; unmark.
"""

from __future__ import annotations

import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Final, Literal, Protocol, TypeVar

import msgspec

from pktui.errors import LedgerUnavailable
from pktui.ledger.counter_file import EPOCH_AT, HEADER, MARK_AT, CounterFile
from pktui.ledger.records import Charged, CounterInUse
from pktui.text import storable
from pktui.times import SKEW_US

if TYPE_CHECKING:
    from pathlib import Path

MILLION: Final = 1_000_000
# Units; what fits 64 bits with room for sums.
MOST: Final = 2**60 // MILLION
# The retry time of a charge that is larger than its limit.
NEVER_US: Final = 2**63 - 1

_SLOT: Final = 16
# Places in a slot: the key's hash, its window, its ring, and the ring's room.
_KEY, _KEY2, _WINDOW, _RING, _ROOM = range(5)
# From its ring on: where that is, its room, tail, first, head, what is used, the check.
_STATE: Final = struct.Struct("=7Q")
# A charge's words: when, how much.
_ENTRY: Final = 2
_SLOTS: Final = 16
_MOST_TERMS: Final = 256
_ROOM_AT_FIRST: Final = 16
# A counter whose sum is above this is over every limit: no older charge is needed to tell that.
_FULL: Final = 2**62
_ALIGNS: Final = ("sliding", "calendar")
# So that a slot of zeros, or of ones, is no slot.
_SALT: Final = 0x9E3779B97F4A7C15
_ORDER: Final = sys.byteorder
_encode = msgspec.json.Encoder().encode
_Window = Annotated[int, msgspec.Meta(gt=0, le=2**62)]
# Takes a counter's name on record; returns server, holder, counter, window and alignment.
parts_of = msgspec.json.Decoder(
    tuple[str, str, str, _Window, Literal["sliding", "calendar"]]
).decode

Key = tuple[int, int]
# When, how much.
Entry = tuple[int, int]


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


class _Ring(msgspec.Struct):
    """A counter inside a transaction: what its ring holds and what is about to change.

    Charges are numbered from the first that was ever made; `tail` to `head` are there, `first` to
    `head` in the window, `used` is their sum with what is about to change. `slot` is 0 where the
    file does not have it yet; `window` is as a slot holds it. `ahead`: there are charges from the
    future.
    """

    key: Key
    window: int
    slot: int = 0
    at: int = 0
    room: int = 0
    tail: int = 0
    first: int = 0
    head: int = 0
    used: int = 0
    ahead: bool = False
    added: list[int] = msgspec.field(default_factory=list)
    returned: list[int] = msgspec.field(default_factory=list)

    def place(self, number: int) -> int:
        """Return where a charge stands."""
        return self.at + _ENTRY * (number & (self.room - 1))


class _Terms(msgspec.Struct, frozen=True):
    """What a charge comes to at its counter; `amount` and `limit` in millionths."""

    # Kept, so that its identity stays its own.
    charge: Charge
    name: str
    key: Key
    window: int
    amount: int
    limit: int


class LocalTurn(msgspec.Struct):
    """What one turn sees of the counters; from its first change on with the lock held."""

    # When it was looked or taken last, 0: not yet.
    now_us: int = 0
    locked: bool = False
    # Whether all of the file was looked through in this turn.
    sound: bool = False
    rings: dict[Key, _Ring] = msgspec.field(default_factory=dict)
    taken: dict[str, tuple[Charged, ...]] = msgspec.field(default_factory=dict)

    @property
    def changed(self) -> list[_Ring]:
        """The counters that are about to change."""
        return [one for one in self.rings.values() if one.added or one.returned or one.ahead]


class Counters:
    """Reserves, gives back and reads charges. Raises `LedgerUnavailable`.

    A turn is a `LocalTurn` and what is done with it until `end` or `abandon`. Turns of several
    threads may look at once; one of them at a time may take.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], int],
        history: Callable[[int], Iterable[Charged]],
        known: Callable[[], Iterable[str]] = tuple,
        *,
        read_only: bool = False,
    ) -> None:
        """`history` gives all that is on record since a time, in any order (0: all there is).

        It is called with the lock held. `known` gives the names of the counters on record.
        """
        self.file = CounterFile(path, read_only=read_only)
        self._clock = clock
        self._history = history
        self._known = known
        self._slots: dict[Key, int] = {}
        # By the identity of the charge: calls of one tool and caller take the same ones.
        self._terms: dict[int, _Terms] = {}
        self._epoch = 0

    # a turn

    # Begins a turn; nothing is locked or read yet.
    begin = LocalTurn

    def end(self, turn: LocalTurn, append: Callable[[], object]) -> None:
        """Put a turn's rows on record by `append`, then write what they take.

        Where `append` fails it must have taken back what it wrote: nothing is taken then.
        """
        try:
            changed = turn.changed if turn.locked else []
            if not changed:
                append()
                return
            self.file.words[MARK_AT] = 1
            try:
                self._make_room(changed, turn)
                append()
            except BaseException:
                self.file.words[MARK_AT] = 0
                raise
            for ring in changed:
                self._write(ring, turn.now_us)
            self.file.words[MARK_AT] = 0
        finally:
            self.abandon(turn)

    def abandon(self, turn: LocalTurn) -> None:
        """End a turn; what it took and did not write is not taken."""
        turn.rings.clear()
        if turn.locked:
            turn.locked = False
            self.file.unlock()

    def usage(self, charge: Charge, turn: LocalTurn | None = None) -> tuple[Decimal, int]:
        """Return the units in the window now, and when the charge would first fit.

        The time is 0 where it fits now and `NEVER_US` where it is larger than the limit. The lock
        is held no longer than the look takes.
        """
        seen = turn or self.begin()
        held = seen.locked
        if not held:
            self._lock(seen)
        try:
            terms, ring = self._look(charge, seen)
            need = ring.used + terms.amount - terms.limit
            used = Decimal(ring.used).scaleb(-6)
            return used, self._retry_at(terms, ring, need, seen.now_us) if need > 0 else 0
        finally:
            if not held:
                self.file.unlock()

    def used(self, charges: Iterable[Charge]) -> list[Decimal]:
        """Return the units in the windows of many charges, all of one time."""
        turn = self.begin()
        self._lock(turn)
        try:
            return [Decimal(self._look(one, turn)[1].used).scaleb(-6) for one in charges]
        finally:
            self.file.unlock()

    def in_use(self, server: str = "") -> tuple[CounterInUse, ...]:
        """Return all counters of a server, or of every one, whose windows hold anything now."""
        known = ((name, _counter_of(name)) for name in self._known())
        wanted = [
            (name, counter[1:])
            for name, counter in known
            if counter is not None and server in ("", parts_of(name)[0])
        ]
        turn = self.begin()
        self._lock(turn)
        try:
            found = [(name, self._ring(*counter, turn)) for name, counter in wanted]
        finally:
            self.file.unlock()
        return tuple(
            CounterInUse(*parts_of(name), Decimal(ring.used).scaleb(-6))
            for name, ring in found
            if ring.used
        )

    def reserve(self, charges: Sequence[C], call_id: str, turn: LocalTurn) -> C | None:
        """Take all charges for a call, or none and return the first that does not fit.

        Later looks of the turn see what was taken; it is written at its end.
        """
        if not turn.locked:
            self._lock(turn, hold=True)
        taken: list[_Ring] = []
        charged: list[Charged] = []
        for charge in charges:
            terms, ring = self._look(charge, turn)
            if ring.used + terms.amount > terms.limit:
                for one in reversed(taken):
                    one.used -= one.added.pop()
                turn.taken.pop(call_id, None)
                return charge
            ring.used += terms.amount
            ring.added.append(terms.amount)
            taken.append(ring)
            charged.append(Charged(terms.name, terms.amount, turn.now_us))
        turn.taken[call_id] = tuple(charged)
        return None

    def taken(self, turn: LocalTurn, call_id: str) -> tuple[Charged, ...]:
        """Return what a call took in this turn, for its row on record."""
        return turn.taken.get(call_id, ())

    def release(self, charged: Sequence[Charged], turn: LocalTurn) -> tuple[Charged, ...]:
        """Give back what a call took; return what its row says of that, empty where it is past."""
        if not charged:
            return ()
        if not turn.locked:
            self._lock(turn, hold=True)
        back = []
        for one in charged:
            counter = _counter_of(one.key)
            if counter is None:
                continue
            _, key, window = counter
            ring = turn.rings.get(key) or self._ring(key, window, turn)
            number = self._number(ring, one)
            if number is None:
                continue
            ring.returned.append(number)
            if number >= ring.first:
                ring.used -= one.amount
            back.append(Charged(one.key, -one.amount, one.at_us))
        return tuple(back)

    def longest_us(self) -> int:
        """Return the longest window that was ever in use: younger rows must stay on record."""
        self.file.lock()
        try:
            return self.file.longest
        finally:
            self.file.unlock()

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    # looking

    def _lock(self, turn: LocalTurn, *, hold: bool = False) -> None:
        """Take the lock; count anew where the file is not whole.

        `hold`: until the turn ends; what it saw before is read again, as of now.
        """
        whole = self.file.lock()
        try:
            if hold or not turn.now_us:
                turn.now_us = self._clock()
            if not whole:
                self._count_anew(turn.now_us)
            if self._epoch != self.file.words[EPOCH_AT]:
                if not self._is_sound():
                    self._start_over(turn)
                self._epoch = self.file.words[EPOCH_AT]
                self._slots.clear()
                turn.rings.clear()
        except BaseException:
            self.file.unlock()
            raise
        if hold:
            turn.locked = True
            turn.rings.clear()

    def _look(self, charge: Charge, turn: LocalTurn) -> tuple[_Terms, _Ring]:
        terms = self._terms.get(id(charge)) or self._note(charge)
        ring = turn.rings.get(terms.key) or self._ring(terms.key, terms.window, turn)
        return terms, ring

    def _note(self, charge: Charge) -> _Terms:
        if len(self._terms) >= _MOST_TERMS:
            self._terms.clear()
        counter = _counter(
            charge.server, charge.holder, charge.counter, charge.window_us, charge.align
        )
        terms = _Terms(charge, *counter, millionths(charge), limit_of(charge))
        self._terms[id(charge)] = terms
        return terms

    def _ring(self, key: Key, window: int, turn: LocalTurn) -> _Ring:
        """Return a counter as the turn sees it."""
        ring = _Ring(key, window)
        slot = self._slots.get(key) or self._slot(key)
        if slot:
            self._slots[key] = slot
        if not slot and not turn.sound:  # so that a key that was lost is missed
            turn.sound = self._is_sound()
        if not (self._read(ring, slot) if slot else turn.sound):
            self._start_over(turn)
            return self._ring(key, window, turn)
        turn.rings[key] = ring
        if not slot:
            return ring
        # The window begins where it does now, also where the clock was set back.
        words, now, first, head = self.file.words, turn.now_us, ring.first, ring.head
        at, mask = ring.at, ring.room - 1
        start = _start_us(window, now)
        while first < head and words[place := at + _ENTRY * (first & mask)] <= start:
            ring.used -= words[place + 1]
            first += 1
        while first > ring.tail and ring.used <= _FULL:
            place = at + _ENTRY * (first - 1 & mask)
            if words[place] <= start:
                break
            first -= 1
            ring.used += words[place + 1]
        ring.first = first
        ring.ahead = head > ring.tail and words[at + _ENTRY * (head - 1 & mask)] > now
        return ring

    def _start_over(self, turn: LocalTurn) -> None:
        """Count a damaged file anew; not in the middle of a turn, which goes by what was in it."""
        self.file.spoil()
        if turn.locked and turn.changed:
            raise LedgerUnavailable(f"{self.file.path} is damaged", "Call again: it is made anew")
        turn.rings.clear()
        self._count_anew(turn.now_us)
        self._epoch = self.file.words[EPOCH_AT]

    def _slot(self, key: Key) -> int:
        """Return where the slot of a key is, 0 where it has none."""
        words, table = self.file.words, self.file.table
        for step in range(table):
            slot = HEADER + _SLOT * ((key[0] + step) & (table - 1))
            if words[slot + _KEY] == key[0] and words[slot + _KEY2] == key[1]:
                return slot
            if not words[slot + _ROOM]:
                break
        return 0

    def _read(self, ring: _Ring, slot: int) -> bool:
        """Read a slot; tell whether it can be true."""
        words = self.file.words
        ring.slot = slot
        ring.at, ring.room, ring.tail, ring.first, ring.head, ring.used, check = _STATE.unpack_from(
            words, 8 * (slot + _RING)
        )
        return (
            check == _check(ring)
            and ring.at + _ENTRY * ring.room <= len(words)
            and ring.tail <= ring.first <= ring.head <= ring.tail + ring.room
        )

    def _retry_at(self, terms: _Terms, ring: _Ring, need: int, now: int) -> int:
        charge, words = terms.charge, self.file.words
        if terms.amount > terms.limit:
            return NEVER_US
        if charge.align == "calendar":
            return now - now % charge.window_us + charge.window_us
        for number in range(ring.first, ring.head):
            if number not in ring.returned:
                need -= words[ring.place(number) + 1]
            if need <= 0:
                return min(words[ring.place(number)], now) + charge.window_us
        return now + charge.window_us if ring.added else 0

    def _number(self, ring: _Ring, charged: Charged) -> int | None:
        """Return the number of a charge, None where it has left the ring or was given back.

        The same amount at the same time; where nothing is of that time, it was still to come when
        the clock was set back: the last one of that amount before it.
        """
        words, low, high = self.file.words, ring.tail, ring.head
        while low < high:
            middle = (low + high) // 2
            if words[ring.place(middle)] > charged.at_us:
                high = middle
            else:
                low = middle + 1
        exact = high > ring.tail and words[ring.place(high - 1)] == charged.at_us
        for number in range(high - 1, ring.tail - 1, -1):
            at, amount = words[ring.place(number) : ring.place(number) + _ENTRY]
            if exact and at != charged.at_us:
                return None
            if amount == charged.amount and number not in ring.returned:
                return number
        return None

    def _all(self) -> Iterator[tuple[_Ring, bool]]:
        """Give every counter of the file, and whether what its slot says can be true."""
        words = self.file.words
        for slot in range(HEADER, HEADER + _SLOT * self.file.table, _SLOT):
            if words[slot + _ROOM]:
                ring = _Ring((words[slot + _KEY], words[slot + _KEY2]), words[slot + _WINDOW])
                yield ring, self._read(ring, slot)

    def _is_sound(self) -> bool:
        """Tell whether all slots are there and fit what their rings hold."""
        words, count = self.file.words, 0
        for ring, sound in self._all():
            if not sound or ring.used != sum(
                words[ring.place(number) + 1] for number in range(ring.first, ring.head)
            ):
                return False
            count += 1
        return count == self.file.in_use

    # writing

    def _make_room(self, changed: Sequence[_Ring], turn: LocalTurn) -> None:
        """Give every counter its slot, and its ring as much room as it is about to need."""
        new = [ring for ring in changed if ring.added and not ring.slot]
        if new and (self.file.in_use + len(new)) * 4 > self.file.table * 3:
            self._lay_out_anew(len(new), turn)
        for ring in new:
            self._put(ring)
        for ring in changed:
            needed = ring.head - ring.tail + len(ring.added)
            if needed <= ring.room or not ring.slot:
                continue
            ring.tail = ring.first  # what has left the window is needed by nobody
            needed = ring.head - ring.tail + len(ring.added)
            if needed * 4 > ring.room * 3:
                self._enlarge(ring, needed)

    def _put(self, ring: _Ring) -> None:
        """Give a counter a slot and a ring."""
        at, number, table = (
            self.file.allocate(_ENTRY * _ROOM_AT_FIRST),
            ring.key[0],
            self.file.table,
        )
        words = self.file.words
        while words[(slot := HEADER + _SLOT * (number & (table - 1))) + _ROOM]:
            number += 1
        ring.slot, ring.at, ring.room = slot, at, _ROOM_AT_FIRST
        words[slot + _KEY], words[slot + _KEY2] = ring.key
        words[slot + _WINDOW] = ring.window
        self._write_slot(_Ring(ring.key, ring.window, slot, at, ring.room))
        self.file.in_use += 1
        self.file.reach_back(ring.window >> 1)
        self._slots[ring.key] = slot

    def _enlarge(self, ring: _Ring, needed: int) -> None:
        room = ring.room
        while needed * 2 > room:
            room *= 2
        at = self.file.allocate(_ENTRY * room)
        words = self.file.words
        for number in range(ring.tail, ring.head):
            old, new = ring.place(number), at + _ENTRY * (number & (room - 1))
            words[new : new + _ENTRY] = words[old : old + _ENTRY]
        ring.at, ring.room = at, room

    def _write(self, ring: _Ring, now: int) -> None:
        """Write what a transaction changed; charges from the future count as made now.

        Those were left by a clock that was set back, and would be in the window until that time.
        """
        if not ring.slot:
            return
        words = self.file.words
        if ring.ahead:
            number = ring.head - 1
            while number >= ring.tail and words[ring.place(number)] > now:
                words[ring.place(number)] = now
                number -= 1
        for number in ring.returned:
            words[ring.place(number) + 1] = 0
        for amount in ring.added:
            place = ring.at + _ENTRY * (ring.head & (ring.room - 1))
            words[place], words[place + 1] = now, amount
            ring.head += 1
        self._write_slot(ring)

    def _write_slot(self, ring: _Ring) -> None:
        state = ring.at, ring.room, ring.tail, ring.first, ring.head, ring.used, _check(ring)
        _STATE.pack_into(self.file.words, 8 * (ring.slot + _RING), *state)

    # the whole file

    def _lay_out_anew(self, more: int, turn: LocalTurn) -> None:
        """Leave out the counters that nobody uses any more; make the table fit the rest and more.

        Charges get other numbers by that, but stay as far from the head.
        """
        now, words = turn.now_us, self.file.words
        kept: list[tuple[Key, int, list[Entry]]] = []
        for ring, sound in self._all():
            if not sound:
                self._start_over(turn)
            start = _start_us(ring.window, now)
            places = map(ring.place, range(ring.tail, ring.head))
            entries = [(words[one], words[one + 1]) for one in places if words[one] > start]
            if entries:
                kept.append((ring.key, ring.window, entries))
        self._fill(kept, more)
        for ring in turn.rings.values():
            self._follow(ring)

    def _follow(self, ring: _Ring) -> None:
        """Take a counter of the transaction to where it is now."""
        used, first, head = ring.used, ring.first, ring.head
        slot = self._slot(ring.key)
        if not slot:
            ring.slot = ring.at = ring.room = ring.tail = ring.first = ring.head = 0
            ring.returned.clear()
            return
        self._read(ring, slot)
        by = head - ring.head
        ring.used, ring.first = used, max(first - by, 0)
        ring.returned = [number - by for number in ring.returned if number >= by]

    def _count_anew(self, now: int) -> None:
        """Count what is on record: the file was lost, damaged, or left while it was changed."""
        longest = self.file.longest
        since = now - longest - SKEW_US if longest else 0
        found: dict[str, Counter[Entry]] = {}
        for one in self._history(max(since, 0)):
            of_key = found.setdefault(one.key, Counter())
            of_key[one.at_us, abs(one.amount)] += 1 if one.amount > 0 else -1
        kept: list[tuple[Key, int, list[Entry]]] = []
        for name, counted in found.items():
            counter = _counter_of(name)
            if counter is None:
                continue
            _, key, window = counter
            start = _start_us(window, now)
            entries = sorted(entry for entry in counted.elements() if entry[0] > start)
            if entries:
                kept.append((key, window, entries))
        self._fill(kept, 0)
        self.file.words[MARK_AT] = 0

    def _fill(self, counters: Sequence[tuple[Key, int, Sequence[Entry]]], more: int) -> None:
        """Make the file anew of these counters: keys, windows, charges in their order."""
        slots = _SLOTS
        while slots < (len(counters) + more) * 4:
            slots *= 2
        self.file.begin_anew(slots, _SLOT * slots)
        self._slots.clear()
        for key, window, entries in counters:
            ring = _Ring(key, window)
            self._put(ring)
            if len(entries) > ring.room:
                self._enlarge(ring, len(entries))
            words = self.file.words
            for number, entry in enumerate(entries):
                place = ring.place(number)
                words[place], words[place + 1] = entry
            ring.head, ring.used = len(entries), sum(entry[1] for entry in entries)
            while ring.used > _FULL:
                ring.used -= entries[ring.first][1]
                ring.first += 1
            self._write_slot(ring)


def key_of(server: str, holder: str, counter: str, window_us: int, align: str) -> str:
    """Return what a counter is called on record."""
    return _counter(server, holder, counter, window_us, align)[0]


@lru_cache(maxsize=1024)
def _counter(
    server: str, holder: str, counter: str, window_us: int, align: str
) -> tuple[str, Key, int]:
    """Return a counter's name on record, its key in the file, and its window as a slot has it."""
    parts = (storable(server), storable(holder), storable(counter), window_us, align)
    name = _encode(parts)
    digest = blake2b(name, digest_size=16).digest()
    key = int.from_bytes(digest[:8], _ORDER), int.from_bytes(digest[8:], _ORDER)
    return name.decode(), key, window_us << 1 | _ALIGNS.index(align)


def _counter_of(name: str) -> tuple[str, Key, int] | None:
    """Return `_counter` of a name on record, None where no counter is called so."""
    try:
        return _counter(*parts_of(name))
    except msgspec.DecodeError:
        return None


def _check(ring: _Ring) -> int:
    """Return what a slot's other words are held together by."""
    return (
        ring.at ^ ring.room << 8 ^ ring.tail << 16 ^ ring.first << 24 ^ ring.head << 32
        ^ ring.used ^ ring.key[0] ^ ring.key[1] << 1 ^ ring.window << 2 ^ _SALT
    ) & 2**64 - 1  # fmt: skip


def _start_us(window: int, now: int) -> int:
    """Return the time that a window, as a slot has it, holds what came after."""
    window_us, calendar = window >> 1, window & 1
    return now - now % window_us - 1 if calendar else now - window_us


def limit_of(charge: Charge) -> int:
    """Return the most that a window may hold, in millionths, rounded down."""
    if charge.max >= MOST:
        return MOST * MILLION
    numerator, denominator = charge.max.as_integer_ratio()
    return numerator * MILLION // denominator


def millionths(charge: Charge) -> int:
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
