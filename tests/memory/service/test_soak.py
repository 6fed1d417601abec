"""Ten clients that log, two that search and one that imports, and a service killed meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pktui.memory.client import MemoryClient
from pktui.memory.rendezvous import listens
from tests.bench import memory_soak

if TYPE_CHECKING:
    from pktui.memory.records import Identity
    from pktui.settings import Paths


PATIENCE = 120.0


class SmallServices:
    """Services with a small model, each a process, started where none listens."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._lock = threading.Lock()
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        with self._lock:
            command = [sys.executable, "-m", "tests.support.small_service"]
            until = time.monotonic() + PATIENCE
            while not listens(self._paths):
                assert time.monotonic() < until, "the service did not start"
                if all(process.poll() is not None for process in self._started):
                    self._started.append(subprocess.Popen(command))
                threading.Event().wait(0.02)

    def connect(self, who: Identity) -> MemoryClient:
        client = MemoryClient(self._paths, who)
        client._transport._start = self.start
        return client

    def end(self) -> list[int]:
        with self._lock:
            for process in self._started:
                process.terminate()
            return [process.wait(PATIENCE) for process in self._started]


@pytest.fixture
def services(paths: Paths) -> Iterator[SmallServices]:
    made = SmallServices(paths)
    yield made
    made.end()


@pytest.mark.parametrize(("end", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 0)])
def test_ten_clients_lose_nothing_when_the_service_is_ended(
    paths: Paths, services: SmallServices, end: signal.Signals, status: int
) -> None:
    done = memory_soak.soak(paths, services.connect, seconds=4, clients=10, end=end)
    assert min(done.logged.values()) > 0
    assert done.imported > 0
    assert done.searches
    memory_soak.check(done)
    memory_soak.until_indexed(services.connect, patience_s=PATIENCE)
    assert services.end() == [status, 0]
    assert memory_soak.check(done) == sum(done.logged.values()) + done.imported * 20
    memory_soak.until_indexed(services.connect, patience_s=PATIENCE)
