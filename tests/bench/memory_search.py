"""How long a search takes: `python -m tests.bench.memory_search [MESSAGES ...] [--keep DIR]`.

Stores of made-up messages, by default 10,000 and 100,000; the vectors are random, the query's is
the real model's. Printed for each size: the time to open with and without the saved index, each
mode's p50 and p95 with the query's embedding included, beside them the processor time of the
searching thread (what remains where others load the machine), the same while messages are logged
and embedded, a service's start to its first answers, memory and disk. `--keep` leaves the stores in
DIR, and uses those that are there.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pktui.memory.client import MemoryClient
from pktui.memory.embed import Embedder, Passage, Vectors, load_embedder
from pktui.memory.records import MODES, Identity, NewMessage, Session
from pktui.memory.store import Store
from pktui.memory.store.saved_index import NAME
from pktui.settings import Paths
from tests.bench.memory_texts import MODELS, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PER_SESSION = 50
_QUERIES = 60
_BATCH = 5000
_INGEST_S = 20.0
_SEEDS = itertools.count(99)
"""A remembered question would be answered without its embedding."""


class RandomVectors:
    """Vectors of the real model's shape for what is stored, at no cost."""

    def __init__(self, real: Embedder) -> None:
        self.name = real.name
        self.dimension = real.dimension
        self._random = np.random.default_rng(7)

    def passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
        return [(Passage(0, len(text)),) for text in texts]

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = self._random.standard_normal((len(texts), self.dimension), np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("messages", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    embedder = load_embedder("", MODELS)
    for size in options.messages:
        with tempfile.TemporaryDirectory() as directory:
            measure((options.keep or Path(directory)) / str(size), size, embedder)


def measure(place: Path, size: int, embedder: Embedder) -> None:
    """Fill a store, open it again and search it."""
    paths = Paths.at(place / "config", place / "data")
    directory = paths.memory_dir
    load = os.getloadavg()[0]
    print(f"{size:,} messages, load average {load:.1f}, {os.cpu_count()} processors", flush=True)
    if not directory.exists():
        with Store.open(directory, RandomVectors(embedder)) as store:
            fill(store, size)
            store.optimize()
    if not (directory / NAME).exists():
        with timed_open(directory, embedder, "opened without the saved index") as store:
            store.save_index(quiet=True)
    start_service(paths)
    before = resident_mb()
    with timed_open(directory, embedder, "opened") as store:
        for mode in MODES:
            report(mode, lambda query, mode=mode: store.search(query, mode))  # type: ignore[misc]
        report("hybrid in one session", lambda query: store.search(f"{query} session:7"))
        now = resident_mb()
        print(f"  memory: {now:.0f} MB, of that the store {now - before:.0f} MB")
        measure_ingest(store)
        status = store.status()
        print(f"  on disk: {status.files_on_disk} files, {status.bytes_on_disk / 1e6:.0f} MB")


def timed_open(directory: Path, embedder: Embedder, what: str) -> Store:
    """Open the store and say how long that took."""
    before = time.perf_counter()
    store = Store.open(directory, embedder)
    print(f"  {what}: {time.perf_counter() - before:.2f} s", flush=True)
    return store


def fill(store: Store, size: int) -> None:
    """Append messages to sessions of fifty, a minute apart."""
    start = datetime(2020, 1, 1, tzinfo=UTC)
    new = Session(0, "session", "ended", start, start, agent="bench", source="bench")
    session_ids = [one.id for one in store.add_sessions([new] * -(-size // _PER_SESSION))]
    batch: list[NewMessage] = []
    for number, text in enumerate(texts(size)):
        session_id = session_ids[number // _PER_SESSION % len(session_ids)]
        batch.append(NewMessage(session_id, "user", text, start + timedelta(minutes=number)))
        if len(batch) == _BATCH or number == size - 1:
            store.append(batch, allow_ended=True)
            batch = []
    while store.embed_pending(_BATCH):
        pass


def start_service(paths: Paths) -> None:
    """Time a real service from nothing to its first answers."""
    with closing(MemoryClient(paths, Identity("bench"))) as client:
        before = time.perf_counter()
        client.ensure()
        client.search("deploy", "words")
        text = time.perf_counter() - before
        while client.status().model_state == "loading":
            time.sleep(0.02)
        client.search("deploy", "meaning")
        meaning = time.perf_counter() - before
        status = client.status()
        memory = resident_mb(str(status.pid))
        print(
            f"  service: first text answer {text:.2f} s, first meaning answer {meaning:.2f} s, "
            f"then {memory:.0f} MB",
            flush=True,
        )
        client.stop()


def measure_ingest(store: Store) -> None:
    """Search while messages are logged one by one and their vectors made beside it."""
    done = threading.Event()
    session = store.start_session("ingest", Identity("bench"))

    def log() -> None:
        for text in texts(1_000_000, seed=5):
            if done.wait(0.01):
                return
            store.append([NewMessage(session.id, "user", text)])

    def embed() -> None:
        while not done.wait(0.02):
            store.embed_pending(32)

    threads = [threading.Thread(target=work) for work in (log, embed)]
    for thread in threads:
        thread.start()
    report("hybrid during ingest", store.search, _INGEST_S)
    done.set()
    for thread in threads:
        thread.join()


def report(what: str, search: Callable[[str], object], most_s: float = 60.0) -> None:
    """Print the times of queries of three to eight words that were not asked before."""
    times, own = [], []
    end = time.perf_counter() + most_s
    search("warm up")
    for number, text in enumerate(texts(_QUERIES, seed=next(_SEEDS))):
        query = " ".join(text.split()[: 3 + number % 6])
        before, used = time.perf_counter(), time.thread_time()
        search(query)
        times.append(1000 * (time.perf_counter() - before))
        own.append(1000 * (time.thread_time() - used))
        if time.perf_counter() > end:
            break
    p50, p95 = np.percentile(times, [50, 95])
    print(
        f"  {what}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, best {min(times):.1f} ms; "
        f"processor time {np.median(own):.1f} ms ({len(times)} queries)",
        flush=True,
    )


def resident_mb(process: str = "self") -> float:
    """Return the memory that a process holds now."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
