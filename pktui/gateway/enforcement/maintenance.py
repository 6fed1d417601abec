"""What has to be done for the ledger now and then, on a thread and a connection of its own.

Nothing here is on the path of a call, and nothing here keeps a gateway from serving: what goes
wrong is said once. Several gateways may do the same at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.errors import LedgerError
from pktui.gateway.enforcement.anchoring_child import AnchoringChild
from pktui.gateway.enforcement.budget import refresh_usage
from pktui.gateway.enforcement.heartbeat import Lifetime
from pktui.gateway.enforcement.remembered_calls import RememberedCalls
from pktui.ledger.ledger import Ledger
from pktui.policy import managed
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.settings import Paths, Settings

_FIRST_SECONDS: Final = 0.5
_EVERY_SECONDS: Final = 5.0
# How long the end of a gateway waits for what is being done.
_END_SECONDS: Final = 2.0
# Between two pieces of a prune, so that decisions come in between.
_BETWEEN_SECONDS: Final = 0.02
_DAY_US: Final = 86_400_000_000
_IDLE_US: Final = 60_000_000
# What is larger takes longer to compact than a call that comes in between may wait.
_COMPACT_BYTES: Final = 64_000_000


class Upkeep:
    """Use as a context around everything that writes to the ledger."""

    def __init__(
        self, paths: Paths, settings: Settings, log: Callable[[str], None], server: str = ""
    ) -> None:
        """`server` is the one that is served, empty where it is several."""
        self._lifetime = Lifetime(server, settings.audit.beat_minutes)
        self._paths = paths
        self._settings = settings
        self._sending: threading.Thread | None = None
        self._fetching: threading.Thread | None = None
        self._fetch_problem = ""
        self._log = log
        self._said = ""
        self._anchoring = AnchoringChild(paths, self._say_once)
        self._anchor_said = ""
        self._last_anchors: threading.Thread | None = None
        self._remembered = RememberedCalls(paths)
        self._leapt = False
        self._ledger: Ledger | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Upkeep:
        self._thread = lasting.start("upkeep", self._run, log=self._log)
        lasting.start("indexer", self._index, log=self._log)
        if self._settings.telemetry.endpoint:
            self._sending = lasting.start("telemetry", self._send, log=self._log)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)
        if self._sending is not None:
            self._sending.join()  # it gives its child no longer than that to end

    def _run(self) -> None:
        pause = _FIRST_SECONDS
        if not self._ending.wait(pause):
            with lasting.Survived("starting the memory", self._say):
                self._wake_memory()
        while not self._ending.wait(pause):
            pause = _EVERY_SECONDS
            with lasting.Survived("looking for managed policies", self._say):
                self._look_for_bundle()
            self._try(self._look)
        if self._ledger is not None:
            self._try(self._remember)  # what has ended since the last look
            self._try(self._lifetime.close)
        if self._settings.audit.anchor or self._settings.audit.anchors:
            self._try(self._end)
        if self._ledger is not None:
            self._ledger.close()

    def _wake_memory(self) -> None:
        """Start the memory service where it follows the sessions of adopted agents."""
        if self._paths.followed_file.exists():
            from pktui.memory.starting import start_soon

            start_soon(self._paths)

    def _index(self) -> None:
        """Keep what is read of the journal up, behind the calls."""
        from pktui.ledger.journal.indexer import Index

        path = self._paths.ledger_file
        index = Index(path.with_name("index.db"), path.with_name("journal"), now_us)
        while not self._ending.wait(_FIRST_SECONDS):
            with lasting.Survived("keeping the index up", self._say):
                index.keep_up(self._ending)
        index.close()

    def _look_for_bundle(self) -> None:
        """Fetch the bundle of managed policies that is named, where it is time, in a thread."""
        if not (managed.DIRECTORY / managed.SOURCE).exists():
            return
        from pktui.gateway.enforcement.bundle_fetch import fetch, is_due

        def work() -> None:
            problem = fetch(self._paths, now_us())
            if problem and problem != self._fetch_problem:
                self._log(f"the managed policies stay as they were: {problem}")
            self._fetch_problem = problem

        if is_due(self._paths) and not (self._fetching and self._fetching.is_alive()):
            self._fetching = lasting.start("managed policies", work, log=self._say)

    def _send(self) -> None:
        from pktui.gateway.enforcement.telemetry_child import keep_sending

        keep_sending(self._paths, self._ending, self._say)

    def _say(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._log(sentence)

    def _try(self, act: Callable[[Ledger], None]) -> None:
        """Act on a ledger that is opened where it must be; say what goes wrong, each thing once."""
        try:
            if self._ledger is None:
                settings = self._settings
                self._ledger = Ledger.open(
                    self._paths.ledger_file, audit=settings.audit, shared=settings.ledger
                )
            act(self._ledger)
        except Exception as error:  # noqa: BLE001  the next look finds the record as it is then
            said = str(error) if isinstance(error, LedgerError) else lasting.words("upkeep", error)
            if said != self._said:
                self._said = said
                self._log(f"the record is not being looked after: {said}")
            if self._ledger is not None:
                self._ledger.close()
                self._ledger = None
        else:
            self._said = ""

    def _look(self, ledger: Ledger) -> None:
        ledger.settle_lost()
        ledger.grants.end_expired()
        if ledger.anchors.due():
            ledger.anchors.write()
        if ledger.anchors.far and ledger.anchors.due(far=True):
            self._anchoring.start()
        self._lifetime.tell(ledger)
        ledger.tell_time()
        refresh_usage(self._paths, ledger, now_us())
        self._remember(ledger)
        retention = ledger.retention
        leap = retention.witness()
        if leap and not self._leapt:
            self._log(
                f"the clock is {leap / _DAY_US:,.0f} days ahead of what the record has seen:"
                " nothing goes for its age until it has gone on for a day, or you run"
                " pktui audit prune"
            )
        self._leapt = leap > 0
        if prune := retention.announce(by_age=not leap):
            self._log(str(prune))
        while retention.step():
            if self._ending.wait(_BETWEEN_SECONDS):
                return
        if retention.wasteful() and retention.space().used < _COMPACT_BYTES and _idle(ledger):
            retention.compact()

    def _end(self, ledger: Ledger) -> None:
        if ledger.anchors.far:
            self._last_anchors = self._anchoring.leave()
        ledger.anchors.write()

    def _say_once(self, sentence: str) -> None:
        if sentence != self._anchor_said:
            self._anchor_said = sentence
            self._log(sentence)

    def _remember(self, ledger: Ledger) -> None:
        self._remembered.tell(ledger, now_us())


def _idle(ledger: Ledger) -> bool:
    """Tell whether nobody else serves calls and nothing has happened for a while."""
    newest = ledger.events.newest(1)
    quiet = not newest or now_us() - newest[0].at_us > _IDLE_US
    return quiet and sum(one.kind == "gateway" for one in ledger.presence.here()) <= 1
