"""The gateway after an hour of heavy use: `python -m tests.bench.gateway_soak [--calls N]`.

Sends 360,000 calls (100 a second for an hour, as fast as they go) through one gateway, 64 in
flight, and prints as it goes: resident memory, calls a second, and the ledger's size on disk.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.bench.gateway_round_trip import (
    Peer,
    in_flight,
    one_by_one,
    prepare,
    resident_mb,
    shake_hands,
)
from tests.support.gateway import gateway_command

CALLS = 360_000
STEPS = 12


def report(done: int, peer: Peer, data: Path, rate: float) -> None:
    ledger = sum(file.stat().st_size for file in data.glob("ledger.db*")) / 2**20
    busy = os.getloadavg()[0]
    memory = resident_mb(peer.process.pid)
    print(
        f"{done:8,} calls  {memory:6.1f} MB  {rate:6.0f} calls/s  ledger {ledger:6.0f} MB"
        f"  load average {busy:.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="The gateway after an hour of calls.")
    parser.add_argument("--calls", type=int, default=CALLS)
    step = max(1, parser.parse_args().calls // STEPS)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = prepare(home)
        server = [sys.executable, str(home / "server.py")]
        peer = Peer(gateway_command("bench", "--", *server), env)
        shake_hands(peer)
        one_by_one(peer, 100)
        report(0, peer, home / "data", 0)
        for number in range(1, STEPS + 1):
            rate = in_flight(peer, step)
            report(number * step, peer, home / "data", rate)
        peer.close()


if __name__ == "__main__":
    main()
