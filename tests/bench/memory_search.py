"""How long a search takes: `python -m tests.bench.memory_search [MESSAGES ...]`.

Stores of made-up messages, by default 10,000 and 100,000; the vectors are random, the query's is
the real model's. Printed for each size: the time to open, each mode's p50 and p95 with the query's
embedding included, and the memory of the process.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pktui.memory.embed import Embedder, Passage, Vectors, load_embedder
from pktui.memory.records import MODES, NewMessage, Session
from pktui.memory.store import Store
from tests.bench.memory_texts import texts

if TYPE_CHECKING:
    from collections.abc import Sequence

_PER_SESSION = 50
_QUERIES = 60
_BATCH = 5000


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
    embedder = load_embedder()
    for size in parser.parse_args().messages:
        with tempfile.TemporaryDirectory() as directory:
            measure(Path(directory), size, embedder)


def measure(directory: Path, size: int, embedder: Embedder) -> None:
    """Fill a store, open it again and search it."""
    with Store.open(directory, RandomVectors(embedder)) as store:
        fill(store, size)
        store.optimize()
    before = time.perf_counter()
    with Store.open(directory, embedder) as store:
        print(f"{size:,} messages: opened in {time.perf_counter() - before:.2f} s")
        for mode in MODES:
            p50, p95 = search_ms(store, mode)
            print(f"  {mode}: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
        p50, p95 = search_ms(store, "hybrid", " session:7")
        print(f"  hybrid in one session: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
        status = store.status()
        print(f"  on disk: {status.files_on_disk} files, {status.bytes_on_disk / 1e6:.0f} MB")
    print(f"  process: {resident_mb():.0f} MB now, {peak_mb():.0f} MB at most")


def fill(store: Store, size: int) -> None:
    """Append messages to sessions of fifty, an hour apart."""
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


def search_ms(store: Store, mode: str, condition: str = "") -> tuple[float, float]:
    """Return the median and the 95th percentile of different queries of three to eight words."""
    times = []
    for number, text in enumerate(texts(_QUERIES, seed=99)):
        query = " ".join(text.split()[: 3 + number % 6]) + condition
        before = time.perf_counter()
        store.search(query, mode)
        times.append(1000 * (time.perf_counter() - before))
    return float(np.percentile(times, 50)), float(np.percentile(times, 95))


def resident_mb() -> float:
    """Return the memory that this process holds now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def peak_mb() -> float:
    """Return the most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
