"""What an append costs: `python -m tests.bench.memory_store [APPENDS] [--clients N]`.

Messages are appended one at a time while upkeep runs beside them, as in the service. Printed: the
time to the acknowledgement at p50, p99 and most, files and bytes on disk at the end of the last
append and after the last upkeep, and the time of a search by words and one as it stands.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from pktui.memory.records import Identity, NewMessage
from pktui.memory.store import Store
from tests.bench.memory_texts import texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("appends", nargs="?", type=int, default=1500)
    parser.add_argument("--clients", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, Store.open(Path(directory)) as store:
        times = append_all(store, options.appends, options.clients)
        status = store.status()
        p50, p99 = np.percentile(times, [50, 99])
        print(
            f"log_message: p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {max(times):.1f} ms "
            f"({len(times)} appends, {options.clients} clients)"
        )
        print(f"on disk at once: {status.files_on_disk} files, {status.bytes_on_disk / 1e6:.1f} MB")
        store.optimize()
        status = store.status()
        print(f"after upkeep: {status.files_on_disk} files, {status.bytes_on_disk / 1e6:.1f} MB")
        for mode in ("words", "exact"):
            print(f"search {mode}: p50 {search_ms(store, mode):.1f} ms")


def append_all(store: Store, appends: int, clients: int) -> list[float]:
    """Return how many milliseconds each append took."""
    done = threading.Event()
    upkeep = threading.Thread(target=keep_up, args=(store, done))
    upkeep.start()
    times: list[float] = []

    def write(client: int) -> None:
        session = store.start_session(str(client), Identity(str(client)))
        for text in texts(appends // clients, seed=client):
            before = time.perf_counter()
            store.append([NewMessage(session.id, "user", text)])
            times.append(1000 * (time.perf_counter() - before))

    writers = [threading.Thread(target=write, args=(client,)) for client in range(clients)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    upkeep.join()
    return times


def keep_up(store: Store, done: threading.Event) -> None:
    """Tidy up whenever it is due."""
    while not done.wait(0.05):
        if store.upkeep_due():
            store.optimize()


def search_ms(store: Store, mode: str) -> float:
    """Return the median of fifty different searches."""
    times = []
    for text in texts(50, seed=99):
        query = " ".join(text.split()[:3])
        before = time.perf_counter()
        store.search(query, mode)
        times.append(1000 * (time.perf_counter() - before))
    return float(np.median(times))


if __name__ == "__main__":
    main()
