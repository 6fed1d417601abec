"""The memory service as its clients meet it: start, acknowledgement, search, imports, memory.

    python -m tests.bench.memory_service [--messages N]

Starts a real service with the packaged model on throwaway directories, and prints: from nothing
to the first status, the first text answer and the first meaning answer; `log_message` at p50 and
p99 with one client and with ten at once, through the client and as an MCP tool call; search
meanwhile and after; an import's records a second; the service's resident memory; files on disk.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pktui.memory.client import MemoryClient
from pktui.memory.interchange import MessageRecord, Record, SessionRecord
from pktui.memory.records import Identity
from pktui.settings import Paths
from tests.support.memory_service import mcp_answer

TOPICS = """deploy token cache index retry queue schema invoice parser socket timeout rollback
metric banner upload session gateway policy ledger vector search embed chunk commit merge branch"""
WORDS = TOPICS.split()
QUESTIONS = itertools.count()


def main(messages: int) -> None:
    with tempfile.TemporaryDirectory(prefix="pktui-bench-") as directory:
        paths = Paths.at(Path(directory) / "config", Path(directory) / "data")
        client = MemoryClient(paths, Identity("bench", "one"))
        try:
            measure_start(client)
            measure_log(paths, client, messages)
            measure_search(client, "search, quiet")
            measure_import(client)
            measure_size(client)
        finally:
            client.stop()
            client.close()


def measure_start(client: MemoryClient) -> None:
    """From no process at all to the first answers."""
    before = time.perf_counter()
    client.ensure()
    client.status()
    report("start to first status", since(before))
    client.sessions()
    report("start to first list", since(before))
    client.start_session("bench")
    client.log("user", text(0))
    client.search("deploy", "words")
    report("start to first text answer", since(before))
    while client.status().model_state != "ready" or client.status().pending_vectors:
        time.sleep(0.02)
    client.search("deploy", "meaning")
    report("start to first meaning answer", since(before))


def measure_log(paths: Paths, client: MemoryClient, messages: int) -> None:
    """Acknowledgement of a message, one client and ten at once."""
    settle(client)
    percentiles("log, 1 client", [timed(client.log, "user", text(n)) for n in range(messages)])
    settle(client)
    percentiles(
        "log_message over MCP, 1 client", [timed(log_tool, client, n) for n in range(messages)]
    )
    settle(client)
    times: list[float] = []
    stop = threading.Event()
    searches: list[float] = []

    def log(name: int) -> None:
        own = MemoryClient(paths, Identity("bench", f"client {name}"))
        own.start_session(f"client {name}")
        times.extend([timed(own.log, "user", text(n)) for n in range(messages // 4)])
        own.close()

    def search() -> None:
        own = MemoryClient(paths, Identity("bench", "searcher"))
        while not stop.is_set():
            searches.append(timed(own.search, question()))
            time.sleep(0.05)
        own.close()

    searcher = threading.Thread(target=search)
    loggers = [threading.Thread(target=log, args=(n,)) for n in range(10)]
    searcher.start()
    for thread in loggers:
        thread.start()
    for thread in loggers:
        thread.join()
    stop.set()
    searcher.join()
    percentiles("log, 10 clients at once", times)
    percentiles("hybrid search meanwhile", searches)
    before = time.perf_counter()
    settle(client)
    report("then until every vector is made", since(before))


def measure_search(client: MemoryClient, what: str) -> None:
    """Searches one after the other, nothing else going on."""
    for mode in ("hybrid", "words", "exact", "meaning"):
        percentiles(
            f"{what}, {mode}",
            [timed(client.search, question(), mode) for _ in range(50)],
        )


def question() -> str:
    """Return two words that were not asked for before: what was asked again would be remembered."""
    first, second = divmod(next(QUESTIONS), len(WORDS))
    return f"{WORDS[first % len(WORDS)]} {WORDS[second]}"


def measure_import(client: MemoryClient) -> None:
    """Records from elsewhere, and the same ones again."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    records: list[Record] = []
    for number in range(40):
        records.append(SessionRecord("bench", str(number), now, name=f"session {number}"))
        records += [
            MessageRecord(
                "bench", str(number), str(n), "user", text(number * 50 + n), now + timedelta(0, n)
            )
            for n in range(50)
        ]
    for what in ("import, new", "import, known"):
        before = time.perf_counter()
        client.import_records(records)
        print(f"{what:<40} {len(records) / since(before) * 1000:>9.0f} records/s")
        measure_search(client, "search beside the backlog") if what == "import, new" else None


def measure_size(client: MemoryClient) -> None:
    """What the service holds and takes."""
    settle(client)
    time.sleep(6)
    status = client.status()
    lines = Path(f"/proc/{status.pid}/status").read_text().splitlines()
    resident = next(line for line in lines if line.startswith("VmRSS")).split()[1]
    print(f"{'resident memory':<40} {int(resident) / 1024:>9.0f} MB")
    print(f"{'messages':<40} {status.messages:>9}")
    print(f"{'files on disk':<40} {status.files_on_disk:>9}")
    print(f"{'bytes on disk':<40} {status.bytes_on_disk / 1e6:>9.1f} MB")


def log_tool(client: MemoryClient, number: int) -> None:
    """Call `log_message` as the gateway does."""
    arguments = {"role": "user", "content": text(number)}
    params = {"name": "log_message", "arguments": arguments}
    call = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    answer = mcp_answer(client, json.dumps(call).encode())
    assert answer is not None
    assert b'"isError":false' in answer, answer


def settle(client: MemoryClient) -> None:
    """Wait until every vector is made."""
    while client.status().pending_vectors:
        time.sleep(0.05)


def text(number: int) -> str:
    """Return a believable message of some thirty words, always the same for a number."""
    return " ".join(WORDS[(number * 7 + at * at) % len(WORDS)] for at in range(30)) + f" {number}"


def timed(work: Callable[..., object], *arguments: object) -> float:
    """Return the milliseconds that a call takes."""
    before = time.perf_counter()
    work(*arguments)
    return since(before)


def since(before: float) -> float:
    """Return the milliseconds since a time of the performance counter."""
    return (time.perf_counter() - before) * 1000


def percentiles(what: str, times: Sequence[float]) -> None:
    """Print the median and the 99th percentile."""
    ordered = sorted(times)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.99))
    print(f"{what:<40} {p50:>9.1f} ms p50 {p99:>9.1f} ms p99  ({len(ordered)})")


def report(what: str, milliseconds: float) -> None:
    """Print one figure."""
    print(f"{what:<40} {milliseconds:>9.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=300)
    main(parser.parse_args().messages)
