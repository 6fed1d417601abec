"""The figures in the header and the status line, and how they are read.

`LedgerWatch` and `MemoryWatch` look in threads of their own and wake the console only where
something is another than it was: a timer in its event loop ten times a second costs more than all
that is looked at. Both are daemons, because starting the memory service can take seconds and must
not hold up leaving the console.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pktui import lasting
from pktui.errors import LedgerUnavailable, PktuiError

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.memory.records import Status
    from pktui.tui.services import Memory, Services

MemoryState = Literal["starting", "ok", "down"]

# How soon a change by another process is seen, while there are changes and at most; and how often
# everything is read even so: time passes, gateways end without a word.
GLANCE_SECONDS, LATE_SECONDS = 0.1, 0.25
BEAT_SECONDS = 1.0
LEAVING_SECONDS = 0.5
RETRY_SECONDS = 2.0
OPENING_SECONDS = 0.25
STEADY_SECONDS = 3.0
# A record with more to be read than a second's work is read a part a look, and that is said.
READ_AT_ONCE_BYTES = 2_000_000
READING_SECONDS = 0.5


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
    unread: int = 0
    """Bytes of the record that are still to be read; until then nothing is known of calls."""
    stamp: object = field(default=None, compare=False)
    """What the ledger's files looked like before all this was read."""

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
        stamp = ledger.stamp()
        if known is not None and known.stamp == stamp and not known.problem:
            return known
        _look_by_path(services)
        if known is None and (unread := ledger.unread()) > READ_AT_ONCE_BYTES:
            ledger.index.refresh(READING_SECONDS)
            return _while_reading(services, files, unread)
        if known is None and not ledger.read_only:
            ledger.settle_lost()
        version = ledger.state()
        if known is not None and known.version == version and not known.problem:
            return replace(known, stamp=stamp)
        policies, policy_problem = files.read()
        return LedgerVitals(
            version=version,
            stamp=stamp,
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


def _while_reading(services: Services, files: PolicyFiles, unread: int) -> LedgerVitals:
    """Return what is known without the calls, which may take a minute to be read."""
    ledger = services.ledger
    policies, policy_problem = files.read()
    return LedgerVitals(
        version=(ledger.data_version(), -1),
        waiting=tuple(ledger.approvals.pending()),
        gateways=len(ledger.presence.alive("gateway")),
        stopped=ledger.approvals.stopped(),
        policies=policies,
        policy_problem=policy_problem,
        unread=unread,
    )


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


class LedgerWatch(threading.Thread):
    """Keeps an eye on the ledger and the policy files.

    `look` reads them, given what is known or `None` to read all; `tell` gets what is another.
    """

    def __init__(
        self,
        look: Callable[[LedgerVitals | None], LedgerVitals],
        tell: Callable[[LedgerVitals], object],
    ) -> None:
        super().__init__(name="ledger-watch", daemon=True)
        self._read = look
        self._tell = tell
        self._seen = LedgerVitals()
        self._whole_at = 0.0
        self._asked = threading.Event()
        self._leaving = False

    def run(self) -> None:
        """Look and tell, until asked to stop."""
        pause = LATE_SECONDS
        while not self._leaving:
            before = self._seen
            with lasting.Survived("looking at the ledger", self._say_lost):
                self._look()
            still = self._seen is before or self._seen == before
            pause = min(LATE_SECONDS, pause * 1.2) if still else GLANCE_SECONDS
            self._asked.wait(pause)

    def ask(self) -> None:
        """Have everything read now."""
        self._whole_at = 0.0
        self._asked.set()

    def stop(self) -> None:
        """End, after the look that is under way."""
        self._leaving = True
        self._asked.set()
        if self.is_alive():
            self.join(LEAVING_SECONDS)

    def _look(self) -> None:
        self._asked.clear()
        now = time.monotonic()
        whole = now >= self._whole_at or self._seen.unread > 0
        if whole:
            self._whole_at = now + BEAT_SECONDS
        self._see(self._read(None if whole else self._seen))

    def _see(self, seen: LedgerVitals) -> None:
        before, self._seen = self._seen, seen
        if seen != before:
            self._tell(seen)

    def _say_lost(self, why: str) -> None:
        self._see(LedgerVitals(problem=why))


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
            pause: float | None = RETRY_SECONDS
            with lasting.Survived("looking at the memory service", self._say_down):
                pause = self._look()
            if pause is not None:
                self._stop_asked.wait(pause)

    def _look(self) -> float | None:
        """Look once; return the seconds until the next look, `None` where they have passed."""
        seen = look_at_memory(self._memory)
        if seen.state != "down":
            self._failing = False
            self._tell(seen)
            if seen.state == "ok" and not self._stop_asked.is_set():
                self._memory.wait_until_gone(STEADY_SECONDS)
                return None
            return OPENING_SECONDS
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
