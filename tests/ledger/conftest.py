"""A ledger of this test alone, on a clock that moves only when it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from pktui.ledger import Caller, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_US = 1_800_000_000_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND

CLAUDE = Caller("claude-code", "", "s1", "/home/ada/shop")


@dataclass
class Clock:
    now: int = START_US

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


@dataclass(frozen=True, slots=True)
class Limit:
    """A charge as the policy makes it."""

    max: Decimal = Decimal(3)
    amount: Decimal = Decimal(1)
    window_us: int = MINUTE
    align: str = "sliding"
    counter: str = "calls"
    holder: str = "grant:lab"
    server: str = "memory"


@dataclass
class Dice:
    """Draws the numbers it was given, then zeros."""

    numbers: list[int] = field(default_factory=list)

    def __call__(self, limit: int) -> int:
        return self.numbers.pop(0) % limit if self.numbers else 0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.db"


@pytest.fixture
def ledger(file: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger.open(file, clock=clock)
    yield opened
    opened.close()
