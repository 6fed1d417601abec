"""The figures in the header and the status line, and how they are read.

`LedgerWatch` and `MemoryWatch` look in threads of their own and wake the console only where
something is another than it was: a timer in its event loop ten times a second costs more than all
that is looked at. Both are daemons, because starting the memory service can take seconds and must
not hold up leaving the console.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
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
# what changes without one is looked at: time passes, gateways end without a word.
GLANCE_SECONDS, LATE_SECONDS = 0.1, 0.5
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
    in_force: object = ()
    """What differs once a file changed that says what is in force."""
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
    services: Services,
    files: PolicyFiles,
    known: LedgerVitals | None = None,
    *,
    passed: bool = False,
) -> LedgerVitals:
    """Read the counts, or return what is `known` where it is of the ledger's present version.

    With `passed`, time has: what changes without a word in the ledger is looked at, too. Calls a
    minute are counted only then and where nothing is known: that takes milliseconds. A ledger
    that cannot be read is told in `problem`. Then, too, calls whose gateway died get their end.
    """
    ledger = services.ledger
    try:
        stamp = ledger.stamp()
        still = known is not None and known.stamp == stamp and not known.problem
        if known is not None and still and not passed:
            return known
        _look_by_path(services)
        if passed:
            later = _later(services, files, known) if known is not None and still else None
            if later is not None:
                return later
            known = None
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
            in_force=files.stamps,
            loss=ledger.retention.pruned_for_size(days=1),
        )
    except PktuiError as error:
        policies, policy_problem = files.read()
        return LedgerVitals(
            policies=policies,
            policy_problem=policy_problem,
            in_force=files.stamps,
            problem=str(error),
        )


def _later(services: Services, files: PolicyFiles, known: LedgerVitals) -> LedgerVitals | None:
    """Return what is known as it is by now, `None` where all is to be read again.

    It is where anything was written, a gateway came or went, or a call expired. What a team's
    other machines do is told otherwise than by a version.
    """
    ledger, now = services.ledger, services.clock()
    if (
        services.settings.ledger.uri
        or ledger.state() != known.version
        or len(ledger.presence.alive("gateway")) != known.gateways
        or any(one.expires_us <= now for one in known.waiting)
    ):
        return None
    policies, policy_problem = files.read()
    calls = known.calls_per_minute and max(ledger.feed.per_minute(minutes=2))
    loss = known.loss and ledger.retention.pruned_for_size(days=1)
    return replace(
        known,
        policies=policies,
        policy_problem=policy_problem,
        in_force=files.stamps,
        calls_per_minute=calls,
        loss=loss,
    )


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
        in_force=files.stamps,
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
    """The policy files, parsed again only where one changed on disk.

    `others` are further files that say what is in force; `stamps` differ once any of all changed.
    """

    def __init__(self, directory: Path, others: Collection[Path] = ()) -> None:
        self._directory = directory
        self._others = tuple(map(str, others))
        self.stamps: tuple[tuple[str, int, int], ...] = ()
        self._problem: str | None = None

    def read(self) -> tuple[int, str]:
        """Return the number of files and a sentence about the first that cannot be used."""
        from pktui.policy.managed import managed_files

        try:
            found = os.listdir(self._directory)  # noqa: PTH208  looked at each second
        except OSError:
            found = []
        names = sorted(name for name in found if name.endswith(".json"))
        managed, own = managed_files(), [name for name in names if name[0] != "_"]
        inside = f"{self._directory}{os.sep}"
        looked = (*map(str, managed), *(inside + name for name in names), *self._others)
        stamps = tuple(stamp for file in looked if (stamp := _stamp(file)))
        if self._problem is None or stamps != self.stamps:
            files = [*managed, *(self._directory / name for name in own)]
            self.stamps, self._problem = stamps, _first_problem(files)
        return len(own), self._problem


def _stamp(file: str) -> tuple[str, int, int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116  each of them, each second
    except OSError:
        return None
    return file, status.st_mtime_ns, status.st_size


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

    `look` reads them, given what is known or `None` to read all, and whether it has been a second;
    `tell` gets what is another.
    """

    def __init__(
        self,
        look: Callable[[LedgerVitals | None, bool], LedgerVitals],
        tell: Callable[[LedgerVitals], object],
    ) -> None:
        super().__init__(name="ledger-watch", daemon=True)
        self._read = look
        self._tell = tell
        self._seen = LedgerVitals()
        self._beat_at = 0.0
        self._anew = True
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
        self._anew = True
        self._asked.set()

    def stop(self) -> None:
        """End, after the look that is under way."""
        self._leaving = True
        self._asked.set()
        if self.is_alive():
            self.join(LEAVING_SECONDS)

    def _look(self) -> None:
        self._asked.clear()
        anew = self._anew or self._seen.unread > 0
        if anew:
            self._anew = False
        now = time.monotonic()
        beat = now >= self._beat_at
        if beat:
            self._beat_at = now + BEAT_SECONDS
        self._see(self._read(None if anew else self._seen, beat))

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
