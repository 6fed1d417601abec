"""Fuzzed lines against the relay, and against a whole gateway before a real server.

    python -m tests.bench.gateway_fuzz [--lines 200000] [--seed 0] [--process 10000] [--hypothesis]

Prints what became of them. It ends with the line at fault where one reached the server that some
reader could take for a tool call that was not decided, was changed on its way, took too long, or
brought the gateway down. `--hypothesis` draws the choices through Hypothesis, which shrinks the
line at fault and takes several times as long.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pktui.ledger.ledger import Ledger
from pktui.settings import Paths
from tests.support.fuzz_lines import client_line
from tests.support.fuzzed import Broken, Watched, enforcing, one_session, write_policy
from tests.support.gateway import RunningGateway, plain_server
from tests.support.lax_readers import methods

SESSION = 500
"""Lines on one connection."""
SMALL = 8
"""Lines that Hypothesis draws at a time."""
BURST = 50
"""Lines that a process gets before it is asked whether it lives."""


def in_process(enforcer: Watched, lines: int, seed: int) -> Counter[str]:
    """Fuzz relays with Python's own randomness."""
    counts: Counter[str] = Counter()
    while counts["lines"] + counts["from server"] < lines:
        random = Random(f"{seed}.{counts['lines']}")
        counts.update(one_session(enforcer, random, SESSION))
    return counts


def drawn(enforcer: Watched, lines: int) -> Counter[str]:
    """Fuzz relays with choices that Hypothesis draws."""
    counts: Counter[str] = Counter()

    @settings(
        max_examples=lines // SMALL,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def sessions(random: Random) -> None:
        counts.update(one_session(enforcer, random, SMALL))

    sessions()
    return counts


def through_a_process(home: Path, lines: int, seed: int) -> Counter[str]:
    """Send lines through a real gateway; a ping after each burst tells that it lives."""
    counts: Counter[str] = Counter()
    received = home / "received"
    sent = {b""}
    random = Random(seed)
    with RunningGateway("fuzz", "--", *plain_server("--lax", "--received", str(received))) as it:
        while counts["lines"] < lines:
            for _ in range(BURST):
                line = client_line(random)
                sent.add(line)
                it.send(line)
                counts["lines"] += 1
            mark = f"mark {counts['lines']}"
            it.request("ping", mark)
            while (reply := it.reply()) is None or reply.get("id") != mark:
                if reply is None:
                    raise Broken(f"the gateway is gone: {it.all_words()[-2000:]}", b"")
                counts["replies"] += 1
        if it.hang_up() != 0:
            raise Broken(f"the gateway ended badly: {it.all_words()[-2000:]}", b"")
    for line in received.read_bytes().split(b"\n"):
        if line not in sent and b'"mark ' not in line:
            raise Broken("a line was changed on its way", line)
        counts["forwarded"] += bool(line)
        for method, params in methods(line):
            name = params.get("name")
            if method == "tools/call" and name in ("danger", "secret"):
                raise Broken("a denied call reached the server", line)
            counts["calls read"] += method == "tools/call"
    return counts


def check_record(paths: Paths) -> int:
    """Return how many rows are on record; the chain must hold."""
    ledger = Ledger.open(paths.ledger_file)
    verified = ledger.verify()
    ledger.close()
    if not verified.ok:
        raise Broken(f"the record is broken: {verified.problem}", b"")
    return verified.rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzzed lines against the gateway.")
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--process", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hypothesis", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        paths = Paths.at(home / "config", home / "data")
        started = time.monotonic()
        with enforcing(paths) as enforcer:
            if asked.hypothesis:
                counts = drawn(enforcer, asked.lines)
            else:
                counts = in_process(enforcer, asked.lines, asked.seed)
        print(f"relay: {json.dumps(counts)} in {time.monotonic() - started:.0f} s")
        print(f"on record: {check_record(paths):,} rows, the chain holds")
        if asked.process:
            os.environ |= {
                "PKTUI_CONFIG_DIR": str(paths.config_dir),
                "PKTUI_DATA_DIR": str(home / "process"),
            }
            write_policy(paths)
            started = time.monotonic()
            counts = through_a_process(home, asked.process, asked.seed)
            print(f"process: {json.dumps(counts)} in {time.monotonic() - started:.0f} s")
            rows = check_record(Paths.at(paths.config_dir, home / "process"))
            print(f"on record: {rows:,} rows, the chain holds")


if __name__ == "__main__":
    main()
