"""A ledger of this test alone, on a clock that moves only when it is told to."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from pktui.ledger import Caller, Ledger
from pktui.settings import LedgerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.postgres import Server

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


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: as a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.db"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of a module with `ENGINES` on a ledger of each of them."""
    engines = getattr(metafunc.module, "ENGINES", ())
    if engines and "shared" in metafunc.fixturenames:
        alone = metafunc.definition.get_closest_marker("alone") is not None
        metafunc.parametrize("shared", engines[:1] if alone else engines, indirect=True)


@pytest.fixture
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LedgerSettings:
    """Where what decides is; the database of a team then goes by the test's clock."""
    if getattr(request, "param", "alone") == "alone":
        return LedgerSettings()
    server: Server = request.getfixturevalue("postgres")
    from pktui.ledger.postgres.connection import TeamConnection

    monkeypatch.setattr(TeamConnection, "tell_time", lambda link: link.run("SELECT 1"))
    return LedgerSettings(server.database(), "here")


@pytest.fixture
def ledger(file: Path, clock: Clock, shared: LedgerSettings) -> Iterator[Ledger]:
    opened = Ledger.open(file, clock=clock, shared=shared)
    yield opened
    opened.close()
