"""The figures in the header and the status line, and how they are read.

`read_ledger` and `read_policies` are called from thread workers; `MemoryWatch` is a daemon
thread, because starting the service can take seconds and must not hold up leaving the console.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pktui.errors import PktuiError

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.memory.records import Status
    from pktui.tui.services import Memory, Services

MemoryState = Literal["starting", "ok", "down"]

RETRY_SECONDS = 2.0
STEADY_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class LedgerVitals:
    """What the ledger and the policy files say at a moment."""

    version: int = -1
    calls_per_minute: int = 0
    waiting: tuple[Approval, ...] = ()
    gateways: int = 0
    stopped: bool = False
    policies: int = 0
    policy_problem: str = ""
    problem: str = ""

    @property
    def pending(self) -> int:
        """The number of calls that wait for a person."""
        return len(self.waiting)


@dataclass(frozen=True, slots=True)
class MemoryVitals:
    """Whether the memory service answers, and what it holds."""

    state: MemoryState = "starting"
    status: Status | None = None
    problem: str = ""


def read_ledger(services: Services) -> LedgerVitals:
    """Read the counts; a ledger that cannot be read is told in `problem`."""
    policies, policy_problem = read_policies(services.paths.policies_dir)
    ledger = services.ledger
    try:
        return LedgerVitals(
            version=ledger.data_version(),
            calls_per_minute=max(ledger.feed.per_minute(minutes=2)),
            waiting=tuple(ledger.approvals.pending()),
            gateways=len(ledger.presence.alive("gateway")),
            stopped=ledger.approvals.stopped(),
            policies=policies,
            policy_problem=policy_problem,
        )
    except PktuiError as error:
        return LedgerVitals(policies=policies, policy_problem=policy_problem, problem=str(error))


def read_policies(directory: Path) -> tuple[int, str]:
    """Return the number of policy files and a sentence about the first that cannot be used."""
    from pktui.policy.document import load_policy

    files = sorted(directory.glob("*.json"))
    for file in files:
        try:
            load_policy(file)
        except PktuiError as error:
            return len(files), str(error)
    return len(files), ""


def look_at_memory(memory: Memory) -> MemoryVitals:
    """Ask the service how it is, without starting it."""
    try:
        return MemoryVitals("ok", memory.status())
    except PktuiError as error:
        return MemoryVitals("down", problem=str(error))


class MemoryWatch(threading.Thread):
    """Keeps an eye on the memory service and starts it where it does not run."""

    def __init__(self, memory: Memory, tell: Callable[[MemoryVitals], object]) -> None:
        super().__init__(name="memory-watch", daemon=True)
        self._memory = memory
        self._tell = tell
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Look, start where needed, tell; until asked to stop."""
        while not self._stop_asked.is_set():
            seen = look_at_memory(self._memory)
            if seen.state == "ok":
                self._tell(seen)
                self._stop_asked.wait(STEADY_SECONDS)
                continue
            self._tell(MemoryVitals("starting"))
            self._start_service()

    def stop(self) -> None:
        """Ask the thread to end; it does so within a moment, or with the process."""
        self._stop_asked.set()

    def _start_service(self) -> None:
        try:
            self._memory.ensure()
        except PktuiError as error:
            self._tell(MemoryVitals("down", problem=str(error)))
            self._stop_asked.wait(RETRY_SECONDS)
