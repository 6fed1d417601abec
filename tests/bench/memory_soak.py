"""Many clients at once, and a service that is killed meanwhile: nothing lost, nothing twice.

    python -m tests.bench.memory_soak [--seconds N] [--clients N]

Ten clients log for a minute, each to its own session, while two search and one imports; halfway
the service is killed (SIGKILL). Checked: every message that was sent is there, in the order of its
client, once; an import that is repeated adds nothing; every vector is made, also those that the
killed service owed. Printed: messages a second, acknowledgement and search at p50 and p99, the
longest that anyone waited (for the service to come back), and how long the vectors took.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pktui.memory.client import MemoryClient
from pktui.memory.interchange import MessageRecord, Record, SessionRecord
from pktui.memory.records import Identity
from pktui.settings import Paths
from tests.bench.memory_service import text as believable

Connect = Callable[[Identity], MemoryClient]

IMPORTED_PER_SESSION = 20
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Soak:
    """What the clients did; lists are appended to by several threads."""

    connect: Connect
    until: float
    logged: dict[int, int] = field(default_factory=dict)
    """Messages acknowledged, by session."""
    waits: list[float] = field(default_factory=list)
    searches: list[float] = field(default_factory=list)
    imported: int = 0
    failures: list[BaseException] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.until or bool(self.failures)

    def log(self, name: int) -> None:
        client = self.connect(Identity("soak", "", f"/client/{name}"))
        session = client.start_session(f"client {name}").id
        number = 0
        while not number or not self.over:
            before = time.perf_counter()
            message = client.log("user", f"{number} {believable(number)}")
            self.waits.append(1000 * (time.perf_counter() - before))
            number += 1
            assert (message.session_id, message.seq) == (session, number)
        self.logged[session] = number
        client.close()

    def search(self, name: int) -> None:
        client = self.connect(Identity("soak", "", f"/searcher/{name}"))
        while not self.searches or not self.over:
            before = time.perf_counter()
            client.search(believable(len(self.searches))[:30], ("hybrid", "words")[name % 2])
            self.searches.append(1000 * (time.perf_counter() - before))
            time.sleep(0.05)
        client.close()

    def take_in(self) -> None:
        client = self.connect(Identity("soak", "", "/importer"))
        while not self.imported or not self.over:
            report = client.import_records(imported(self.imported))
            assert report.rejected == 0
            self.imported += 1
        client.close()

    def guarded(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                work(*arguments)
            except BaseException as error:  # noqa: BLE001  raised again by the main thread
                self.failures.append(error)

        return threading.Thread(target=run)


def soak(
    paths: Paths,
    connect: Connect,
    seconds: float,
    clients: int,
    end: signal.Signals = signal.SIGKILL,
) -> Soak:
    """Run clients for so long, end the service in the middle, and return what they did."""
    warm = connect(Identity("soak"))
    warm.sessions()
    warm.close()
    done = Soak(connect, time.monotonic() + seconds)
    threads = [done.guarded(done.log, name) for name in range(clients)]
    threads += [done.guarded(done.search, name) for name in range(2)]
    threads.append(done.guarded(done.take_in))
    for thread in threads:
        thread.start()
    time.sleep(seconds / 2)
    os.kill(int(paths.memory_lock.read_text()), end)
    for thread in threads:
        thread.join()
    if done.failures:
        raise done.failures[0]
    return done


def check(done: Soak) -> int:
    """Look at everything that was sent; returns the number of messages."""
    client = done.connect(Identity("soak"))
    for session, count in done.logged.items():
        kept = contents(client, session)
        numbers = [int(content.partition(" ")[0]) for content in kept]
        assert numbers == list(range(count)), f"session {session}: {len(numbers)} of {count}"
    for number in range(done.imported):
        report = client.import_records(imported(number))
        assert (report.messages, report.known) == (0, IMPORTED_PER_SESSION + 1), report
    messages = sum(done.logged.values()) + done.imported * IMPORTED_PER_SESSION
    assert client.status().messages == messages, client.status()
    client.close()
    return messages


def until_indexed(connect: Connect, patience_s: float) -> None:
    """Wait until every message has its vector."""
    client = connect(Identity("soak"))
    deadline = time.monotonic() + patience_s
    while (status := client.status()).pending_vectors or status.model_state != "ready":
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    assert status.vectors >= status.messages, status
    client.close()


def contents(client: MemoryClient, session: int) -> list[str]:
    found: list[str] = []
    after = 0
    while page := client.messages(session, after=after, limit=1000).items:
        assert [one.seq for one in page] == list(range(after + 1, after + 1 + len(page)))
        found += [one.content for one in page]
        after = page[-1].seq
    return found


def imported(number: int) -> list[Record]:
    """Return a session with its messages, always the same for a number."""
    records: list[Record] = [SessionRecord("soak", str(number), START, name=f"import {number}")]
    return records + [
        MessageRecord(
            "soak", str(number), str(n), "agent", believable(n), START + timedelta(seconds=n)
        )
        for n in range(IMPORTED_PER_SESSION)
    ]


def percentile(times: Sequence[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main(seconds: float, clients: int) -> None:
    with tempfile.TemporaryDirectory(prefix="pktui-soak-") as directory:
        paths = Paths.at(Path(directory) / "config", Path(directory) / "data")

        def connect(who: Identity) -> MemoryClient:
            return MemoryClient(paths, who)

        try:
            done = soak(paths, connect, seconds, clients)
            before = time.monotonic()
            messages = check(done)
            print(f"{messages} messages, all there, in order, once")
            print(f"{sum(done.logged.values()) / seconds:.0f} logged a second by {clients} clients")
            for what, times in (("acknowledged", done.waits), ("search meanwhile", done.searches)):
                p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
                print(f"{what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {max(times):.0f} ms")
            until_indexed(connect, 3600)
            print(f"every vector made {time.monotonic() - before:.0f} s after the last message")
        finally:
            connect(Identity("soak")).stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=10)
    options = parser.parse_args()
    main(options.seconds, options.clients)
