"""What the gateway adds to the start of a server: from starting it to the first `initialize`.

    python -m tests.bench.gateway_start [--runs N]

Prints the median of some runs, in milliseconds: the server alone, behind pktui, behind fastmcp's
proxy where that is installed, and pktui's memory with its service cold.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pktui.memory.client import MemoryClient
from pktui.settings import Paths
from tests.bench.gateway_round_trip import Peer, prepare, shake_hands
from tests.support.gateway import gateway_command


def start(command: Sequence[str], env: dict[str, str]) -> float:
    """Return the milliseconds to the first answer."""
    before = time.perf_counter()
    peer = Peer(command, env)
    shake_hands(peer)
    taken = (time.perf_counter() - before) * 1000
    peer.close()
    return taken


def median(command: Sequence[str], env: dict[str, str], runs: int) -> float:
    start(command, env)
    return statistics.median(start(command, env) for _ in range(runs))


def cold_memory(home: Path, env: dict[str, str], runs: int) -> float:
    times = []
    for run in range(runs):
        data = home / f"data-{run}"
        mine = {**env, "PKTUI_DATA_DIR": str(data)}
        times.append(start(gateway_command("memory"), mine))
        client = MemoryClient(Paths.at(home / "config", data))
        client.ensure()
        client.stop()
        client.close()
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description="What the gateway adds to a start.")
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = prepare(home)
        command = [sys.executable, str(home / "server.py")]
        rows = {"direct": median(command, env, runs)}
        rows["pktui"] = median(gateway_command("bench", "--", *command), env, runs)
        if importlib.util.find_spec("fastmcp"):
            rows["fastmcp"] = median([sys.executable, str(home / "proxy.py"), *command[1:]], env, 3)
        rows["cold memory"] = cold_memory(home, env, 3)
    for name, milliseconds in rows.items():
        print(f"{name:12} {milliseconds:7.0f} ms   added {milliseconds - rows['direct']:7.0f} ms")


if __name__ == "__main__":
    main()
