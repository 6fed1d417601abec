"""Counters with a record of their own: a file of lines, appended to while their lock is held.

`python -m tests.ledger.counting FOLDER TIMES [WHERE]` takes from one limit so many times, and says
each time that the limit gave. It kills itself at its third turn: `before` or `after` the row is
written, or in the `middle` of what follows.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec

from pktui.ledger import now_us
from pktui.ledger.counters import Charge, Counters, LocalTurn
from pktui.ledger.records import Charged
from tests.ledger.conftest import MINUTE, Limit

LIMIT = Limit(max=Decimal(200), window_us=60 * MINUTE)
DYING_TURN = 3


class Record:
    """What was taken and given back, one line a row."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "record"
        self._file.touch()

    def append(self, rows: tuple[Charged, ...]) -> None:
        with self._file.open("ab", buffering=0) as file:
            file.write(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))

    def since(self, since_us: int) -> Iterator[Charged]:
        for line in self._file.read_bytes().splitlines():
            charged = msgspec.json.decode(line, type=Charged)
            if charged.at_us >= since_us:
                yield charged


class Counting:
    """Counters and their record in one folder."""

    def __init__(self, folder: Path, clock: Callable[[], int] = now_us) -> None:
        self.record = Record(folder)
        self.file = folder / "counters"
        self.counters = Counters(self.file, clock, self.record.since)

    def take(self, *charges: Limit, turn: LocalTurn | None = None) -> Limit | tuple[Charged, ...]:
        """Take in a turn of its own; return what was taken, or the charge that did not fit."""
        seen = turn or self.counters.begin()
        refused = self.counters.reserve(charges, "c", seen)
        taken = () if refused else self.counters.taken(seen, "c")
        if turn is None:
            self.counters.end(seen, lambda: self.record.append(taken))
        return refused or taken

    def give_back(self, charged: tuple[Charged, ...]) -> bool:
        """Give back in a turn of its own; tell whether there was anything to give back."""
        turn = self.counters.begin()
        back = self.counters.release(charged, turn)
        self.counters.end(turn, lambda: self.record.append(back))
        return bool(back)

    def usage(self, charge: Charge) -> tuple[float, int]:
        used, retry_at_us = self.counters.usage(charge)
        return float(used), retry_at_us


def main(folder: Path, times: int, where: str) -> None:
    counting = Counting(folder)
    counters, append = counting.counters, counting.record.append

    def dying(rows: tuple[Charged, ...]) -> None:
        if where != "before":
            append(rows)
        if where != "middle":
            os.kill(os.getpid(), signal.SIGKILL)
        counters._write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]

    for turn in range(1, times + 1):
        if where and turn == DYING_TURN:
            counting.record.append = dying  # type: ignore[method-assign]
        if isinstance(counting.take(LIMIT), tuple):
            print("taken", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), "".join(sys.argv[3:]))
