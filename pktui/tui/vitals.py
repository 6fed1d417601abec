"""The figures in the header and the status line, and how they are read.

`read_ledger` is called from thread workers; `MemoryWatch` is a daemon
thread, because starting the service can take seconds and must not hold up leaving the console.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pktui import lasting
from pktui.errors import LedgerUnavailable, PktuiError

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.memory.records import Status
    from pktui.tui.services import Memory, Services

MemoryState = Literal["starting", "ok", "down"]

RETRY_SECONDS = 2.0
OPENING_SECONDS = 0.25
STEADY_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class LedgerVitals:
    """What the ledger and the policy files say at a moment."""

    version: tuple[object, ...] = (-1, 0, 0)
    calls_per_minute: int = 0
    waiting: tuple[Approval, ...] = ()
    gateways: int = 0
    stopped: bool = False
    policies: int = 0
    policy_problem: str = ""
    problem: str = ""
    loss: str = ""
    """What of the record went for its size within the day."""

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


def read_ledger(
    services: Services, files: PolicyFiles, known: LedgerVitals | None = None
) -> LedgerVitals:
    """Read the counts, or return what is `known` where it is of the ledger's present version.

    Calls a minute are counted only where nothing is known: that takes milliseconds. A ledger
    that cannot be read is told in `problem`. Then, too, calls whose gateway died get their end.
    """
    ledger = services.ledger
    try:
        _look_by_path(services)
        if known is None and not ledger.read_only:
            ledger.settle_lost()
        version = ledger.state()
        if known is not None and known.version == version and not known.problem:
            return known
        policies, policy_problem = files.read()
        return LedgerVitals(
            version=version,
            calls_per_minute=(
                max(ledger.feed.per_minute(minutes=2)) if known is None else known.calls_per_minute
            ),
            waiting=tuple(ledger.approvals.pending()),
            gateways=len(ledger.presence.alive("gateway")),
            stopped=ledger.approvals.stopped(),
            policies=policies,
            policy_problem=policy_problem,
            loss=ledger.retention.pruned_for_size(days=1),
        )
    except PktuiError as error:
        policies, policy_problem = files.read()
        return LedgerVitals(policies=policies, policy_problem=policy_problem, problem=str(error))


def _look_by_path(services: Services) -> None:
    """Go on with another ledger where the one in use was replaced; raise where it was removed.

    What is open can be read long after it has gone from its path.
    """
    try:
        services.ledger.check_files()
    except LedgerUnavailable as error:
        try:
            services.ledger.reopen()
        except LedgerUnavailable:
            raise error from None
        services.reopened()


class PolicyFiles:
    """The policy files, parsed again only where one changed on disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stamps: tuple[tuple[str, int, int], ...] | None = None
        self._problem = ""

    def read(self) -> tuple[int, str]:
        """Return the number of files and a sentence about the first that cannot be used."""
        files = sorted(self._directory.glob("[!_]*.json"))
        from pktui.policy.managed import managed_files

        looked = [*managed_files(), *files]
        stamps = tuple(stamp for file in looked if (stamp := _stamp(file)))
        if stamps != self._stamps:
            self._stamps, self._problem = stamps, _first_problem(looked)
        return len(files), self._problem


def _stamp(file: Path) -> tuple[str, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return file.name, status.st_mtime_ns, status.st_size


def _first_problem(files: Sequence[Path]) -> str:
    from pktui.policy.document.policy import load_policy

    for file in files:
        try:
            load_policy(file)
        except PktuiError as error:
            return str(error)
    return ""


def look_at_memory(memory: Memory) -> MemoryVitals:
    """Ask the service how it is, without starting it."""
    try:
        status = memory.status()
    except PktuiError as error:
        return MemoryVitals("down", problem=str(error))
    if status.state == "ready":
        return MemoryVitals("ok", status)
    if status.state == "failed":
        return MemoryVitals("down", problem=status.note)
    return MemoryVitals("starting")


class MemoryWatch(threading.Thread):
    """Keeps an eye on the memory service and starts it where it does not run."""

    def __init__(self, memory: Memory, tell: Callable[[MemoryVitals], object]) -> None:
        super().__init__(name="memory-watch", daemon=True)
        self._memory = memory
        self._tell = tell
        self._failing = False
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Look, start where needed, tell; until asked to stop."""
        while not self._stop_asked.is_set():
            pause = RETRY_SECONDS
            with lasting.Survived("looking at the memory service", self._say_down):
                pause = self._look()
            self._stop_asked.wait(pause)

    def _look(self) -> float:
        """Look once; return the seconds until the next look."""
        seen = look_at_memory(self._memory)
        if seen.state != "down":
            self._failing = False
            self._tell(seen)
            return STEADY_SECONDS if seen.state == "ok" else OPENING_SECONDS
        if not self._failing:
            self._tell(MemoryVitals("starting"))
        self._failing = not self._start_service()
        return RETRY_SECONDS if self._failing else OPENING_SECONDS

    def _say_down(self, why: str) -> None:
        self._failing = True
        self._tell(MemoryVitals("down", problem=why))

    def stop(self) -> None:
        """Ask the thread to end; it does so within a moment, or with the process."""
        self._stop_asked.set()

    def _start_service(self) -> bool:
        try:
            self._memory.ensure()
        except PktuiError as error:
            self._tell(MemoryVitals("down", problem=str(error)))
            return False
        return True
