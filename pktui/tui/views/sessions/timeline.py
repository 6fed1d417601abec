"""A session as one line of time: its messages, and behind each the calls until the next.

A slot is a message with the calls behind it, known by the message's `seq`; slot 0 holds the calls
before the first message. A `Place` is a slot and what of it: 0 the message, 1 the line that its
calls are folded into, and from 2 on the calls.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from typing import Literal

import msgspec

from pktui.tui.effects import State

Place = tuple[int, int]
MESSAGE, FOLD, FIRST_CALL = 0, 1, 2
# What the rail shows; `allowed`: by a person.
Mark = Literal["hit", "denied", "asked", "allowed"]

_OUTSTANDING: Mapping[str, Mark] = {
    "denied": "denied",
    "hidden": "denied",
    "refused": "denied",
    "asked": "asked",
    "approved": "allowed",
}


class LineCall(msgspec.Struct, frozen=True, gc=False):
    """A call, however many records tell of it: `kept` is its `seq` in the memory, 0 where it has
    none there; `row` its key in the ledger, 0 likewise. `server` is "" for an agent's own tool.
    `answered`: its result is in the ledger; of older calls that is not looked for.
    """

    at_us: int
    server: str
    tool: str
    state: State
    word: str
    took_us: int = 0
    kept: int = 0
    row: int = 0
    answered: bool = False

    @property
    def id(self) -> int:
        """What tells it from the session's other calls."""
        return self.row or -self.kept

    @property
    def mark(self) -> Mark | None:
        """Whether it was denied or a person was asked."""
        return _OUTSTANDING.get(self.state)


class Timeline:
    """Everything in a session in its order, without the texts; never changes."""

    def __init__(
        self, times_us: Sequence[int] = (), roles: str = "", calls: Collection[LineCall] = ()
    ) -> None:
        """`times_us` and `roles` are the messages', as in the memory's `Outline`."""
        self._times = times_us
        # A message may bear an earlier time than the one before it; the order is the messages'.
        self._latest = list(accumulate(times_us, max))
        self._roles = roles
        self._calls = sorted(calls, key=lambda call: (call.at_us, call.id))
        moments = [call.at_us for call in self._calls]
        self._starts = [bisect_left(moments, at) for at in self._latest]
        self._marked = [at for at, call in enumerate(self._calls) if call.mark]

    @property
    def total(self) -> int:
        """The number of messages."""
        return len(self._times)

    @property
    def calls(self) -> Sequence[LineCall]:
        """All calls in their order."""
        return self._calls

    @property
    def first_slot(self) -> int:
        """The first slot with anything in it."""
        return 0 if not self.total or self.calls_of(0) else 1

    def place_of(self, slot: int) -> Place:
        """Return the first place of a slot."""
        if slot:
            return slot, MESSAGE
        return slot, FOLD if len(self.calls_of(slot)) > 1 else FIRST_CALL

    def calls_of(self, slot: int) -> Sequence[LineCall]:
        """Return the calls behind a message."""
        first = self._starts[slot - 1] if slot else 0
        last = self._starts[slot] if slot < self.total else len(self._calls)
        return self._calls[first:last]

    def begins_day(self, slot: int) -> date | None:
        """Return the day that a slot is the first of, `None` where the one before is of it too."""
        day = self.day(slot)
        return day if slot <= self.first_slot or day != self.day(slot - 1) else None

    def day(self, slot: int) -> date:
        """Return the local day of a slot."""
        return _local(self.time_us(slot)).date()

    def time_us(self, slot: int) -> int:
        """Return when a slot begins."""
        if slot:
            return self._times[slot - 1]
        return self._calls[0].at_us if self._calls else 0

    def turn(self, slot: int, step: int) -> int | None:
        """Return the nearest message of the user after (or before) a slot.

        Where the user says nothing in the session, every message is a turn.
        """
        wanted = "u" if "u" in self._roles else ""
        if not wanted:
            found = slot + step - 1
            return found + 1 if 0 <= found < self.total else None
        if step > 0:
            found = self._roles.find(wanted, max(slot, 0))
        else:
            found = self._roles.rfind(wanted, 0, max(slot - 1, 0))
        return found + 1 if found >= 0 else None

    def outstanding(self, place: Place, step: int) -> Place | None:
        """Return the nearest call after (or before) a place that was denied or asked about."""
        at = self._before(place)
        if step > 0:
            here = place[1] >= FIRST_CALL
            index = bisect_left(self._marked, at + here)
            return self._place(self._marked[index]) if index < len(self._marked) else None
        index = bisect_left(self._marked, at) - 1
        return self._place(self._marked[index]) if index >= 0 else None

    def _before(self, place: Place) -> int:
        """Return how many calls stand before a place."""
        slot, part = place
        first = self._starts[slot - 1] if slot else 0
        return first + max(0, part - FIRST_CALL)

    def _place(self, at: int) -> Place:
        slot = bisect_right(self._starts, at)
        first = self._starts[slot - 1] if slot else 0
        return slot, FIRST_CALL + at - first

    def place_of_kept(self, seq: int) -> Place | None:
        """Return where the call of that `seq` in the memory stands."""
        found = (at for at, call in enumerate(self._calls) if call.kept == seq)
        return next((self._place(at) for at in found), None)

    def slot_at(self, at_us: int) -> int:
        """Return the first slot from that time on, the last one where there is none."""
        return min(bisect_left(self._latest, at_us) + 1, self.total)

    def slot_of_clock(self, seconds: int, near: int) -> int:
        """Return the slot of a local time of day, of the day of the slot `near`."""
        moment = datetime.combine(self.day(near), time()) + timedelta(seconds=seconds)
        return self.slot_at(round(moment.timestamp() * 1_000_000))

    def rail(self, rows: int, hits: Collection[Place]) -> Mapping[int, Mark]:
        """Return the marks beside the line, by row from 0; of several in a row the gravest."""
        marks: dict[int, Mark] = {}
        row_of = self._row_of(rows)
        for at in self._marked:
            mark = self._calls[at].mark
            row = row_of(bisect_right(self._starts, at))
            if mark and _GRAVITY[mark] > _GRAVITY.get(marks.get(row, "none"), 0):
                marks[row] = mark
        for slot, _ in hits:
            row = row_of(slot)
            if _GRAVITY["hit"] > _GRAVITY.get(marks.get(row, "none"), 0):
                marks[row] = "hit"
        return marks

    def rows_of(self, rows: int, first: int, last: int) -> range:
        """Return which rows of the rail stand for these slots."""
        row_of = self._row_of(rows)
        return range(row_of(first), row_of(last) + 1)

    def slot_of_row(self, row: int, rows: int) -> int:
        """Return the slot that a row of the rail stands for."""
        return max(self.first_slot, min(self.total, 1 + row * self.total // max(1, rows)))

    def _row_of(self, rows: int) -> Callable[[int], int]:
        total = max(1, self.total)
        return lambda slot: min(rows - 1, max(0, slot - 1) * rows // total)


_GRAVITY: Mapping[str, int] = {"allowed": 1, "hit": 2, "denied": 3, "asked": 4}


def _local(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).astimezone()
