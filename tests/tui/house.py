"""A console on a real ledger in a test's own directory, with clocks the test moves."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from textual import events
from textual.worker import WorkerCancelled

from pktui.files import make_private_directory
from pktui.ledger.arguments.canonical import args_hash
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Approval, Caller, NewApproval
from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from pktui.settings import ConsoleSettings, Paths, Settings
from pktui.tui.console import Console
from pktui.tui.keyboard import RUN_SECONDS
from pktui.tui.screens.question import Question
from pktui.tui.services import Services

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tests.support.memory import MemoryInProcess

START_US = 1_795_000_000_000_000
STILL = 4
"""Rounds of an unchanged screen after which nothing more is expected."""
APART_SECONDS = 2 * RUN_SECONDS
"""What lies between two keys that were not typed together."""
PATIENCE = 60.0
SMALL, LARGE = (80, 24), (120, 36)
HOSTILE = (
    "[bold red]x[/] [@click=app.quit]q[/] \x1b[2J\x1b]0;t\x07 a\rb \u202egnp\u2066 \u200b\u200d"
    "\x00\x9b1m \U000e0041 ‮ \ud800"
)
AGENT = Caller("claude-code", "laptop", "8f31c2", "/home/me/shop")


@dataclass
class House:
    """The parts of a console and what a test does to them from outside."""

    paths: Paths
    settings: Settings = field(default_factory=Settings)
    read_only: bool = False
    now_us: int = START_US

    def __post_init__(self) -> None:
        make_private_directory(self.paths.data_dir)
        make_private_directory(self.paths.policies_dir)
        self.ledger = Ledger.open(self.paths.ledger_file, clock=self.clock)
        draws = itertools.count()
        self.other = Ledger.open(
            self.paths.ledger_file, clock=self.clock, below=lambda bound: next(draws) % bound
        )
        """What a gateway or a command would hold: another connection to the same file."""
        self.memory: MemoryClient | MemoryInProcess = MemoryClient(
            self.paths, Identity(agent="console"), start=False
        )

    def clock(self) -> int:
        return self.now_us

    def services(self) -> Services:
        return Services(
            paths=self.paths,
            settings=self.settings,
            ledger=self.ledger,
            memory=self.memory,
            clock=self.clock,
            project="/home/me/shop",
            read_only=self.read_only,
            background=False,
        )

    def ask(
        self, tool: str = "store_knowledge", arguments: Mapping[str, Any] | None = None, **more: Any
    ) -> Approval:
        """Open an approval from outside."""
        arguments = {"title": "JWT"} if arguments is None else arguments
        new: dict[str, Any] = {
            "caller": AGENT,
            "server": "memory",
            "tool": tool,
            "arguments": arguments,
            "args_hash": args_hash(arguments),
            "expires_us": self.now_us + 600_000_000,
            "rule": f"/tools/{tool}",
            "reason": "Kept for every later session.",
        }
        return self.other.approvals.open(NewApproval(**{**new, **more}))

    def status(self, approval: Approval) -> str:
        found = self.other.approvals.get(approval.id)
        assert found is not None
        return found.status

    def close(self) -> None:
        self.ledger.close()
        self.other.close()
        self.memory.close()


@dataclass
class Desk:
    """A running console and the hands on it."""

    house: House
    app: Console
    pilot: Pilot[int]
    said: list[str]
    typed_at: float = 0

    async def settle(self) -> None:
        """Let workers and messages come to rest: until the screen stays the same."""
        seen: list[str] = []
        for _ in range(60):
            with suppress(WorkerCancelled):  # by a later one of its group, which is waited for next
                await self.app.workers.wait_for_complete()
            await self.pilot.pause()
            if not self.app.keyboard.at_rest:
                continue
            seen.append(self.screen_text())
            if len(seen) > STILL and len(set(seen[-STILL:])) == 1:
                return

    def notices(self) -> str:
        """Return what the console said, newest last."""
        return "\n".join(self.said)

    async def beat(self) -> None:
        """Let the console notice what moved."""
        self.app.beat()
        await self.settle()

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.key(key)
        await self.settle()

    async def key(self, key: str) -> None:
        """Press one key as a hand does, apart from the one before: closer ones count as pasted."""
        while time.monotonic() - self.typed_at < APART_SECONDS:
            await self.pilot.pause(0.001)
        await self.pilot.press(key)
        self.typed_at = time.monotonic()

    async def burst(self, *keys: str) -> None:
        """Type all keys before the console looks at the first of them."""
        self.type(*keys)
        await self.settle()

    def type(self, *keys: str) -> None:
        """Type keys together, apart from those before; wait for nothing, a worker may be held."""
        self.typed_at = at = max(time.monotonic(), self.typed_at + APART_SECONDS)
        for key in keys:
            character = {"space": " ", "slash": "/"}.get(key, key if len(key) == 1 else None)
            event = events.Key(key, character)
            event.time = at
            self.app.post_message(event)

    async def answer(self, *keys: str) -> None:
        """Answer the question on the screen, once its quiet time is over."""
        screen = self.app.screen
        assert isinstance(screen, Question)
        await self.until(lambda: not screen.quiet)
        await self.press(*keys)

    def screen_text(self) -> str:
        """Return what is on the screen, row by row."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.ljust(width) for strip in strips[:height])

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds, for timers of a few hundred milliseconds."""
        until = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < until, self.screen_text()
            await self.pilot.pause(0.01)


@asynccontextmanager
async def desk(house: House, view: str, size: tuple[int, int] = LARGE) -> AsyncIterator[Desk]:
    """Open the console on a view; closes the ledgers at the end."""
    app = Console(house.services(), view=view)
    said = _kept_notices(app)
    try:
        async with app.run_test(size=size) as pilot:
            hands = Desk(house, app, pilot, said)
            await hands.settle()
            yield hands
    finally:
        house.close()


def _kept_notices(app: Console) -> list[str]:
    """Return what will hold every notice; none is taken down, however long the test takes."""
    said: list[str] = []
    notify = app.notify

    def keep(message: str, **how: Any) -> None:
        said.append(message)
        notify(message, **{**how, "timeout": 10 * PATIENCE})

    app.notify = keep  # type: ignore[method-assign]
    return said


def quiet_settings() -> Settings:
    """Return settings without a bell."""
    return Settings(console=ConsoleSettings(bell=False))
