"""Bursts of keys in a real terminal, while a write waits for a person: none of them decides it.

    python -m tests.bench.console_bursts [--times N] [--views 1234] [--size 120x36] [--seed N]

From each view, with the write's card or a tool's row in front, a view's digit, `/` and a random
word of two to eight letters are typed in one write, N times. Each time the call must still wait,
no policy file may have changed, and the word must stand in the box.
"""

from __future__ import annotations

import argparse
import os
import random
import string
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pktui.ledger.ledger import Ledger
from pktui.settings import Paths
from tests.support.terminal import Terminal, console, gateway, settle

if TYPE_CHECKING:
    from collections.abc import Mapping

VIEWS = "1234"
SECONDS = 30.0
RISKY = ("auth", "ended", "dad", "read", "Aa", "wrap", "lay", "kdx")
"""Words whose letters are keys of the views."""


def main(times: int, size: tuple[int, int], seed: int, views: str) -> None:
    """Type, look, and print what went wrong."""
    draw, wrong, slowest = random.Random(seed), [], 0.0
    with tempfile.TemporaryDirectory(prefix="pktui-bursts-") as folder:
        root = Path(folder)
        paths = Paths.at(root / "config", root / "data")
        os.environ["PKTUI_CONFIG_DIR"] = str(paths.config_dir)
        os.environ["PKTUI_DATA_DIR"] = str(paths.data_dir)
        settle(paths, "[approvals]\nexpiry_minutes = 1440\n")  # it waits for all the bursts
        with gateway(paths) as agent, console(paths, size) as terminal:
            terminal.until(lambda screen: "Sessions" in screen)
            agent.call("write", 7, path="src/auth.py", text="TTL = 3600")
            terminal.until(lambda screen: "1 waiting" in screen or "waiting:" in screen)
            ledger = Ledger.open(paths.ledger_file, read_only=True)
            before = _files(paths)
            for start in views:
                for count in range(times):
                    word = _word(draw)
                    to = draw.choice(VIEWS)
                    found, seconds = _burst(terminal, start, to, word)
                    slowest = max(slowest, seconds)
                    waits = [one.status for one in ledger.approvals.pending()]
                    if not found or waits != ["pending"] or _files(paths) != before:
                        wrong.append((start, count, f"{to}/{word}", found, waits))
                        print(*wrong[-1], terminal.screen(), sep="\n", flush=True)
                print(f"from view {start}: {times} bursts, {len(wrong)} wrong so far", flush=True)
            ledger.close()
    done, place = len(views) * times, f"{size[0]}x{size[1]}"
    print(f"{done} bursts at {place}: {len(wrong)} wrong; slowest {slowest:.2f} s")
    raise SystemExit(bool(wrong))


def _burst(terminal: Terminal, start: str, to: str, word: str) -> tuple[bool, float]:
    """Go to a view, open what is there, type the burst; tell whether the word is in the box."""
    for _ in range(3):
        terminal.keys("Escape")
        time.sleep(0.15)  # an escape and what follows it at once would be another key
    terminal.until(lambda screen: "esc list" not in screen)
    terminal.text(start)
    time.sleep(0.6)
    began = time.monotonic()
    terminal.text(to, "/", word)
    end = began + SECONDS
    while time.monotonic() < end:
        if word in terminal.screen():
            return True, time.monotonic() - began
        time.sleep(0.02)
    return False, SECONDS


def _word(draw: random.Random) -> str:
    if draw.random() < 0.2:
        return draw.choice(RISKY)
    return "".join(draw.choices(string.ascii_letters, k=draw.randint(2, 8)))


def _files(paths: Paths) -> Mapping[str, bytes]:
    return {file.name: file.read_bytes() for file in paths.policies_dir.iterdir()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--views", default=VIEWS)
    parser.add_argument("--size", default="120x36")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    main(options.times, (width, height), options.seed, options.views)
